"""Cells show the ensemble as its labels are made."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from gaussians.distill.labels import label_shares, seen_together
from gaussians.model import Gaussians
from gaussians.session.gallery import Gallery
from gaussians.session.measure import ensemble_view
from gaussians.session.opening import open_run
from tests.session import tiny

CPU = torch.device("cpu")
WEIGHTS = {"vanilla": 2.0, "perturbed": 1.0, "dropout": 1.0}


def teachers() -> dict[str, Gaussians]:
    truth = tiny.true_gaussians()
    return {
        "vanilla": truth,
        "perturbed": dataclasses.replace(truth, means=truth.means + 0.1),
        "dropout": dataclasses.replace(truth, sh0=truth.sh0.flip(0)),
    }


@pytest.mark.parametrize("combine", ["mean", "median", "nearest"])
def test_the_ensemble_is_shown_as_it_is_measured(combine: str):
    scene, models = tiny.scene(), teachers()
    gallery = Gallery(CPU, tuple(models), WEIGHTS, scene)
    gallery.combine = combine
    for name, gaussians in models.items():
        gallery.keep(name, len(gaussians), lambda gaussians=gaussians: gaussians)
    view = scene.test[0]
    shown = gallery.begin("ensemble", view.camera, None).picture().image
    measured = ensemble_view(models, WEIGHTS, view, scene, CPU, combine)
    assert np.abs(shown - 255 * measured.numpy()).max() <= 0.51  # 8-bit rounding


def test_the_three_ways_differ():
    generator = torch.Generator().manual_seed(3)
    renders = [torch.rand(6, 5, 3, generator=generator) for _ in range(3)]
    shares = tuple(label_shares(WEIGHTS).values())
    mean, median, nearest = (
        seen_together(renders, shares, combine) for combine in ("mean", "median", "nearest")
    )
    assert not torch.equal(mean, median)
    assert not torch.equal(mean, nearest)
    assert torch.equal(median, torch.stack(renders).median(dim=0).values)


def test_a_run_that_is_opened_is_shown_by_its_own_recipe(finished_run: Path, tmp_path: Path):
    run = tmp_path / "run"
    shutil.copytree(finished_run, run)
    document = json.loads((run / "recipe.json").read_text())
    document["recipe"]["labels"]["combine"] = "median"
    (run / "recipe.json").write_text(json.dumps(document))
    ways = [open_run(path, CPU, lambda *_: None).gallery.combine for path in (finished_run, run)]
    assert ways == ["mean", "median"]
