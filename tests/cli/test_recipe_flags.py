from pathlib import Path

import pytest

from gaussians.cli.recipe_flags import make_recipe
from gaussians.errors import RecipeError


@pytest.mark.parametrize("text", ["vanilla,dropout", "vanilla, dropout", '["vanilla", "dropout"]'])
def test_a_list_is_given_with_commas_or_as_json(text: str) -> None:
    assert make_recipe("fast", [f"teachers.kinds={text}"]).teachers.kinds == ("vanilla", "dropout")


def test_one_name_is_a_list_of_one() -> None:
    assert make_recipe("fast", ["teachers.kinds=vanilla"]).teachers.kinds == ("vanilla",)


def test_a_name_that_is_none_is_told() -> None:
    with pytest.raises(RecipeError, match=r"teachers\.kinds"):
        make_recipe("fast", ["teachers.kinds=vanilla,nobody"])


@pytest.mark.parametrize("text", ["50000", '"50000"'])
def test_what_is_text_is_taken_as_it_is_written(text: str) -> None:
    assert make_recipe("fast", [f"student.budget={text}"]).student.budget == "50000"


def test_a_value_that_is_missing_is_told() -> None:
    with pytest.raises(RecipeError, match=r"^--set student\.label_weight: =VALUE is missing"):
        make_recipe("fast", ["student.label_weight"])


def test_a_folder_named_as_a_recipe_is_told_with_its_path_once(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.mkdir()
    with pytest.raises(RecipeError) as caught:
        make_recipe(str(path))
    assert str(caught.value) == f"{path}: not readable as a recipe in JSON (Is a directory)"
