import dataclasses
import itertools
from typing import Any

import pytest
import torch

from gaussians.distill.importance import highest, importance
from gaussians.distill.recipe import Simplify
from gaussians.distill.simplify import PaperRefinement, StagedPrune, stage_count, stage_steps
from gaussians.train.optimisation import Optimisation
from gaussians.train.parameters import Parameters
from gaussians.train.recipe import Densify, Optimise
from gaussians.train.refine import DensifyRefinement, Refinement
from gaussians.train.schedule import Draws

from .scenes import BACKGROUND, EXTENT, lookout, orbit, photos, random_gaussians

NO_META: dict[str, Any] = {}


def optimise(
    refinement: Refinement, steps: int, count: int = 120, densify: Densify | None = None
) -> Optimisation:
    return Optimisation(
        random_gaussians(count, seed=1),
        photos(random_gaussians(), orbit()),
        Optimise(steps=steps, sh_degree=0, densify=densify or Densify()),
        extent=EXTENT,
        background=BACKGROUND,
        seed=0,
        stream="student",
        refinement=refinement,
    )


def counts(optimisation: Optimisation) -> list[int]:
    return [stats.count for stats in optimisation.steps()]


@pytest.mark.parametrize(
    ("first", "last", "stages", "steps"),
    [(0, 1000, 1, [1000]), (0, 1000, 5, [0, 250, 500, 750, 1000]), (3, 4, 4, [3, 4]), (7, 7, 3, [7])],
)
def test_stages_are_spread_evenly(first: int, last: int, stages: int, steps: list[int]) -> None:
    assert stage_steps(first, last, stages) == steps


def test_every_stage_removes_the_same_fraction_and_the_last_reaches_the_budget() -> None:
    left = [10_000]
    for stage in (1, 2, 3, 4):
        left.append(stage_count(left[-1], 1234, 4, stage))
    assert left[-1] == 1234
    ratios = [after / before for before, after in itertools.pairwise(left)]
    assert max(ratios) - min(ratios) < 1e-3
    assert stage_count(100, 1234, 4, 3) == 100


def test_with_a_pace_below_one_the_first_stages_remove_more() -> None:
    left = [10_000]
    for stage in (1, 2, 3, 4):
        left.append(stage_count(left[-1], 625, 4, stage, pace=0.5))
    assert left == [
        10_000,
        2500,
        pytest.approx(10_000 * 0.0625**0.7071, abs=1),
        pytest.approx(905, abs=3),
        625,
    ]


def test_pruning_keeps_the_pace_that_it_is_given() -> None:
    prune = StagedPrune(Simplify(stages=4, pace=0.5, start=0, stop=6), 10, lookout())
    left = counts(optimise(prune, steps=8, count=120))
    assert left[0] == round(120 * (10 / 120) ** 0.5)
    assert left[-1] == 10


def test_the_least_important_go_and_adam_follows() -> None:
    parameters = Parameters(random_gaussians(90))
    for tensor in parameters.tensors.values():
        tensor.grad = torch.arange(90.0).reshape(-1, *[1] * (tensor.dim() - 1)).expand_as(tensor).clone()
    parameters.step(dict.fromkeys(parameters.tensors, 0.0))
    scores = importance(parameters.gaussians(), lookout())
    kept = highest(scores, 30)
    before = parameters.state_dict()
    prune = StagedPrune(Simplify(stages=1, start=0, stop=5), 30, lookout())
    assert not prune.after_step(parameters, NO_META, 4, Draws(0, "student"))
    assert prune.after_step(parameters, NO_META, 5, Draws(0, "student"))
    assert len(parameters) == 30
    for name, value in parameters.state_dict().items():
        expected = before[name][kept] if before[name].dim() else before[name]
        assert torch.equal(value, expected), name


def test_a_student_reaches_its_budget_in_stages() -> None:
    history = counts(optimise(StagedPrune(Simplify(stages=3, start=2, stop=8), 15, lookout()), steps=12))
    assert history == [120] * 2 + [60] * 3 + [30] * 3 + [15] * 4


def test_fewer_than_the_budget_are_left_alone() -> None:
    history = counts(optimise(StagedPrune(Simplify(stages=2, start=0, stop=3), 500, lookout()), steps=5))
    assert history == [120] * 5


