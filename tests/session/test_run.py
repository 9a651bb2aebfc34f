"""A run does all stages, leaves the contract's files, and survives being dropped anywhere."""

import dataclasses
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from gaussians.distill.recipe import Recipe
from gaussians.distill.splat_views import splat_cameras
from gaussians.errors import RunError, StorageError
from gaussians.io import read_splat
from gaussians.scene import SceneOptions
from gaussians.session.checkpoints import Checkpoints
from gaussians.session.directory import RunDirectory, RunPlan
from gaussians.session.events import RunFinished, StageFinished, StageStarted, StepDone
from gaussians.session.gallery import Gallery
from gaussians.session.measure import written
from gaussians.session.opening import keep_checkpoint
from gaussians.session.run import Run
from gaussians.storage import replacing
from tests.session import tiny

MODELS = ("vanilla", "perturbed", "dropout", "ensemble", "student")
SCENE = tiny.scene()


def begin(path: Path, recipe: Recipe) -> Run:
    directory = RunDirectory(path)
    if not directory.exists:
        directory.create(RunPlan(Path("tiny"), SceneOptions(), recipe, "cpu"))
    return Run(directory, SCENE, recipe, torch.device("cpu"))


def quality(report: dict) -> dict:
    """The report less what the clock and the machine's memory put into it."""
    untimed = json.loads(json.dumps(report))
    for facts in (*untimed["models"].values(), untimed["totals"]):
        facts.pop("seconds")
        facts.pop("peak_memory")
    return untimed


def dropped(path: Path, recipe: Recipe, after: int) -> None:
    """Begin a run and abandon it in mid-stage, as a kill does, with a checkpoint two events before."""
    run = begin(path, recipe)
    for number, _ in enumerate(run.events()):
        if number == after - 2:
            run.save()
        if number == after:
            break


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run")
    list(begin(path, tiny.recipe()).events())
    return path


@pytest.fixture(scope="module")
def compact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("compact")
    list(begin(path, tiny.compact_recipe()).events())
    return path


def test_leaves_every_file_of_the_contract(finished: Path):
    names = ["recipe.json", "metrics.jsonl", "report.json", "report.png", "student.ply", "checkpoints"]
    names += ["cameras.json"]
    names += [f"teachers/{kind}.ply" for kind in ("vanilla", "perturbed", "dropout")]
    assert [name for name in names if not (finished / name).exists()] == []
    assert not list(finished.rglob("*.partial*"))


def test_a_splat_of_a_run_is_looked_at_from_where_it_was_trained(finished: Path):
    splat = finished / "teachers" / "vanilla.ply"
    cameras, note = splat_cameras(splat, read_splat(splat), 0)
    assert "cameras.json" in note
    wanted = sorted(SCENE.train, key=lambda view: view.name)
    for camera, view in zip(cameras, wanted, strict=True):
        assert np.allclose(camera.viewmat, view.camera.viewmat)
        assert np.allclose(camera.K, view.camera.K)
        assert (camera.width, camera.height) == (tiny.WIDTH, tiny.HEIGHT)


def test_report_tells_of_every_model(finished: Path):
    report = json.loads((finished / "report.json").read_text())
    assert tuple(report["models"]) == MODELS
    for facts in report["models"].values():
        assert set(facts) >= {
            "gaussians",
            "bytes",
            "psnr",
            "ssim",
            "flip",
            "seconds",
            "peak_memory",
            "per_view",
        }
        assert set(facts["per_view"]) == {view.name for view in SCENE.test}
    models = report["models"]
    assert models["vanilla"]["psnr"] > 15
    assert models["ensemble"]["gaussians"] == sum(models[kind]["gaussians"] for kind in MODELS[:3])
    assert sum(facts["seconds"] for facts in models.values()) == pytest.approx(
        report["totals"]["seconds"], abs=0.01
    )


def test_student_keeps_to_its_budget_and_its_file(finished: Path):
    report = json.loads((finished / "report.json").read_text())
    student, vanilla = report["models"]["student"], report["models"]["vanilla"]
    assert 0 < student["gaussians"] <= 0.25 * vanilla["gaussians"]
    assert len(read_splat(finished / "student.ply")) == student["gaussians"]
    assert (finished / "student.ply").stat().st_size == student["bytes"]


def test_teachers_differ_from_each_other(finished: Path):
    models = json.loads((finished / "report.json").read_text())["models"]
    assert len({models[kind]["psnr"] for kind in MODELS[:3]}) == 3


def test_metrics_have_every_stage_in_order(finished: Path):
    lines = [json.loads(line) for line in (finished / "metrics.jsonl").read_text().splitlines()]
    stages = list(dict.fromkeys(line["stage"] for line in lines))
    assert stages == ["trunk", "vanilla", "perturbed", "dropout", "student"]
    for stage in stages:
        steps = [line["step"] for line in lines if line["stage"] == stage]
        assert steps == sorted(set(steps))
    student = next(
        line for line in lines if line["stage"] == "student" and "structure" in line.get("loss", {})
    )
    assert set(student["loss"]) == {"photo", "label", "structure"}
    assert {"time", "stage", "model", "step", "loss", "count"} <= set(student)
    assert any("psnr" in line for line in lines)


