"""An ablation trains each teacher set once, keeps all variants equal, and survives being dropped."""

import csv
import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from gaussians.distill.recipe import Recipe
from gaussians.distill.variant_changes import having
from gaussians.errors import RunError, SceneError, TrainingError
from gaussians.scene import Scene, SceneOptions
from gaussians.session import preparation
from gaussians.session.ablation import Ablation, TaskAdvanced, TaskFailed, TaskFinished, TaskStarted
from gaussians.session.ablation_directory import AblationDirectory, AblationPlan, Task
from gaussians.session.events import StepDone
from gaussians.train.optimisation import Optimisation
from tests.session import tiny

SCENE = tiny.scene(17)
VARIED = ("base", "one-teacher", "twins", "sh-0")


def begin(path: Path, recipe: Recipe | None = None, scene: Scene = SCENE, **changes: Any) -> Ablation:
    plan = AblationPlan({"tiny": Path("/tiny")}, SceneOptions(), tiny.recipe(), "cpu", 1, VARIED, ("25%",))
    plan = dataclasses.replace(plan, recipe=recipe or plan.recipe, **changes)
    directory = AblationDirectory(path)
    directory.save(plan)
    return Ablation(directory, plan, torch.device("cpu"), lambda path, options: scene)


def results(path: Path) -> list[dict[str, str]]:
    """results.csv, less what the clock and the machine's memory put into it."""
    text = (path / "results.csv").read_text()
    timed = ("seconds", "teacher_seconds", "peak_memory")
    return [
        {name: value for name, value in line.items() if name not in timed}
        for line in csv.DictReader(io.StringIO(text))
    ]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ablation") / "whole"
    for _ in begin(path).events():
        pass
    return path


def test_has_a_row_for_each_teacher_and_student(finished: Path):
    models = [line["model"] for line in results(finished)]
    kinds = ["vanilla", "perturbed", "dropout", "ensemble"]
    assert models[:4] == kinds
    assert models[4:8] == ["photos-only", "base", "one-teacher", "sh-0"]
    twins = ("vanilla", "vanilla2", "vanilla3", "ensemble")
    assert models[8:] == [*(f"twins/{name}" for name in twins), "twins"]


