"""Recipes as JSON: what recipe.json holds, and what can be edited by hand and read back."""

import dataclasses
import typing
from typing import Any

from gaussians.distill.recipe import Recipe
from gaussians.distill.recipe_check import check_recipe
from gaussians.errors import RecipeError


def to_json(recipe: Recipe) -> dict[str, Any]:
    """The whole tree, every option written out, as what `json.dumps` takes."""
    return _plain(recipe)


def from_json(document: Any) -> Recipe:
    """Read what `to_json` made. Options that are missing have their default.

    Raises:
        RecipeError: an unknown option, a value of the wrong type or outside its bounds; names it by its
            dotted path.
    """
    recipe = _read(Recipe, document, "")
    check_recipe(recipe)
    return recipe


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return list(value) if isinstance(value, tuple) else value


def _read(wanted: Any, value: Any, path: str) -> Any:
    """`value` as the annotated type `wanted`: a dataclass of these, a tuple of strings or a plain value."""
    if dataclasses.is_dataclass(wanted):
        return _read_options(wanted, value, path)
    if wanted == tuple[str, ...]:
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(value)
        raise _wrong(path, value, "a list of strings")
    if wanted is float and isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:  # a whole number of more than 308 digits
            raise RecipeError(f"{path}: is too large a number") from None
    if type(value) is wanted:  # a bool is no int here
        return value
    names = {int: "a whole number", float: "a number", str: "a string", bool: "true or false"}
    raise _wrong(path, value, names[wanted])


def _read_options(config: Any, value: Any, path: str) -> Any:
    if not isinstance(value, dict):
        raise _wrong(path or "recipe", value, "an object with options")
    types = typing.get_type_hints(config)
    for name in value:
        if name not in types:
            where = f"{path}.{name}" if path else name
            raise RecipeError(f"{where}: no such option; known here: {', '.join(types)}")
    prefix = f"{path}." if path else ""
    return config(**{name: _read(types[name], item, prefix + name) for name, item in value.items()})


def _wrong(path: str, value: Any, wanted: str) -> RecipeError:
    shown = repr(value)
    return RecipeError(f"{path} = {shown if len(shown) < 40 else shown[:37] + '...'}: must be {wanted}")
