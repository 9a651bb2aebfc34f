"""Compact teachers: pruned from the finished vanilla one, disturbed as their kind wants it, photos alone."""

import dataclasses

import pytest
import torch

from gaussians.distill.optimisations import compact_teacher_optimisation, teacher_optimisation
from gaussians.distill.pipeline import Stage, is_compact, plan, waves
from gaussians.distill.recipe import Dropout, Perturb, Recipe
from gaussians.distill.recipe_check import check_recipe
from gaussians.distill.variant_changes import having
from gaussians.errors import RecipeError
from gaussians.model import Gaussians
from gaussians.train.objective import Objective, Rendered
from gaussians.train.optimisation import Optimisation
from gaussians.train.recipe import Coarse
from tests.session import tiny

SCENE, VANILLA = tiny.scene(), tiny.true_gaussians(90)
COMPACT = having(teachers__fork=0, teachers__compact=0.4, teachers__compact_steps=25)(tiny.recipe())


def optimisation(kind: str, recipe: Recipe = COMPACT) -> Optimisation:
    stage = Stage(kind, kind, 0, recipe.teachers.compact_steps)
    return compact_teacher_optimisation(stage, SCENE, recipe, VANILLA, torch.device("cpu"))


def trained(kind: str, recipe: Recipe = COMPACT) -> Gaussians:
    made = optimisation(kind, recipe)
    list(made.steps())
    return made.gaussians()


def test_they_follow_vanilla_which_trains_alone_and_to_its_end():
    stages = {stage.name: (stage.first, stage.last) for stage in plan(COMPACT, 6)}
    assert stages == {
        "vanilla": (0, 40), "perturbed": (0, 25), "dropout": (0, 25), "labels": (0, 6), "student": (0, 30)
    }  # fmt: skip
    assert [is_compact(stage, COMPACT) for stage in plan(COMPACT, 6)] == [False, True, True, False, False]
    assert not any(is_compact(stage, tiny.recipe()) for stage in plan(tiny.recipe(), 6))


def test_they_wait_for_vanilla_together_and_forks_for_the_trunk():
    def names(recipe: Recipe, given: tuple[str, ...] = ()) -> list[list[str]]:
        return [[stage.name for stage in wave] for wave in waves(plan(recipe, 6, given), recipe)]

    assert names(COMPACT) == [["vanilla"], ["perturbed", "dropout"]]
    assert names(tiny.recipe()) == [["trunk"], ["vanilla", "perturbed", "dropout"]]
    assert names(having(teachers__fork=0)(tiny.recipe())) == [["vanilla", "perturbed", "dropout"]]
    assert names(having(teachers__kinds=("vanilla",))(COMPACT)) == [["vanilla"]]
    assert names(tiny.recipe(), ("mine", "other")) == [["mine", "other"]]


def test_a_batch_of_the_students_is_no_work_of_theirs():
    views = [stats.view for stats in optimisation("dropout").steps()]
    batched = having(student__optimise__batch=2)(COMPACT)
    assert [stats.view for stats in optimisation("dropout", batched).steps()] == views


@pytest.mark.parametrize("clearance", [0.0, 0.3])
def test_the_space_they_keep_clear_is_the_teachers(clearance: float):
    recipe = having(teachers__optimise__clearance=clearance, student__optimise__clearance=0.3 - clearance)(
        COMPACT
    )
    vanilla = teacher_optimisation(plan(recipe, 6)[0], SCENE, recipe, torch.device("cpu"))
    cleared = [training._free is not None for training in (vanilla, optimisation("dropout", recipe))]
    assert cleared == [clearance > 0] * 2


def binnings(recipe: Recipe) -> list[int]:
    """By how much the views of each step were smaller."""
    made, seen = optimisation("dropout", recipe), []
    objective = made._objective

    class Noting(Objective):
        def __call__(
            self, rendered: Rendered, view_index: int, step: int, gaussians: Gaussians
        ) -> dict[str, torch.Tensor]:
            seen.append(rendered.binning)
            return objective(rendered, view_index, step, gaussians)

        def colors(
            self, view_index: int, step: int, binning: int, background: torch.Tensor | None = None
        ) -> None:
            """None that could be recorded."""

    made._objective = Noting()
    list(made.steps())
    return seen


def test_photos_are_half_as_wide_while_they_are_pruned_where_vanillas_were_smaller_at_first():
    last = 12  # of the student's, half of these steps
    coarse = having(teachers__optimise__coarse=Coarse(stop=20, pixels=1))(COMPACT)
    assert binnings(coarse) == [2] * last + [1] * (25 - last)
    shorter = having(teachers__optimise__coarse=Coarse(stop=3, pixels=1))(COMPACT)
    assert binnings(shorter) == [2] * 3 + [1] * 22
    of_the_student = having(student__optimise__coarse=Coarse(stop=20, pixels=1))(COMPACT)
    assert binnings(of_the_student) == binnings(COMPACT) == [1] * 25


@pytest.mark.parametrize("kind", ["vanilla2", "perturbed", "dropout"])
def test_they_start_as_vanilla_and_keep_their_share(kind: str):
    made = optimisation(kind)
    assert torch.equal(made.live.means, VANILLA.means)
    counts = [stats.count for stats in made.steps()]
    assert len(counts) == 25
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] == 36


def test_kinds_differ_by_their_variation_and_not_only_by_their_draws():
    # Gaussians here are large: all count as small.
    every = having(teachers__optimise__densify__grow_scale=1.0)(COMPACT).teachers
    perturb, dropout = Perturb(start=5, stop=20, every=5), Dropout(start=0, stop=20, rate=0.5)
    strong = dataclasses.replace(every, perturb=perturb, dropout=dropout)
    calm = dataclasses.replace(every, perturb=Perturb(start=0, stop=0), dropout=Dropout(start=0, stop=0))
    for kind in ("perturbed", "dropout"):
        one, other = (
            trained(kind, dataclasses.replace(COMPACT, teachers=teachers)).means
            for teachers in (calm, strong)
        )
        assert not torch.equal(one, other), kind


def test_their_colours_have_vanillas_degree_whatever_the_students():
    recipe = having(student__optimise__sh_degree=0)(COMPACT)
    assert trained("dropout", recipe).sh_degree == recipe.teachers.optimise.sh_degree == 1


def test_a_fork_contradicts_them():
    with pytest.raises(RecipeError, match=r"teachers\.fork = 20, teachers\.compact = 0\.4: .*set fork to 0"):
        check_recipe(having(teachers__compact=0.4)(tiny.recipe()))


def test_they_have_their_size_by_half_of_their_steps_whenever_the_student_has_its():
    late = having(student__simplify__start=20, student__simplify__stop=29)(COMPACT)
    check_recipe(late)
    counts = [stats.count for stats in optimisation("dropout", late).steps()]
    assert (counts[11], counts[12]) == (90, 36)


def test_their_steps_are_stretched_with_the_rest():
    assert COMPACT.scaled(2).teachers.compact_steps == 50
