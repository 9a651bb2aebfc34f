"""Teachers weighed while a run goes on: the labels follow, and a resumed run does as well."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from gaussians.errors import RecipeError
from gaussians.scene import SceneOptions
from gaussians.session.directory import RunDirectory, RunPlan
from gaussians.session.events import Event, StepDone
from gaussians.session.history import History
from gaussians.session.run import Run
from gaussians.session.weights import last_weights
from tests.session import tiny

SCENE = tiny.scene()
RECIPE = tiny.recipe()
WEIGHTS = {"vanilla": 0.5, "perturbed": 0.0, "dropout": 2.0}


def begin(path: Path) -> Run:
    directory = RunDirectory(path)
    if not directory.exists:
        directory.create(RunPlan(Path("tiny"), SceneOptions(), RECIPE, "cpu"))
    # No checkpoint but where a test makes one, however slow the machine.
    return Run(directory, SCENE, RECIPE, torch.device("cpu"), save_every=1e9)


def until(events: Iterator[Event], stage: str, step: int) -> None:
    for event in events:
        if isinstance(event, StepDone) and (event.stage.name, event.step) == (stage, step):
            return
    raise AssertionError(f"{stage} has no step {step}")


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]


def taught_again(taught: Path, path: Path) -> Run:
    """A copy of the run whose student has done 10 steps, as a kill leaves it."""
    shutil.copytree(taught, path, dirs_exist_ok=True)
    return begin(path)


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("taught")
    run = begin(path)
    until(run.events(), "student", 10)
    run.save()
    return path


@pytest.fixture(scope="module")
def plain(taught: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole run."""
    path = tmp_path_factory.mktemp("plain")
    for _ in taught_again(taught, path).events():
        pass
    return path


@pytest.fixture(scope="module")
def weighed(taught: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole run whose teachers were weighed after step 12 of the student."""
    path = tmp_path_factory.mktemp("weighed")
    run = taught_again(taught, path)
    events = run.events()
    until(events, "student", 12)
    assert run.weigh(WEIGHTS) == 12
    for _ in events:
        pass
    return path


def test_change_is_noted_where_it_was_made(weighed: Path):
    [line] = [line for line in lines(weighed) if "event" in line]
    time = line.pop("time")
    assert line == {
        "stage": "student",
        "model": "student",
        "step": 12,
        "event": "weights",
        "weights": WEIGHTS,
    }
    assert time > 1e9


def test_loss_is_the_same_up_to_the_change_and_another_after(weighed: Path, plain: Path):
    def label(path: Path) -> dict[int, float]:
        return {
            line["step"]: line["loss"]["label"] for line in lines(path) if "label" in line.get("loss", {})
        }

    # Logged every fifth step: 10 is before the change.
    mine, others = label(weighed), label(plain)
    assert mine[10] == others[10]
    assert mine[15] != others[15]


def test_ensemble_is_reported_as_weighed_in_the_end(weighed: Path, plain: Path):
    def ensemble(path: Path) -> float:
        return json.loads((path / "report.json").read_text())["models"]["ensemble"]["psnr"]

    assert ensemble(weighed) != ensemble(plain)
    facts = json.loads((weighed / "checkpoints/ensemble.json").read_text())
    assert facts["weights"] == WEIGHTS


@pytest.mark.parametrize("saved_after", [12, 20])
def test_resumed_after_the_change_is_the_same_to_the_bit(
    saved_after: int, weighed: Path, taught: Path, tmp_path: Path
):
    run = taught_again(taught, tmp_path)
    events = run.events()
    until(events, "student", 12)
    run.weigh(WEIGHTS)
    if saved_after > 12:
        until(events, "student", saved_after)
    run.save()
    until(events, "student", 25)
    resumed = begin(tmp_path)
    assert resumed.weights == WEIGHTS
    for _ in resumed.events():
        pass
    assert (tmp_path / "student.ply").read_bytes() == (weighed / "student.ply").read_bytes()
    strip = {"time", "memory"}
    assert [{k: v for k, v in line.items() if k not in strip} for line in lines(tmp_path)] == [
        {k: v for k, v in line.items() if k not in strip} for line in lines(weighed)
    ]


def test_change_after_the_checkpoint_holds_from_the_checkpoint_on(taught: Path, tmp_path: Path):
    run = taught_again(taught, tmp_path)
    events = run.events()
    until(events, "student", 20)
    run.weigh(WEIGHTS)
    until(events, "student", 22)
    resumed = begin(tmp_path)
    until(resumed.events(), "student", 12)
    assert resumed.weights == WEIGHTS
    [mark] = [line for line in lines(tmp_path) if "event" in line]
    assert (mark["step"], mark["weights"]) == (10, WEIGHTS)


def test_change_before_there_are_labels_holds_for_all_of_them(tmp_path: Path):
    run = begin(tmp_path)
    events = run.events()
    until(events, "vanilla", 30)
    run.weigh(WEIGHTS)
    until(events, "student", 1)
    assert last_weights(lines(tmp_path)) == WEIGHTS
    facts = json.loads((tmp_path / "checkpoints/ensemble.json").read_text())
    assert facts["weights"] == WEIGHTS


def test_no_teacher_left_is_refused(tmp_path: Path):
    run = begin(tmp_path)
    until(run.events(), "trunk", 2)
    before = run.weights
    with pytest.raises(RecipeError, match="weight 0"):
        run.weigh(dict.fromkeys(WEIGHTS, 0.0))
    assert run.weights == before
    assert last_weights(lines(tmp_path)) is None


def test_resumed_run_drops_the_history_it_makes_again(taught: Path, tmp_path: Path):
    until(taught_again(taught, tmp_path).events(), "student", 20)
    assert max(History(tmp_path / "history", 30).steps) == 20
    resumed = begin(tmp_path)
    until(resumed.events(), "student", 11)
    assert resumed.history.steps == tuple(range(1, 12))


def test_live_model_is_that_of_the_stage(taught: Path, tmp_path: Path):
    run = begin(tmp_path)
    assert run.live is None
    events = run.events()
    until(events, "trunk", 3)
    assert run.live is not None
    assert (run.live.model, run.live.step) == ("vanilla", 3)
    run = taught_again(taught, tmp_path / "taught")
    events = run.events()
    until(events, "labels", 2)
    assert run.live is None
    until(events, "student", 14)
    assert run.live is not None
    assert (run.live.model, run.live.step) == ("student", 14)