def test_students_are_equal_in_count_and_only_sh_in_bytes(finished: Path):
    students = {line["model"]: line for line in results(finished) if line["budget"]}
    vanilla = int(results(finished)[0]["gaussians"])
    assert {int(line["gaussians"]) for line in students.values()} == {vanilla // 4}
    sizes = {name: int(line["bytes"]) for name, line in students.items()}
    assert sizes.pop("sh-0") < min(sizes.values())
    assert len(set(sizes.values())) == 1
    assert len({line["psnr"] for line in students.values()}) == len(students)


def test_a_student_is_the_run_it_would_be_alone(finished: Path):
    """Handed-over teachers are theirs to the byte, measured once; the report is that of any run."""
    run = finished / "tiny/seed-3/student-base-25pct"
    teachers = finished / "tiny/seed-3/teachers-own"
    report = json.loads((run / "report.json").read_text())
    assert list(report["models"]) == ["vanilla", "perturbed", "dropout", "ensemble", "student"]
    for name in ("vanilla", "perturbed", "dropout"):
        assert (run / f"teachers/{name}.ply").samefile(teachers / f"teachers/{name}.ply")
    alone = json.loads((finished / "tiny/seed-3/student-one-teacher-25pct/report.json").read_text())
    assert list(alone["models"]) == list(report["models"])
    assert alone["models"]["ensemble"]["psnr"] == pytest.approx(alone["models"]["vanilla"]["psnr"], abs=1e-4)


def test_halves_cover_the_held_out_views(finished: Path):
    base = next(line for line in results(finished) if line["model"] == "base")
    choose, report = float(base["psnr_choose"]), float(base["psnr_report"])
    assert float(base["psnr"]) == pytest.approx((3 * choose + 2 * report) / 5, abs=1e-4)


def test_tables_and_chart_are_there(finished: Path):
    assert "`twins` (teachers)" in (finished / "results.md").read_text()
    assert (finished / "quality.svg").read_text().startswith("<svg")
    assert not list(finished.rglob("*.partial*"))
    assert not list(finished.rglob("history"))


@pytest.mark.parametrize("dropped_after", [30, 130, 200, 330])
def test_dropped_anywhere_and_gone_on_with_gives_the_same_results(
    dropped_after: int, finished: Path, tmp_path: Path
):
    ablation = begin(tmp_path)
    for number, _ in enumerate(ablation.events()):
        if number == dropped_after - 2:
            ablation.save()
        if number == dropped_after:
            break
    for _ in begin(tmp_path).events():
        pass
    assert results(tmp_path) == results(finished)


def test_goes_on_where_it_was_interrupted(tmp_path: Path):
    ablation = begin(tmp_path, variants=("base",))
    for event in ablation.events():
        is_step = isinstance(event, TaskAdvanced) and isinstance(event.event, StepDone)
        if is_step and event.task.variant == "base":
            ablation.save()
            break
    assert len(results(tmp_path)) == 5  # written while it went on
    events = list(begin(tmp_path, variants=("base",)).events())
    started = [str(event.task) for event in events if isinstance(event, TaskStarted)]
    assert started == ["tiny, seed 3: base at 25%"]


def test_what_is_finished_is_not_trained_again_and_more_can_be_added(finished: Path, tmp_path: Path):
    events = list(begin(finished).events())
    assert all(isinstance(event, TaskFinished) and event.resumed for event in events)
    again = begin(tmp_path, variants=("base",))
    list(again.events())
    more = begin(tmp_path, variants=("base",), budgets=("25%", "10"), seeds=2)
    started = [event.task for event in more.events() if isinstance(event, TaskStarted)]
    assert Task("tiny", 3, "own", "base", "10") in started
    assert Task("tiny", 3, "own") not in started
    assert {line["seed"] for line in results(tmp_path)} == {"3", "4"}


def test_another_recipe_is_refused_before_anything_is_trained(finished: Path):
    other = having(teachers__fork=10)(tiny.recipe())
    before = (finished / "results.csv").read_bytes()
    with pytest.raises(RunError, match=r"teachers-own: was begun by another recipe"):
        list(begin(finished, other).events())
    assert (finished / "results.csv").read_bytes() == before
    begin(finished)


def test_a_variant_that_diverges_does_not_stop_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    trained = preparation.student_optimisation

    def diverging(scene: Scene, recipe: Recipe, *rest: Any) -> Optimisation:
        if recipe.student.structure.weight == 0 and recipe.student.label_weight > 0:
            raise TrainingError("student, step 3: the loss is not finite")
        return trained(scene, recipe, *rest)

    monkeypatch.setattr(preparation, "student_optimisation", diverging)
    events = list(begin(tmp_path, variants=("no-structure", "base")).events())
    failed = [event for event in events if isinstance(event, TaskFailed)]
    assert [(event.task.variant, event.reason) for event in failed] == [
        ("no-structure", "student, step 3: the loss is not finite")
    ]
    assert "base" in {line["model"] for line in results(tmp_path)}


def test_a_scene_without_held_out_views_is_refused(tmp_path: Path):
    scene = dataclasses.replace(SCENE, test=())
    with pytest.raises(SceneError, match="holds out no view"):
        list(begin(tmp_path, scene=scene).events())


def test_the_plan_comes_back_as_it_was_saved(finished: Path):
    directory = AblationDirectory(finished)
    plan = directory.load()
    directory.save(plan)
    assert directory.load() == plan
    assert plan.variants == VARIED
    with pytest.raises(RunError, match="no ablation here"):
        AblationDirectory(finished / "tiny").load()


def test_two_processes_cannot_work_on_one_ablation(finished: Path):
    with (
        AblationDirectory(finished).locked(),
        pytest.raises(RunError, match="another process"),
        AblationDirectory(finished).locked(),
    ):
        pass
