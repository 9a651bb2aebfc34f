import dataclasses

import pytest
import torch

from gaussians.train.recipe import Densify, LearningRates, Optimise
from gaussians.train.schedule import Draws, active_sh_degree, learning_rates


def test_position_rate_falls_exponentially_to_its_final_factor_and_the_others_stay():
    rates = LearningRates(means=1e-3, means_final=0.01)
    at = [learning_rates(rates, 5.0, step, 1000) for step in (0, 500, 1000, 2000)]
    assert [rate["means"] for rate in at] == pytest.approx([5e-3, 5e-4, 5e-5, 5e-5])
    assert len({rate["scales"] for rate in at}) == 1


def test_every_rate_of_the_recipe_reaches_its_parameter():
    rates = LearningRates(means=1e-7, log_scales=2e-7, quats=3e-7, logit_opacities=4e-7, sh0=5e-7, shN=6e-7)
    assert learning_rates(rates, 1.0, 0, 10) == {
        "means": 1e-7,
        "scales": 2e-7,
        "quats": 3e-7,
        "opacities": 4e-7,
        "sh0": 5e-7,
        "shN": 6e-7,
    }


def test_sh_degree_grows_by_one_every_so_many_steps_up_to_the_recipes():
    recipe = Optimise(sh_degree=2, sh_every=10)
    assert [active_sh_degree(recipe, step) for step in (0, 9, 10, 19, 20, 99)] == [0, 0, 1, 1, 2, 2]
    assert active_sh_degree(dataclasses.replace(recipe, sh_every=0), 0) == 2


def test_scaling_a_recipe_keeps_all_bands_from_the_start():
    assert Optimise(sh_every=0).scaled(0.1).sh_every == 0
    assert Optimise(sh_every=3).scaled(0.1).sh_every == 1
    assert Optimise(densify=Densify(reset_every=3000)).scaled(0.1).densify.reset_every == 300


def test_every_epoch_shows_every_view_once_in_an_order_of_its_own():
    draws = Draws(3, "vanilla")
    epochs = [[draws.view(epoch * 20 + i, 20) for i in range(20)] for epoch in range(4)]
    assert all(sorted(epoch) == list(range(20)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 4


def test_views_can_be_asked_for_in_any_order():
    forwards = [Draws(3, "vanilla").view(step, 7) for step in range(30)]
    draws = Draws(3, "vanilla")
    assert [draws.view(step, 7) for step in reversed(range(30))] == forwards[::-1]


@pytest.mark.parametrize("other", [(4, "vanilla"), (3, "dropout")])
def test_another_seed_or_stream_draws_differently(other: tuple[int, str]):
    one, two = Draws(3, "vanilla"), Draws(*other)
    assert [one.view(i, 50) for i in range(50)] != [two.view(i, 50) for i in range(50)]
    assert one.seed(5, "refine") != two.seed(5, "refine")


def test_seeds_differ_by_step_and_by_purpose_and_never_by_process():
    draws = Draws(0, "vanilla")
    seeds = {draws.seed(step, purpose) for step in range(1000) for purpose in ("refine", "step")}
    assert len(seeds) == 2000
    assert draws.seed(7, "refine") == 8846937452166265874  # fixed for all time: runs are resumed by it
    assert max(seeds) < 2**63


def test_a_generator_repeats_its_draws():
    draws, cpu = Draws(0, "vanilla"), torch.device("cpu")
    first = torch.rand(5, generator=draws.generator(9, "step", cpu))
    assert torch.equal(first, torch.rand(5, generator=draws.generator(9, "step", cpu)))
    assert not torch.equal(first, torch.rand(5, generator=draws.generator(10, "step", cpu)))
