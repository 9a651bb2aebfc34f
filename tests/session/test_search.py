"""A search ends with the smallest student within its tolerance, and survives being dropped."""

import csv
import dataclasses
import json
from pathlib import Path

import pytest
import torch

from gaussians.distill.recipe import Recipe
from gaussians.errors import RecipeError, RunError, SceneError, StorageError
from gaussians.io import read_splat
from gaussians.scene import Scene, SceneOptions
from gaussians.session.directory import RunDirectory, RunPlan
from gaussians.session.events import RunFinished, StageStarted, StepDone
from gaussians.session.frontier import point
from gaussians.session.run import Run
from gaussians.session.search import (
    Search,
    TrialFinished,
    begin_search,
    parse_tolerance,
    searched_within,
)
from tests.session import tiny
from tests.session.runs import quality

SCENE = tiny.scene(17)
WITHIN = 0.2


def begin(path: Path, within: float = WITHIN, scene: Scene = SCENE) -> Search:
    directory = RunDirectory(path)
    if not directory.exists:
        begin_search(directory, within, scene)
        directory.create(RunPlan(Path("/tiny"), SceneOptions(), recipe(), "cpu"))
    return Search(directory, scene, directory.load(), torch.device("cpu"), within)


def recipe() -> Recipe:
    return tiny.recipe(2)


def frontier(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((path / "frontier.csv").read_text().splitlines()))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("search") / "whole"
    events = list(begin(path).events())
    assert isinstance(events[-1], RunFinished)
    labels = [event for event in events if isinstance(event, StepDone) and event.stage.name == "labels"]
    assert len(labels) == len(SCENE.train)  # rendered once for all trials
    return path


def test_the_runs_student_is_the_smallest_within(finished: Path):
    lines = frontier(finished)
    assert lines[0]["model"] == "vanilla"
    least = float(lines[0]["psnr_choose"]) - WITHIN
    for line in lines:
        assert (float(line["psnr_choose"]) >= least) == (line["within"] == "yes")
    good = [int(line["gaussians"]) for line in lines[1:] if line["within"] == "yes"]
    report = json.loads((finished / "report.json").read_text())
    student = report["models"]["student"]
    assert student["gaussians"] == min(good) == len(read_splat(finished / "student.ply"))
    assert report["totals"]["budget"] == min(good)
    assert RunDirectory(finished).load().recipe.student.budget == str(min(good))


def test_it_goes_by_one_half_and_reports_the_other(finished: Path):
    facts = json.loads((finished / "report.json").read_text())["models"]["student"]
    views = sorted(facts["per_view"])
    line = next(line for line in frontier(finished) if int(line["gaussians"]) == facts["gaussians"])
    for column, names in (("psnr_choose", views[::2]), ("psnr", views[1::2])):
        mean = sum(facts["per_view"][name]["psnr"] for name in names) / len(names)
        assert float(line[column]) == pytest.approx(mean, abs=1e-4)


def test_with_few_held_out_views_it_goes_by_all(finished: Path):
    facts = json.loads((finished / "report.json").read_text())["models"]["student"]
    few = facts | {"per_view": dict(list(facts["per_view"].items())[:3])}
    assert point("student", few).psnr_choose == point("student", few).reported.psnr


def test_the_found_budget_repeats_the_student(finished: Path, tmp_path: Path):
    """Each trial starts from the teacher, so an ordinary run with that budget gives the same."""
    plan = RunDirectory(finished).load()
    directory = RunDirectory(tmp_path)
    directory.create(plan)
    list(Run(directory, SCENE, plan.recipe, torch.device("cpu")).events())
    alone, searched = (json.loads((path / "report.json").read_text()) for path in (tmp_path, finished))
    assert quality(alone) == quality(searched)
    assert (tmp_path / "student.ply").read_bytes() == (finished / "student.ply").read_bytes()


def test_metrics_and_past_are_those_of_the_chosen_student(finished: Path):
    lines = [json.loads(line) for line in (finished / "metrics.jsonl").read_text().splitlines()]
    steps = [line["step"] for line in lines if line["stage"] == "student"]
    assert steps == sorted(set(steps))
    assert steps[-1] == recipe().student.optimise.steps
    assert list((finished / "history").glob("*.safetensors"))
    assert not list((finished / "trials").rglob("history"))
    assert not (finished / "labels").exists()


@pytest.mark.parametrize("dropped_after", [40, 260, 420])
def test_dropped_anywhere_and_resumed_finds_the_same(dropped_after: int, finished: Path, tmp_path: Path):
    search = begin(tmp_path)
    for number, _ in enumerate(search.events()):
        if number == dropped_after - 2:
            search.save()
        if number == dropped_after:
            break
    list(begin(tmp_path).events())
    assert (tmp_path / "frontier.csv").read_bytes() == (finished / "frontier.csv").read_bytes()
    assert quality(json.loads((tmp_path / "report.json").read_text())) == quality(
        json.loads((finished / "report.json").read_text())
    )


def test_a_finished_search_trains_nothing_again(finished: Path):
    before = (finished / "report.json").read_bytes()
    events = list(begin(finished).events())
    assert not [event for event in events if isinstance(event, StageStarted)]
    assert all(event.resumed for event in events if isinstance(event, TrialFinished))
    assert (finished / "report.json").read_bytes() == before


def test_where_none_is_within_the_largest_tried_is_the_runs(tmp_path: Path):
    search = begin(tmp_path, within=-100.0)  # so much better none can be
    list(search.events())
    assert search.found is None
    assert search.largest is not None
    counts = [int(line["gaussians"]) for line in frontier(tmp_path)[1:]]
    assert search.largest.gaussians == max(counts) == len(read_splat(tmp_path / "student.ply"))
    assert {line["within"] for line in frontier(tmp_path)[1:]} == {"no"}


def test_tolerances():
    assert [parse_tolerance(text) for text in ("0.2dB", "0.2 db", ".5", "1")] == [0.2, 0.2, 0.5, 1.0]
    for text in ("", "dB", "-1dB", "0.2 %", "nan"):
        with pytest.raises(RecipeError, match="--within"):
            parse_tolerance(text)


def test_what_was_begun_is_remembered(tmp_path: Path):
    directory = RunDirectory(tmp_path)
    assert searched_within(directory) is None
    begin_search(directory, 0.3, SCENE)
    assert searched_within(directory) == 0.3
    begin_search(directory, None, SCENE)
    assert searched_within(directory) is None
    (tmp_path / "search.json").write_text("{}")
    with pytest.raises(RunError, match=r"search\.json"):
        searched_within(directory)


def test_what_can_not_be_deleted_is_named(tmp_path: Path):
    (tmp_path / "search.json").mkdir()
    with pytest.raises(StorageError, match=r"search\.json: could not be deleted"):
        begin_search(RunDirectory(tmp_path), None, SCENE)


def test_a_scene_without_held_out_views_is_refused(tmp_path: Path):
    with pytest.raises(SceneError, match="holds out no view"):
        begin(tmp_path, scene=dataclasses.replace(SCENE, test=()))
    assert list(tmp_path.iterdir()) == []
