"""What is measured while a model trains is measured as in the report: within the masks."""

import dataclasses

import numpy as np
import pytest
import torch

from gaussians.distill.labels import Blending, render_label
from gaussians.session.measure import Probe, ensemble_view, measured, measured_ensemble
from tests.session import tiny

CPU = torch.device("cpu")


def test_probe_measures_within_the_masks_as_the_report_does():
    plain = tiny.scene()
    masked = []
    for view in plain.test:
        image, mask = view.image.copy(), np.ones(view.image.shape[:2], bool)
        image[:, :10], mask[:, :10] = 255, False
        masked.append(dataclasses.replace(view, image=image, mask=mask))
    scene = dataclasses.replace(plain, test=tuple(masked))
    truth = tiny.true_gaussians()
    probed = Probe(scene, CPU).psnr(truth, step=10, steps=10)
    assert probed is not None
    assert probed > 50  # 8-bit rounding; 13 dB with what the masks leave out
    assert probed == pytest.approx(measured(truth, scene, CPU)["psnr"])


def test_probe_looks_ten_times_and_not_without_held_out_views():
    scene, truth = tiny.scene(), tiny.true_gaussians()
    probe = Probe(scene, CPU)
    due = [step for step in range(1, 96) if probe.psnr(truth, step, 95) is not None]
    assert due == [*range(9, 95, 9), 95]
    nothing_held_out = dataclasses.replace(scene, test=())
    assert Probe(nothing_held_out, CPU).psnr(truth, 95, 95) is None


@pytest.mark.parametrize("combine", ["mean", "median", "nearest"])
def test_the_ensemble_is_measured_as_its_labels_are_made(combine: str):
    scene, truth = tiny.scene(), tiny.true_gaussians()
    teachers = {
        "vanilla": truth,
        "dropout": dataclasses.replace(truth, sh0=truth.sh0.flip(0)),
        "perturbed": dataclasses.replace(truth, means=truth.means + 0.1),
    }
    weights = {"vanilla": 2.0, "dropout": 1.0, "perturbed": 1.0}
    shares = {name: weight / 4 for name, weight in weights.items()}
    for view in scene.test:
        shown = ensemble_view(teachers, weights, view, scene, CPU, combine)
        label, _ = render_label(teachers, shares, view.camera, scene.background, Blending(combine))
        assert np.abs(shown.numpy() * 255 - label).max() <= 0.51  # 8-bit rounding
    psnr = measured_ensemble(teachers, weights, scene, CPU, combine=combine)["psnr"]
    by_mean = measured_ensemble(teachers, weights, scene, CPU)["psnr"]
    assert (psnr == by_mean) == (combine == "mean")