def test_the_inner_refinement_follows() -> None:
    densify = Densify(start=1, stop=6, every=2, grad_threshold=0, grow_scale=1)
    inner = DensifyRefinement(densify, EXTENT)
    prune = StagedPrune(Simplify(stages=2, start=3, stop=7), 20, lookout(), inner)
    optimisation = optimise(prune, steps=10, densify=densify)
    history = counts(optimisation)
    assert max(history) > 120
    assert history[-1] == 20
    gradients = optimisation.mean_gradients()
    assert gradients is not None
    assert len(gradients) == 20
    assert "refinement.grad2d" in optimisation.state_dict()


def test_importance_is_remembered_until_the_inner_refinement_changes_the_gaussians() -> None:
    never = Densify(start=90, stop=90, reset_every=91)
    simplify = Simplify(importance="effect", stages=3, start=0, stop=4, memory=0.75)
    prune = StagedPrune(simplify, 20, lookout(), DensifyRefinement(never, EXTENT))
    alone = StagedPrune(simplify, 20, lookout())
    quiet, bare = (optimise(each, steps=6, densify=never) for each in (prune, alone))
    assert counts(quiet) == counts(bare)
    name = "refinement.importance"
    torch.testing.assert_close(quiet.state_dict()[name], bare.state_dict()[name])
    assert not torch.allclose(quiet.state_dict()[name], importance(quiet.gaussians(), lookout(), "effect"))

    growing = Densify(start=0, stop=3, every=1, grad_threshold=0, grow_scale=1)
    restless = StagedPrune(simplify, 20, lookout(), DensifyRefinement(growing, EXTENT))
    history = counts(optimise(restless, steps=6, densify=growing))
    assert max(history) > 120
    assert history[-1] == 20


def test_mass_cut_drops_what_adds_nothing() -> None:
    parameters = Parameters(random_gaussians(90))
    parameters.tensors["means"].data[:40, 1] = 1000.0  # out of every view
    prune = StagedPrune(Simplify(stages=1, stop=9, mass=0.99, mass_step=2), 80, lookout())
    assert prune.after_step(parameters, NO_META, 2, Draws(0, "student"))
    assert 20 < len(parameters) <= 50
    assert float(parameters.gaussians().detached().means[:, 1].max()) < 1000


PAPER = Simplify(stages=1, start=4, stop=8, sample=0.5, mass=0.9, mass_step=8)


def paper(budget: int) -> PaperRefinement:
    densify = Densify(start=1, stop=4, every=2, grad_threshold=0, grow_scale=1)
    return PaperRefinement(PAPER, budget, lookout(), DensifyRefinement(densify, EXTENT), initial_opacity=0.1)


def test_the_papers_way_ends_within_the_budget() -> None:
    history = counts(optimise(paper(40), steps=10))
    assert max(history) > 120
    assert history[4] == round(history[3] / 2)
    assert history[-1] <= 40
    generous = counts(optimise(paper(10_000), steps=10))
    assert generous[4] == generous[3]  # never drawn below the budget
    assert generous[-1] < generous[4]  # the mass cut goes on from there


def test_after_the_draw_it_starts_over() -> None:
    optimisation = optimise(paper(40), steps=10)
    for _ in optimisation.steps(4):
        pass
    assert float(optimisation.gaussians().opacities.max()) > 0.5
    for _ in optimisation.steps(5):
        pass
    assert float(optimisation.gaussians().opacities.max()) <= 0.1 + 1e-6
    assert not any(name.startswith("adam.") for name in optimisation.state_dict())
    for _ in optimisation.steps(6):
        pass
    assert len(optimisation) > 40


def test_resumed_in_the_middle_it_gives_the_same_numbers() -> None:
    whole = optimise(paper(40), steps=10)
    for _ in whole.steps():
        pass
    for middle in (3, 5, 8):
        first = optimise(paper(40), steps=10)
        for _ in first.steps(middle):
            pass
        second = optimise(paper(40), steps=10)
        second.load_state_dict(first.state_dict())
        for _ in second.steps():
            pass
        for name, value in whole.gaussians().tensors().items():
            assert torch.equal(value, second.gaussians().tensors()[name]), (middle, name)


def test_area_importance_is_used_where_asked_for() -> None:
    parameters = Parameters(random_gaussians(90))
    expected = highest(importance(parameters.gaussians(), lookout(), "area"), 30)
    means = parameters.tensors["means"][expected].clone()
    simplify = dataclasses.replace(Simplify(stages=1, stop=0), importance="area")
    StagedPrune(simplify, 30, lookout()).after_step(parameters, NO_META, 0, Draws(0, "student"))
    assert torch.equal(parameters.tensors["means"], means)
