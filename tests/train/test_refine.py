import copy
import dataclasses
from typing import Any

import pytest
import torch
from gsplat.strategy import DefaultStrategy
from gsplat.strategy.ops import reset_opa

from gaussians.train.parameters import Parameters
from gaussians.train.recipe import Densify, LearningRates
from gaussians.train.refine import DensifyRefinement
from gaussians.train.schedule import Draws, learning_rates
from gaussians.train.strategy import CappedStrategy

from .synthetic import random_gaussians

DENSIFY = Densify(start=4, stop=40, every=5, reset_every=15, grad_threshold=0.5, grow_scale=0.1)
EXTENT = 1.0


def _meta(count: int, step: int) -> dict[str, Any]:
    """What a rasterizer would leave after a backward pass in which a third of the Gaussians isn't seen."""
    generator = torch.Generator().manual_seed(step)
    seen = torch.rand(1, count, generator=generator) > 1 / 3
    means2d = torch.zeros(1, count, 2, requires_grad=True)
    means2d.grad = torch.randn(1, count, 2, generator=generator) * 0.02 * seen[..., None]
    means2d.absgrad = 2 * means2d.grad.abs()  # pyright: ignore[reportAttributeAccessIssue] # as the rasterizer
    radii = (seen[..., None] * torch.randint(1, 9, (1, count, 2), generator=generator)).int()
    return {
        "means2d": means2d, "radii": radii, "width": 64, "height": 48, "n_cameras": 1, "gaussian_ids": None
    }  # fmt: skip


def _parameters(count: int = 300) -> Parameters:
    parameters = Parameters(random_gaussians(count, sh_degree=1))
    _adam_step(parameters, 0)
    return parameters


def _adam_step(parameters: Parameters, step: int) -> None:
    generator = torch.Generator().manual_seed(step)
    for tensor in parameters.tensors.values():
        tensor.grad = torch.randn(tensor.shape, generator=generator)
    parameters.step(learning_rates(LearningRates(), EXTENT, step, 100))


