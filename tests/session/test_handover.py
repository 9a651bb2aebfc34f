"""What one run knows of its ensemble, another of the same teachers need not measure."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from gaussians.distill.pipeline import ENSEMBLE, label_count
from gaussians.distill.recipe import Recipe
from gaussians.distill.variant_changes import having
from gaussians.scene import SceneOptions
from gaussians.session.checkpoints import Checkpoints
from gaussians.session.directory import RunDirectory, RunPlan
from gaussians.session.ensemble import OF_LABELS
from gaussians.session.handover import hand_back_ensemble
from gaussians.session.run import Run
from tests.session import tiny

AT_VIEWS = tiny.recipe()
AT_POSES = having(
    student__label_weight=0.0, student__poses__share=0.4, student__poses__count=3
)(AT_VIEWS)  # fmt: skip
SCENE = tiny.scene()


def directory(path: Path, recipe: Recipe) -> RunDirectory:
    made = RunDirectory(path)
    made.create(RunPlan(Path("tiny"), SceneOptions(), recipe, "cpu"))
    return made


def run(where: RunDirectory, recipe: Recipe) -> dict[str, Any]:
    for _ in Run(where, SCENE, recipe, torch.device("cpu")).events():
        pass
    return json.loads(where.report.read_text())


@pytest.fixture(scope="module")
def giver(tmp_path_factory: pytest.TempPathFactory) -> RunDirectory:
    made = directory(tmp_path_factory.mktemp("giver") / "run", AT_VIEWS)
    run(made, AT_VIEWS)
    return made


def known(where: RunDirectory) -> dict[str, Any] | None:
    return Checkpoints(where.checkpoints).finished(ENSEMBLE)


def handed(giver: RunDirectory, path: Path, recipe: Recipe) -> RunDirectory:
    taker = directory(path, recipe)
    hand_back_ensemble(giver, taker)
    return taker


@pytest.mark.parametrize(
    "recipe",
    [
        having(student__budget="30%", student__structure__weight=0.0)(AT_VIEWS),
        dataclasses.replace(AT_VIEWS, labels=dataclasses.replace(AT_VIEWS.labels, memory_mb=0)),
    ],
    ids=["another student", "labels kept elsewhere"],
)
def test_all_of_it_where_the_labels_are_the_same(giver: RunDirectory, tmp_path: Path, recipe: Recipe):
    assert known(handed(giver, tmp_path / "run", recipe)) == known(giver)


@pytest.mark.parametrize(
    "recipe", [having(labels__dropout=0.5)(AT_VIEWS), having(labels__combine="median")(AT_VIEWS)]
)
def test_nothing_where_teachers_are_put_together_otherwise(
    giver: RunDirectory, tmp_path: Path, recipe: Recipe
):
    assert known(handed(giver, tmp_path / "run", recipe)) is None


def test_other_labels_have_facts_of_their_own(giver: RunDirectory, tmp_path: Path):
    taker = handed(giver, tmp_path / "run", AT_POSES)
    facts, given = known(taker), known(giver)
    assert facts is not None
    assert given is not None
    assert facts == {name: fact for name, fact in given.items() if name not in OF_LABELS}
    Checkpoints(taker.checkpoints).finish(ENSEMBLE, facts | {"psnr": 12.5})  # as only the giver can know it
    report = run(taker, AT_POSES)
    finished = known(taker)
    assert finished is not None
    assert finished["step"] == label_count(AT_POSES, len(SCENE.train)) == 3
    assert report["models"]["ensemble"]["psnr"] == 12.5
    assert report["totals"]["disagreement"] == finished["disagreement"] != given["disagreement"]
    assert report["models"]["ensemble"]["seconds"] == pytest.approx(finished["seconds"], abs=1e-3)
