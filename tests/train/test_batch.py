"""Steps of several views."""

import dataclasses
from typing import Any

import pytest
import torch

from gaussians.scene.types import View
from gaussians.train.batch import Batch
from gaussians.train.optimisation import Optimisation
from gaussians.train.pull import pull, pulled_together
from gaussians.train.recipe import Densify, Optimise
from gaussians.train.schedule import Draws

from .synthetic import optimisation, photos, random_gaussians, ring_cameras, sparse_points

TRUTH = random_gaussians(200)
RECIPE = Optimise(
    steps=40, sh_degree=1, sh_every=10, densify=Densify(start=5, stop=30, every=5, reset_every=12, cap=260)
)
TWO = dataclasses.replace(RECIPE, batch=2)


@pytest.fixture(scope="module")
def views() -> list[View]:
    return photos(TRUTH, ring_cameras(7))


def _start(views: list[View], recipe: Optimise, **settings: Any) -> Optimisation:
    return optimisation(views, recipe, sparse_points(TRUTH, 100), **settings)


def test_the_first_view_is_drawn_as_if_it_were_the_only_one():
    draws, batch = Draws(3, "student"), Batch(1, 7, None, 3, "student")
    assert [batch.view(0, step) for step in range(20)] == [draws.view(step, 7) for step in range(20)]
    device = torch.device("cpu")
    ours, theirs = batch.generator(0, 5, device), draws.generator(5, "step", device)
    assert torch.equal(torch.rand(4, generator=ours), torch.rand(4, generator=theirs))


def test_an_epoch_of_pairs_shows_every_view_once():
    batch = Batch(2, 6, None, 0, "student")
    shown = [batch.view(place, step) for step in range(3) for place in range(2)]
    assert sorted(shown) == list(range(6))


def test_views_of_one_step_draw_apart():
    batch = Batch(2, 6, None, 0, "student")
    draws = [torch.rand(4, generator=batch.generator(place, 0, torch.device("cpu"))) for place in range(2)]
    assert not torch.equal(*draws)


def test_gradients_of_two_views_are_the_mean_of_those_of_each(views: list[View]):
    generator = torch.Generator()
    both = _start(views, TWO)
    shown = [both._batch.view(place, 0) for place in range(2)]
    passes = [both._pass(view, generator) for view in shown]
    meta = both._batch.together(passes, both._parameters, absgrad=False)
    singles, pulls = [], []
    for view in shown:
        one = _start(views, RECIPE)
        pulls.append(pull(one._pass(view, generator).meta, absgrad=False))
        singles.append(one._parameters.gradients())
    for mean, first, second in zip(both._parameters.gradients(), *singles, strict=True):
        assert torch.allclose(mean, (first + second) / 2, rtol=1e-5, atol=1e-9)
    norms, seen = pull(meta, absgrad=False)
    assert torch.allclose(norms, pulls[0][0] + pulls[1][0], rtol=1e-4, atol=1e-9)
    assert torch.equal(seen, pulls[0][1] + pulls[1][1])


def test_pulls_add_up_in_units_that_no_image_size_changes():
    metas = []
    for width, height in ((64, 48), (32, 24)):
        means2d = torch.zeros(1, 1, 2, requires_grad=True)
        means2d.grad = torch.tensor([[[2.0 / width, 0.0]]])
        radii = torch.ones(1, 1, 2, dtype=torch.int32)
        metas.append({"means2d": means2d, "radii": radii, "width": width, "height": height, "n_cameras": 1})
    norms, seen = pull(pulled_together([pull(meta, absgrad=False) for meta in metas]), absgrad=False)
    assert norms.tolist() == [2.0]
    assert seen.tolist() == [2.0]


def test_two_views_a_step_learn_grow_and_go_on_with_the_same_numbers(views: list[View]):
    whole, first, second = (_start(views, TWO) for _ in range(3))
    stats = list(whole.steps())
    assert len({step.count for step in stats}) > 3
    logged = [step.terms["photo"] for step in stats if step.terms]
    assert all(0 < value < 1 for value in logged)
    list(first.steps(until=17))
    second.load_state_dict(first.state_dict())
    list(second.steps())
    for name, tensor in whole.state_dict().items():
        assert torch.equal(second.state_dict()[name], tensor), name
