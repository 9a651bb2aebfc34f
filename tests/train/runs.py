"""Short runs of an optimisation: their scene and recipes, and what tests ask of them."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gaussians.model import Gaussians
from gaussians.raster import rasterize
from gaussians.scene.types import View
from gaussians.train.optimisation import Optimisation
from gaussians.train.recipe import Densify, LearningRates, Optimise
from gaussians.train.variation import StepStats

from .synthetic import optimisation, random_gaussians, sparse_points

TRUTH = random_gaussians(200)
RECIPE = Optimise(
    steps=300, sh_degree=1, sh_every=100, log_every=10,
    rates=LearningRates(8e-4, 0.01, 0.02, 0.004, 0.1, 0.02, 1e-3),  # a hundredth of the usual steps
    densify=Densify(start=20, stop=250, every=20, reset_every=110, cap=400),
)  # fmt: skip
QUICK = dataclasses.replace(
    RECIPE, steps=60, sh_every=20, densify=Densify(start=10, stop=55, every=10, reset_every=35, cap=260)
)


def psnr(gaussians: Gaussians, views: Sequence[View]) -> float:
    """Of the mean error over the views, dB."""
    errors = []
    for view in views:
        with torch.no_grad():
            image = rasterize(**gaussians.render_args(), **view.camera.tensors())[0][0].clamp(0, 1)
        errors.append(float((image - torch.from_numpy(view.image) / 255).square().mean()))
    return -10 * math.log10(float(np.mean(errors)))


def run(training: Optimisation, until: int | None = None) -> list[StepStats]:
    """Train, and return what each step told."""
    return list(training.steps(until))


def begin(views: Sequence[View], recipe: Optimise = QUICK, **settings: Any) -> Optimisation:
    """An optimisation of the scene from grey points, at its first step."""
    return optimisation(views, recipe, sparse_points(TRUTH, 100), **settings)


def states_equal(one: dict[str, Tensor], two: dict[str, Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


class Disturbance:
    """Draws in both of a variation's places."""

    def opacities(self, opacities: Tensor, step: int, generator: torch.Generator) -> Tensor:
        return opacities * torch.rand(len(opacities), generator=generator, device=opacities.device)

    def disturbs(self, step: int) -> bool:
        return True

    def after_backward(self, optimisation: Optimisation, step: int, generator: torch.Generator) -> None:
        gradients = optimisation.mean_gradients()
        if step % 10 == 0 and gradients is not None:
            means = optimisation.live.means
            means += 0.01 * torch.randn(means.shape, generator=generator) * gradients[:, None]
