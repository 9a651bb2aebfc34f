import dataclasses
import typing

import pytest

from app.form import CHOICES, CUSTOM, RecipeForm, names_option, recipe_form
from gaussians.distill.presets import recipe, recipe_names
from gaussians.distill.recipe import Recipe

FORM = recipe_form()
FIELDS = {field.path: field for field in FORM.all_fields()}


def leaves(config: typing.Any, path: str = "") -> set[str]:
    """The dotted paths of all options in a tree of dataclasses."""
    found = set()
    for field in dataclasses.fields(config):
        value, where = getattr(config, field.name), f"{path}{field.name}"
        found |= leaves(value, f"{where}.") if dataclasses.is_dataclass(value) else {where}
    return found


def test_every_option_of_the_recipe_has_one_field() -> None:
    assert set(FIELDS) == leaves(Recipe()) - {"name"}


def test_every_field_has_help_and_a_label() -> None:
    for field in FIELDS.values():
        assert field.help, field.path
        assert field.label[0].isupper() or field.label[0].isdigit(), field.path


def test_kinds_bounds_and_choices_come_from_the_dataclasses() -> None:
    assert FIELDS["student.photo_weight"].kind == "float"
    assert FIELDS["student.optimise.sh_degree"].kind == "int"
    assert FIELDS["student.optimise.sh_degree"].bounds == "0 to 3"
    assert FIELDS["seed"].bounds == "at least 0"
    assert FIELDS["student.structure.by_opacity"].kind == "bool"
    assert FIELDS["teachers.kinds"].kind == "set"
    assert FIELDS["student.route"].choices == CHOICES["student.route"]


def test_all_choices_are_of_fields_that_there_are() -> None:
    assert set(CHOICES) <= set(FIELDS)


@pytest.mark.parametrize("name", recipe_names())
def test_a_preset_comes_back_as_it_is(name: str) -> None:
    assert RecipeForm(name).recipe() == recipe(name)


def test_an_edit_is_in_the_recipe_and_makes_it_custom() -> None:
    form = RecipeForm("preview")
    assert form.edit("student.label_weight", 0.25)
    edited = form.recipe()
    assert edited is not None
    assert edited.student.label_weight == 0.25
    assert form.name == CUSTOM


def test_a_budget_leaves_the_recipes_name() -> None:
    form = RecipeForm("fast")
    assert form.edit("student.budget", "5MB")
    assert form.name == "fast"


def test_setting_what_is_there_changes_nothing() -> None:
    form = RecipeForm("fast")
    form.edit("seed", form.value("seed"))
    assert form.name == "fast"


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("student.photo_weight", -1.0, "student.photo_weight"),
        ("student.budget", "a lot", "budget"),
        ("student.budget", "200%", "200%"),
        ("teachers.kinds", ["dropout"], "teachers.kinds"),
        ("teachers.fork", 9999, "teachers.fork"),
    ],
)
def test_what_is_wrong_is_said_in_the_engines_words_and_mended_by_another_edit(
    path: str, value: object, says: str
) -> None:
    form = RecipeForm("preview")
    before = form.value(path)
    assert not form.edit(path, value)
    assert form.recipe() is None
    assert says in form.error
    assert form.edit(path, before)
    assert form.error == ""


def test_a_runs_recipe_can_be_shown() -> None:
    form = RecipeForm("preview")
    form.load(recipe("paper"))
    assert form.recipe() == recipe("paper")


def test_an_error_names_the_options_it_is_about() -> None:
    form = RecipeForm("preview")
    assert not form.edit("teachers.fork", 99_999)
    about = {field.path for field in recipe_form().all_fields() if names_option(form.error, field.path)}
    assert about == {"teachers.fork", "teachers.optimise.steps"}
    assert not form.edit("student.budget", "much")
    assert names_option(form.error, "student.budget")
    assert not names_option("", "seed")
