"""A run whose folder is moved away while it goes on stops, and leaves no second one where it was."""

import dataclasses
from pathlib import Path

import pytest
import torch

from gaussians.distill.recipe import Recipe
from gaussians.errors import StorageError
from gaussians.scene import SceneOptions
from gaussians.session.directory import RunDirectory, RunPlan
from gaussians.session.events import RunFinished, StageFinished, StageStarted, StepDone
from gaussians.session.run import Run
from tests.session import tiny
from tests.session.runs import SCENE, begin


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


def test_a_run_of_given_teachers_that_was_moved_away_stops_too(finished_run: Path, tmp_path: Path):
    given = {"mine": finished_run / "teachers" / "vanilla.ply"}
    directory = RunDirectory(tmp_path / "run")
    directory.create(RunPlan(Path("tiny"), SceneOptions(), tiny.recipe(), "cpu", given))
    events = Run(directory, SCENE, tiny.recipe(), torch.device("cpu"), given).events()
    assert isinstance(next(events), StageStarted)
    directory.path.rename(tmp_path / "moved")
    with pytest.raises(StorageError, match="gone, moved or deleted"):
        list(events)
    assert not directory.path.exists()