def _same(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize("absgrad", [False, True])
def test_statistics_and_growth_are_those_of_gsplats_default_strategy(absgrad: bool):
    settings: dict[str, Any] = {
        "refine_start_iter": 4, "refine_stop_iter": 40, "refine_every": 5, "reset_every": 15,
        "grow_grad2d": 0.5, "grow_scale3d": 0.1, "absgrad": absgrad,
    }  # fmt: skip
    ours, original = CappedStrategy(**settings), DefaultStrategy(**settings)
    states = []
    for strategy in (ours, original):
        parameters, state = _parameters(), strategy.initialize_state(EXTENT)
        torch.manual_seed(0)
        for step in range(20):
            meta = _meta(len(parameters), step)
            strategy.step_post_backward(parameters.tensors, parameters.optimizers, state, step, meta)
        states.append({**parameters.state_dict(), "grad2d": state["grad2d"], "count": state["count"]})
    assert len(states[0]["params.means"]) > 350
    assert _same(*states)


def _run(refinement: DensifyRefinement, parameters: Parameters, steps: range) -> list[int]:
    counts = []
    for step in steps:
        meta = _meta(len(parameters), step)
        _adam_step(parameters, step)
        changed = refinement.after_step(parameters, meta, step, Draws(0, "test"))
        counts.append(len(parameters))
        assert changed or len(counts) < 2 or counts[-1] == counts[-2]
    return counts


def test_the_count_changes_only_where_refinement_is_due():
    counts = _run(DensifyRefinement(DENSIFY, EXTENT), _parameters(), range(60))
    moved = [step for step in range(1, 60) if counts[step] != counts[step - 1]]
    assert moved == [5, 10, 15, 20, 25, 30, 35]


def _highest_opacities(refinement: DensifyRefinement, steps: int) -> list[float]:
    parameters, highest = _parameters(), []
    for step in range(steps):
        refinement.after_step(parameters, _meta(len(parameters), step), step, Draws(0, "test"))
        highest.append(float(torch.sigmoid(parameters.tensors["opacities"].detach()).max()))
        with torch.no_grad():
            parameters.tensors["opacities"].add_(0.5)
    return highest


def test_opacities_are_reset_at_every_interval_before_the_stop_and_their_moments_with_them():
    highest = _highest_opacities(DensifyRefinement(DENSIFY, EXTENT), 60)
    reset = [step for step, opacity in enumerate(highest) if opacity <= 0.01 + 1e-6]
    assert reset == [15, 30]  # neither at 0 nor at 45, beyond the stop

    parameters = _parameters()
    refinement = DensifyRefinement(DENSIFY, EXTENT)
    refinement.after_step(parameters, _meta(len(parameters), 15), 15, Draws(0, "test"))
    moments = parameters.state_dict()
    assert not moments["adam.opacities.exp_avg"].any()
    assert not moments["adam.opacities.exp_avg_sq"].any()
    assert moments["adam.means.exp_avg"].any()


def test_a_gsplat_that_resets_opacities_itself_changes_nothing(monkeypatch: pytest.MonkeyPatch):
    expected = _parameters()
    _run(DensifyRefinement(DENSIFY, EXTENT), expected, range(40))
    broken = DefaultStrategy.step_post_backward

    def mended(self, params, optimizers, state, step, info, packed=False):
        broken(self, params, optimizers, state, step, info, packed)
        if step < self.refine_stop_iter and step % self.reset_every == 0 and step > 0:
            reset_opa(params=params, optimizers=optimizers, state=state, value=self.prune_opa * 2.0)

    monkeypatch.setattr(DefaultStrategy, "step_post_backward", mended)
    found = _parameters()
    _run(DensifyRefinement(DENSIFY, EXTENT), found, range(40))
    assert _same(found.state_dict(), expected.state_dict())


@pytest.mark.parametrize("cap", [100, 300, 301, 340])
def test_there_is_no_growth_beyond_the_cap(cap: int):
    free = _run(DensifyRefinement(DENSIFY, EXTENT), _parameters(), range(12))
    capped = _run(DensifyRefinement(dataclasses.replace(DENSIFY, cap=cap), EXTENT), _parameters(), range(12))
    assert max(free) > 340
    assert max(capped) <= max(cap, 300)
    if cap > 300:
        assert max(capped) > cap - 20  # it is used: only what pruning took is missing


def test_large_gaussians_are_removed_after_the_first_reset():
    parameters = _parameters()
    with torch.no_grad():
        parameters.tensors["scales"][:7] = 0.0  # e⁰ = 1, ten times the limit
    refinement = DensifyRefinement(DENSIFY, EXTENT)
    for step in range(21):
        meta = _meta(len(parameters), step)
        meta["means2d"].grad.zero_()
        refinement.after_step(parameters, meta, step, Draws(0, "test"))
        large = int((parameters.tensors["scales"] > -0.1).any(dim=1).sum())
        assert large == (7 if step < 20 else 0)


def test_a_restored_refinement_continues_with_the_same_numbers():
    one, parameters = DensifyRefinement(DENSIFY, EXTENT), _parameters()
    _run(one, parameters, range(8))
    stored = copy.deepcopy({name: tensor.clone() for name, tensor in one.state_dict().items()})
    other, others = DensifyRefinement(DENSIFY, EXTENT), Parameters(random_gaussians(3))
    other.load_state_dict(stored)
    others.load_state_dict(parameters.state_dict())
    torch.manual_seed(123)  # the global generator must not matter
    assert _run(one, parameters, range(8, 30)) == _run(other, others, range(8, 30))
    assert _same(parameters.state_dict(), others.state_dict())


def test_the_global_generator_is_left_alone():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    _run(DensifyRefinement(DENSIFY, EXTENT), _parameters(), range(12))
    assert torch.equal(torch.rand(1), expected)


def test_keeping_some_keeps_their_moments_and_statistics():
    refinement, parameters = DensifyRefinement(DENSIFY, EXTENT), _parameters()
    _run(refinement, parameters, range(3))
    before, statistics = parameters.state_dict(), copy.deepcopy(refinement.state_dict())
    mask = torch.arange(300) % 3 == 0
    parameters.keep(mask)
    refinement.keep(mask)
    for name, tensor in parameters.state_dict().items():
        assert torch.equal(tensor, before[name] if name.endswith("step") else before[name][mask])
    for name, tensor in refinement.state_dict().items():
        assert torch.equal(tensor, statistics[name][mask])
    _run(refinement, parameters, range(3, 12))
