import json

import pytest

from gaussians.distill.presets import recipe, recipe_names
from gaussians.distill.recipe import Recipe
from gaussians.distill.recipe_check import check_recipe
from gaussians.distill.recipe_json import from_json, to_json
from gaussians.errors import RecipeError


@pytest.mark.parametrize("name", recipe_names())
@pytest.mark.parametrize("factor", [1, 0.02, 0.1, 0.37, 1 / 3, 3])
def test_every_recipe_can_be_carried_out_at_any_length(name: str, factor: float) -> None:
    scaled = recipe(name).scaled(factor)
    check_recipe(scaled)
    assert from_json(json.loads(json.dumps(to_json(scaled)))) == scaled
    assert scaled.name == name


@pytest.mark.parametrize("name", recipe_names())
def test_variations_begin_at_the_fork_or_later_and_end_before_the_teachers(name: str) -> None:
    teachers = recipe(name).teachers
    for window in (teachers.perturb, teachers.dropout):
        assert teachers.fork <= window.start < window.stop < teachers.optimise.steps


@pytest.mark.parametrize("factor", [0.1, 0.5, 2])
def test_scaled_recipes_disturb_and_compare_as_often_as_before(factor: float) -> None:
    def happenings(scaled: Recipe) -> list[int]:
        perturb, structure = scaled.teachers.perturb, scaled.student.structure
        return [
            len(range(perturb.start, perturb.stop, perturb.every)),
            len(range(0, scaled.student.optimise.steps, structure.every)),
        ]

    assert happenings(recipe("paper").scaled(factor)) == happenings(recipe("paper"))


def test_recipes_are_ordered_by_length() -> None:
    steps = [recipe(name).teachers.optimise.steps for name in recipe_names()]
    assert steps == sorted(steps)


def test_an_unknown_recipe_lists_the_known_ones() -> None:
    with pytest.raises(RecipeError, match=r'"fats".*preview, fast, paper'):
        recipe("fats")