def test_picture_shows_all_columns(finished: Path):
    report = Image.open(finished / "report.png").convert("RGB")
    assert report.width > 6 * tiny.WIDTH
    assert len(np.unique(np.asarray(report).reshape(-1, 3), axis=0)) > 500


@pytest.mark.parametrize("dropped_after", [3, 26, 47, 75, 108, 121])
def test_dropped_anywhere_and_resumed_gives_the_same_report(
    dropped_after: int, finished: Path, tmp_path: Path
):
    recipe = tiny.recipe()
    dropped(tmp_path, recipe, dropped_after)
    resumed = begin(tmp_path, recipe)
    events = list(resumed.events())
    report = json.loads((tmp_path / "report.json").read_text())
    assert quality(report) == quality(json.loads((finished / "report.json").read_text()))
    assert isinstance(events[-1], RunFinished)
    whole = [line["step"] for line in map(json.loads, (finished / "metrics.jsonl").read_text().splitlines())]
    again = [line["step"] for line in map(json.loads, (tmp_path / "metrics.jsonl").read_text().splitlines())]
    assert again == whole


@pytest.mark.parametrize("recipe", [tiny.recipe(), tiny.compact_recipe()], ids=["forks", "compact"])
@pytest.mark.parametrize(
    ("kind", "stage"),
    [
        (StepDone, "vanilla"),
        (StageFinished, "vanilla"),
        (StageStarted, "perturbed"),
        (StageFinished, "perturbed"),
        (StepDone, "dropout"),
        (StageFinished, "dropout"),
        (StageStarted, "labels"),
        (StageFinished, "labels"),
        (StepDone, "student"),
        (StageFinished, "student"),
    ],
)
def test_a_run_that_was_moved_away_stops_and_begins_no_second_one(
    kind: type[StageStarted | StageFinished | StepDone], stage: str, recipe: Recipe, tmp_path: Path
):
    directory, moved = RunDirectory(tmp_path / "run"), tmp_path / "moved"
    # labels go to the disk
    recipe = dataclasses.replace(recipe, labels=dataclasses.replace(recipe.labels, memory_mb=0))
    events = begin(directory.path, recipe).events()
    next(event for event in events if isinstance(event, kind) and event.stage.name == stage)
    directory.path.rename(moved)
    with pytest.raises(StorageError, match="gone, moved or deleted"):
        list(events)
    assert not directory.path.exists()
    moved.rename(directory.path)
    assert isinstance(list(begin(directory.path, recipe).events())[-1], RunFinished)


def test_a_run_of_given_teachers_that_was_moved_away_stops_too(finished: Path, tmp_path: Path):
    given = {"mine": finished / "teachers" / "vanilla.ply"}
    directory = RunDirectory(tmp_path / "run")
    directory.create(RunPlan(Path("tiny"), SceneOptions(), tiny.recipe(), "cpu", given))
    events = Run(directory, SCENE, tiny.recipe(), torch.device("cpu"), given).events()
    assert isinstance(next(events), StageStarted)
    directory.path.rename(tmp_path / "moved")
    with pytest.raises(StorageError, match="gone, moved or deleted"):
        list(events)
    assert not directory.path.exists()


def test_compact_teachers_keep_their_share_and_vanilla_all(compact: Path):
    models = json.loads((compact / "report.json").read_text())["models"]
    assert tuple(models) == MODELS
    vanilla = models["vanilla"]["gaussians"]
    assert models["perturbed"]["gaussians"] == models["dropout"]["gaussians"] == round(0.5 * vanilla)
    assert models["student"]["gaussians"] == vanilla // 4
    assert models["ensemble"]["gaussians"] == vanilla + 2 * round(0.5 * vanilla)


@pytest.mark.parametrize("dropped_after", [30, 52, 66, 96, 131, 137])
def test_compact_teachers_dropped_anywhere_and_resumed_give_the_same_report(
    dropped_after: int, compact: Path, tmp_path: Path
):
    dropped(tmp_path, tiny.compact_recipe(), dropped_after)
    events = list(begin(tmp_path, tiny.compact_recipe()).events())
    assert isinstance(events[-1], RunFinished)
    report = json.loads((tmp_path / "report.json").read_text())
    assert quality(report) == quality(json.loads((compact / "report.json").read_text()))


