"""The running mean of the weights: what comes out of an optimisation that has one, and of a resumed one."""

import dataclasses
from itertools import pairwise

import pytest
import torch

from gaussians.train.average import WeightAverage
from gaussians.train.optimisation import Optimisation
from gaussians.train.recipe import Densify

from .runs import QUICK
from .synthetic import optimisation, photos, random_gaussians, ring_cameras, sparse_points

TRUTH = random_gaussians(200)
AVERAGED = dataclasses.replace(QUICK, steps=30, average=0.8, densify=Densify(start=0, stop=0))


def start(**changes) -> Optimisation:
    recipe = dataclasses.replace(AVERAGED, **changes)
    return optimisation(photos(TRUTH, ring_cameras(13)), recipe, sparse_points(TRUTH, 100))


def test_it_is_the_plain_mean_until_it_remembers_enough_and_then_forgets():
    average = WeightAverage(0.75, steps=10)  # all 10 steps are within its reach
    values = torch.arange(10.0)
    for step, value in enumerate(values):
        average.add({"x": value.reshape(1)}, step, changed=False)
        if step < 4:
            assert average.mean is not None
            assert float(average.mean["x"]) == pytest.approx(float(values[: step + 1].mean()))
    expected = 1.5
    for value in values[4:].tolist():
        expected = 0.75 * expected + 0.25 * value
    assert average.mean is not None
    assert float(average.mean["x"]) == pytest.approx(expected)


def test_it_begins_where_its_reach_does_and_anew_with_other_gaussians():
    average = WeightAverage(0.75, steps=100)  # reaches back 24 steps
    average.add({"x": torch.ones(2)}, 75, changed=False)
    assert average.mean is None
    average.add({"x": torch.ones(2)}, 76, changed=False)
    average.add({"x": torch.zeros(1)}, 77, changed=True)
    assert average.mean is not None
    assert average.mean["x"].tolist() == [0.0]


def test_what_comes_out_is_the_mean_of_the_steps_and_training_goes_on_without_it():
    plain, averaged = start(average=0.0), start()
    seen = []
    for _ in averaged.steps():
        seen.append(averaged.live.means.detach().clone())
    list(plain.steps())
    assert torch.equal(plain.live.means, averaged.live.means)
    assert torch.equal(plain.gaussians().means, plain.live.means)
    expected = seen[0]
    for count, means in enumerate(seen[1:], start=2):
        expected = torch.lerp(expected, means, max(0.2, 1 / count))
    assert torch.allclose(averaged.gaussians().means, expected, atol=1e-6)
    assert not torch.allclose(averaged.gaussians().means, averaged.live.means, atol=1e-6)


def test_a_resumed_run_goes_on_with_the_mean():
    whole, dropped = start(), start()
    list(whole.steps())
    list(dropped.steps(until=17))
    resumed = start()
    resumed.load_state_dict(dropped.state_dict())
    list(resumed.steps())
    for name, tensor in whole.gaussians().tensors().items():
        assert torch.equal(tensor, resumed.gaussians().tensors()[name]), name


def test_it_follows_removals_between_steps_and_growth_within():
    trained = start(densify=Densify(start=5, stop=20, every=5, grad_threshold=1e-6, cap=400))
    counts = []
    for _ in trained.steps():
        counts.append(len(trained))
        assert len(trained.model) == len(trained)
    assert any(before != after for before, after in pairwise(counts))
    mask = torch.arange(len(trained)) % 2 == 0
    before = trained.gaussians().means
    trained.keep(mask)
    assert torch.equal(trained.gaussians().means, before[mask])


def test_its_memory_stretches_with_the_schedules():
    recipe = dataclasses.replace(QUICK, average=0.995)
    assert recipe.scaled(0.2).average == pytest.approx(0.975)
    assert recipe.scaled(5).average == pytest.approx(0.999)
    assert recipe.scaled(0.001).average == 0.0
    assert QUICK.scaled(0.2).average == 0.0


def test_a_reset_of_opacities_begins_it_anew():
    densify = Densify(start=1, stop=29, every=100, reset_every=20, cap=400)
    trained = start(densify=densify)
    seen = []
    for stats in trained.steps():
        seen.append(trained.live.logit_opacities.detach().clone())
        if stats.step == 21:
            assert torch.equal(trained.model.logit_opacities, seen[-1])
    expected = seen[20]
    for count, opacities in enumerate(seen[21:], start=2):
        expected = torch.lerp(expected, opacities, max(0.2, 1 / count))
    assert torch.allclose(trained.model.logit_opacities, expected, atol=1e-5)
