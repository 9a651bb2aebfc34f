"""Adam for the Gaussians that a step's views see, and no others."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from gaussians.ranks import Ranks
from gaussians.raster import rasterize
from gaussians.scene.types import View
from gaussians.train.batch import Batch, Pass
from gaussians.train.optimisation import Optimisation
from gaussians.train.recipe import Densify, Optimise

from .synthetic import BLACK, EXTENT, optimisation, photos, random_gaussians, ring_cameras, sparse_points

TRUTH = random_gaussians(200)
# The mean scale in the loss has a gradient for every Gaussian.
RECIPE = Optimise(steps=40, sh_degree=1, sh_every=10, scale_reg=0.01, selective=True)
GROWTH = Densify(start=5, stop=30, every=5, reset_every=12, cap=260)


@pytest.fixture(scope="module")
def views() -> list[View]:
    return photos(TRUTH, ring_cameras(7))


def scattered(views: list[View], recipe: Optimise) -> Optimisation:
    """Without growth, from Gaussians that lie partly outside of each view, and ten of them outside of all."""
    start = random_gaussians(200, sh_degree=1)
    start.means.mul_(2)
    start.means[:10] = torch.tensor([0.0, 60.0, 0.0])
    settings: dict[str, Any] = {"extent": EXTENT, "background": BLACK, "seed": 0, "stream": "student"}
    return Optimisation(start, views, recipe, refinement=None, **settings)


def seen_by(training: Optimisation, view: View) -> Tensor:
    """[N] bool."""
    gaussians = training.live.detached()
    return (rasterize(**gaussians.render_args(), **view.camera.tensors())[2]["radii"][0] > 0).all(dim=-1)


@pytest.mark.parametrize("batch", [1, 2])
def test_what_no_view_of_the_step_sees_stays_and_all_else_moves(views: list[View], batch: int) -> None:
    training = scattered(views, dataclasses.replace(RECIPE, batch=batch))
    seen = []
    for step in range(7):
        shown = [training._batch.view(place, step) for place in range(batch)]
        seen.append(torch.stack([seen_by(training, views[view]) for view in shown]).any(dim=0))
        before = training.live.log_scales.detach().clone()
        list(training.steps(step + 1))
        assert torch.equal(seen[-1], (training.live.log_scales != before).any(dim=-1))
    assert all(10 < mask.sum() < 190 for mask in seen)
    assert not torch.equal(seen[0], seen[1])
    start = random_gaussians(200, sh_degree=1)
    assert torch.equal(training.live.log_scales[:10], start.log_scales[:10])
    assert torch.equal(training.live.sh0[:10], start.sh0[:10])


def test_without_it_all_move(views: list[View]) -> None:
    training = scattered(views, dataclasses.replace(RECIPE, selective=False))
    list(training.steps(2))
    assert torch.all(training.live.log_scales != random_gaussians(200, sh_degree=1).log_scales)


@pytest.mark.parametrize("method", ["gradient", "mcmc"])
def test_growth_and_the_running_mean_go_with_it_and_a_resumed_run_gives_the_same_numbers(
    views: list[View], method: str
) -> None:
    densify = dataclasses.replace(GROWTH, method=method)
    recipe = dataclasses.replace(RECIPE, batch=2, average=0.8, densify=densify, opacity_reg=0.01)
    whole, first, second = (optimisation(views, recipe, sparse_points(TRUTH, 100)) for _ in range(3))
    stats = list(whole.steps())
    assert len({step.count for step in stats}) > 3
    assert not torch.equal(whole.gaussians().sh0, whole.live.sh0)
    list(first.steps(until=17))
    second.load_state_dict(first.state_dict())
    list(second.steps())
    for name, tensor in whole.state_dict().items():
        assert torch.equal(second.state_dict()[name], tensor), name


class Pair(Ranks):
    """The first of two ranks, of which the other sees the Gaussian 2."""

    def add(self, tensors: Sequence[Tensor]) -> None:
        for tensor in tensors:
            tensor += torch.tensor([0, 0, 1, 0], dtype=tensor.dtype)


def test_what_any_rank_sees_counts_as_seen() -> None:
    radii = torch.tensor([[[3, 2], [0, 0], [0, 0], [4, 0]]], dtype=torch.int32)
    passes = [Pass({}, {"radii": radii})]
    for ranks, wanted in ((Ranks(), [True, False, False, False]), (Pair(0, 2), [True, False, True, False])):
        assert Batch(2, 6, None, 0, "student", ranks).seen(passes).tolist() == wanted