def test_a_reopened_run_shows_the_running_mean_as_it_did_before(tmp_path: Path):
    run = begin(tmp_path, tiny.compact_recipe())
    for event in run.events():
        if isinstance(event, StepDone) and (event.stage.name, event.step) == ("student", 25):
            run.save()
            break
    assert run.live is not None
    shown = run.live.gaussians.detached()
    gallery = Gallery(torch.device("cpu"), ("vanilla",), {"vanilla": 1.0})
    stage = next(stage for stage in run.plan if stage.name == "student")
    keep_checkpoint(gallery, Checkpoints(RunDirectory(tmp_path).checkpoints), stage)
    assert torch.equal(gallery.gaussians("student").means, shown.means)


def test_resumed_run_goes_on_from_its_checkpoint(tmp_path: Path):
    run = begin(tmp_path, tiny.recipe())
    for event in run.events():
        if isinstance(event, StepDone) and event.step == 12:
            run.save()
            break
    started = next(
        event for event in begin(tmp_path, tiny.recipe()).events() if isinstance(event, StageStarted)
    )
    assert started.step == 12


@pytest.mark.parametrize("model", ["vanilla", "dropout", "student"])
def test_a_run_killed_while_a_stage_is_measured_has_no_step_to_do_again(
    model: str, compact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def dying(path: Path, *arguments: Any) -> dict[str, Any]:
        if path.stem == model:
            raise KeyboardInterrupt
        return written(path, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr("gaussians.session.run.written", dying)
        with pytest.raises(KeyboardInterrupt):
            list(begin(tmp_path, tiny.compact_recipe()).events())
    events = list(begin(tmp_path, tiny.compact_recipe()).events())
    started = next(event for event in events if isinstance(event, StageStarted) and event.stage.name == model)
    assert started.step == started.stage.last
    assert not [event for event in events if isinstance(event, StepDone) and event.stage.name == model]
    report = json.loads((tmp_path / "report.json").read_text())
    assert quality(report) == quality(json.loads((compact / "report.json").read_text()))
    for splat in ("teachers/vanilla.ply", "teachers/dropout.ply", "student.ply"):
        assert (tmp_path / splat).read_bytes() == (compact / splat).read_bytes()
    lines = [(tmp_path / "metrics.jsonl").read_text(), (compact / "metrics.jsonl").read_text()]
    steps = [[json.loads(line)["step"] for line in text.splitlines()] for text in lines]
    assert steps[0] == steps[1]


def test_finished_run_only_makes_the_report_again(finished: Path):
    before = (finished / "report.json").read_bytes()
    events = list(begin(finished, tiny.recipe()).events())
    assert all(isinstance(event, StageFinished | RunFinished) for event in events)
    assert (finished / "report.json").read_bytes() == before


def test_new_run_refuses_a_used_directory(finished: Path):
    with pytest.raises(RunError, match="holds a run already"):
        RunDirectory(finished).create(RunPlan(Path("tiny"), SceneOptions(), tiny.recipe(), "cpu"))


def test_recipe_file_says_how_to_repeat_the_run(finished: Path):
    plan = RunDirectory(finished).load()
    assert plan.recipe == tiny.recipe()
    document = json.loads((finished / "recipe.json").read_text())
    assert document["versions"]["torch"] == torch.__version__.split("+")[0] or document["versions"]["torch"]
    assert document["seed"] == 3


def test_what_a_killed_process_left_half_written_goes_when_the_run_goes_on(finished: Path, tmp_path: Path):
    run = shutil.copytree(finished, tmp_path / "run")
    before = {path for path in run.rglob("*") if path.name != ".lock"}
    (run / "labels").mkdir()
    paths = (run / "report.json", run / "teachers/vanilla.ply", run / "checkpoints/trunk.safetensors")
    for path in (*paths, run / "labels" / "1f.labels", run / "history" / "000030.safetensors"):
        with replacing(path.with_name(f"whole{path.suffix}")) as whole:
            whole.write_bytes(b"")
            shutil.copy(whole, whole.with_name(whole.name.replace(str(os.getpid()), "1")))
        whole.with_name(f"whole{path.suffix}").unlink()
    assert len(list(run.rglob("*.partial*"))) == 5
    with RunDirectory(run).locked():
        assert {path for path in run.rglob("*") if path.name != ".lock"} == before | {run / "labels"}


def test_given_teachers_take_the_place_of_trained_ones(finished: Path, tmp_path: Path):
    given = {"mine": finished / "teachers" / "vanilla.ply", "other": finished / "teachers" / "dropout.ply"}
    directory = RunDirectory(tmp_path)
    directory.create(RunPlan(Path("tiny"), SceneOptions(), tiny.recipe(), "cpu", given))
    list(Run(directory, SCENE, tiny.recipe(), torch.device("cpu"), given).events())
    report = json.loads((tmp_path / "report.json").read_text())
    assert list(report["models"]) == ["mine", "other", "ensemble", "student"]
    trained = json.loads((finished / "report.json").read_text())["models"]["vanilla"]
    assert report["models"]["mine"]["psnr"] == trained["psnr"]
    assert report["models"]["student"]["gaussians"] == trained["gaussians"] // 4
    assert directory.load().teachers == given
