import dataclasses
import json
from typing import Any

import pytest

from gaussians.distill.pipeline import label_weights
from gaussians.distill.recipe import Labels, Recipe, Simplify, Student, Teachers
from gaussians.distill.recipe_check import check_recipe
from gaussians.distill.recipe_json import from_json, to_json
from gaussians.errors import RecipeError
from gaussians.train.recipe import Optimise


def test_round_trip_through_text() -> None:
    recipe = Recipe(
        name="mine",
        seed=7,
        teachers=Teachers(kinds=("vanilla", "dropout"), fork=0),
        student=Student(budget="5MB", simplify=Simplify(stages=9)),
    ).scaled(0.1)
    assert from_json(json.loads(json.dumps(to_json(recipe)))) == recipe


def test_every_option_is_written() -> None:
    def leaves(config: Any) -> int:
        fields = [getattr(config, field.name) for field in dataclasses.fields(config)]
        return sum(leaves(value) if dataclasses.is_dataclass(value) else 1 for value in fields)

    def written(value: Any) -> int:
        return sum(map(written, value.values())) if isinstance(value, dict) else 1

    assert written(to_json(Recipe())) == leaves(Recipe())


def test_missing_options_have_their_default_and_whole_numbers_serve_as_floats() -> None:
    recipe = from_json({"student": {"label_weight": 1}})
    assert recipe.student.label_weight == 1.0
    assert type(recipe.student.label_weight) is float
    assert recipe.student.budget == Student().budget


def test_a_recipe_from_before_selective_adam_moves_all_gaussians() -> None:
    document = to_json(Recipe())
    for part in ("teachers", "student"):
        assert document[part]["optimise"].pop("selective") is False
    assert from_json(document) == Recipe()


def test_a_recipe_from_before_free_space_clears_nothing() -> None:
    document = to_json(Recipe())
    for part in ("teachers", "student"):
        assert document[part]["optimise"].pop("clearance") == 0.0
    assert from_json(document) == Recipe()


@pytest.mark.parametrize(
    ("document", "named"),
    [
        ([], "recipe"),
        ({"sed": 1}, "sed: no such option"),
        ({"student": {"optimise": {"rates": {"speed": 1}}}}, "student.optimise.rates.speed"),
        ({"student": 3}, "student = 3"),
        ({"seed": 1.5}, "seed = 1.5"),
        ({"seed": True}, "seed = True"),
        ({"seed": "1"}, "seed = '1'"),
        ({"name": None}, "name = None"),
        ({"student": {"label_weight": "half"}}, "student.label_weight"),
        ({"student": {"label_weight": -1}}, "student.label_weight = -1.0"),
        ({"student": {"label_weight": float("nan")}}, "student.label_weight = nan"),
        ({"teachers": {"kinds": "vanilla"}}, "teachers.kinds"),
        ({"teachers": {"kinds": ["vanilla", "noisy"]}}, "teachers.kinds"),
        ({"teachers": {"kinds": ["dropout"]}}, "vanilla first"),
        ({"teachers": {"kinds": []}}, "vanilla first"),
        ({"teachers": {"kinds": ["vanilla", "vanilla"]}}, "each once"),
        ({"teachers": {"fork": 30_001}}, "teachers.fork"),
        ({"teachers": {"optimise": {"densify": {"absgrad": 1}}}}, "true or false"),
        ({"student": {"route": "cloud"}}, "student.route"),
        ({"student": {"simplify": {"importance": "size"}}}, "student.simplify.importance"),
        ({"student": {"simplify": {"start": 2000}}}, "student.simplify.start"),
        ({"student": {"simplify": {"stop": 30_000}}}, "student.simplify.stop"),
        ({"student": {"route": "points", "simplify": {"start": 1000}}}, "student.simplify.start"),
        ({"student": {"route": "points"}}, "student.optimise.densify.stop"),
        ({"teachers": {"perturb": {"unit": "metre"}}}, "teachers.perturb.unit"),
        ({"student": {"budget": "0"}}, "budget"),
        ({"student": {"poses": {"share": 0.1, "start": 9, "stop": 8}}}, "student.poses.start = 9"),
        ({"student": {"route": "points", "simplify": {"regrow": 0.1}}}, "student.simplify.regrow"),
        ({"teachers": {"optimise": {"densify": {"method": "mcmc"}}}}, "teachers.kinds: perturbed"),
        ({"teachers": {"optimise": {"densify": {"method": "magic"}}}}, "must be one of gradient, mcmc"),
        ({"labels": {"combine": "mode"}}, "labels.combine"),
        ({"student": {"structure": {"kind": "cubic"}}}, "student.structure.kind"),
        ({"student": {"budget": "100B"}}, "a PLY of a single Gaussian takes"),
        ({"student": {"photo_weight": 0, "label_weight": 0}}, "both are 0"),
        ({"student": {"label_weight": float("inf")}}, "student.label_weight = inf: must be a finite number"),
        ({"student": {"label_weight": 10**400}}, "student.label_weight: is too large"),
        ({"student": {"optimise": {"random_background": True}}}, "student.optimise.random_background = true"),
    ],
)
def test_each_mistake_is_named_in_one_line(document: Any, named: str) -> None:
    with pytest.raises(RecipeError) as failure:
        from_json(document)
    assert named in str(failure.value)
    assert "\n" not in str(failure.value)


def test_labels_of_no_trained_teacher_are_refused() -> None:
    labels = Labels(vanilla=0, perturbed=1, dropout=0)
    check_recipe(Recipe(labels=labels))
    with pytest.raises(RecipeError, match="weight 0"):
        check_recipe(Recipe(labels=labels, teachers=Teachers(kinds=("vanilla", "dropout"))))


def test_teachers_may_be_trained_on_random_backgrounds() -> None:
    check_recipe(Recipe(teachers=Teachers(optimise=Optimise(random_background=True))))


def test_a_teacher_weighs_by_its_name_and_not_by_another_option_of_that_name() -> None:
    weights = label_weights(Recipe(labels=Labels(dropout=0.5)), ["dropout", "combine", "agreement", "weight"])
    assert weights == {"dropout": 0.5, "combine": 1.0, "agreement": 1.0, "weight": 1.0}
