"""Recipes from flags: a preset or a file, with single options set on the command line."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gaussians.distill.presets import recipe as preset
from gaussians.distill.presets import recipe_names
from gaussians.distill.recipe import Recipe
from gaussians.distill.recipe_check import check_recipe
from gaussians.distill.recipe_json import from_json, to_json
from gaussians.errors import RecipeError


def make_recipe(
    name: str,
    assignments: Sequence[str] = (),
    factor: float | None = None,
    budget: str | None = None,
    seed: int | None = None,
) -> Recipe:
    """A recipe as flags describe it.

    Args:
        name: of a preset, or a JSON file.
        assignments: OPTION=VALUE by dotted paths.
        factor: on all steps, after that.
        budget, seed: in place of the recipe's.

    Raises:
        RecipeError: one of them is wrong, or they contradict each other.
    """
    document = to_json(_named(name))
    for assignment in assignments:
        _assign(document, assignment)
    if budget is not None:
        document["student"]["budget"] = budget
    if seed is not None:
        document["seed"] = seed
    recipe = from_json(document)
    if factor is not None:
        if not 0 < factor <= 100:
            raise RecipeError(f"--steps {factor}: a factor on the recipe's steps, above 0 and at most 100")
        recipe = recipe.scaled(factor)
    check_recipe(recipe)  # again: scaled to very few steps, schedules may no longer fit together
    return recipe


def _named(name: str) -> Recipe:
    path = Path(name)
    if path.suffix != ".json":
        return preset(name)
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RecipeError(f"{path}: no such recipe; there are {', '.join(recipe_names())}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise RecipeError(f"{path}: not readable as a recipe in JSON ({reason})") from error
    try:
        # A run's recipe.json serves, too.
        return from_json(document.get("recipe", document) if isinstance(document, dict) else document)
    except RecipeError as error:
        raise RecipeError(f"{path}: {error}") from error


def _assign(document: dict[str, Any], assignment: str) -> None:
    """Set one option of a recipe's JSON by its dotted path; text needs no quotes, a list may have commas."""
    path, equals, text = assignment.partition("=")
    *parents, name = path.split(".")
    node: Any = document
    for parent in parents:
        node = node.get(parent) if isinstance(node, dict) else None
    if not isinstance(node, dict) or name not in node:
        raise RecipeError(
            f"--set {assignment}: no such option; wanted is OPTION=VALUE, as recipe.json names them"
        )
    if not equals:
        raise RecipeError(f"--set {assignment}: =VALUE is missing; wanted is OPTION=VALUE")
    before = node[name]
    try:
        value = json.loads(text)
    except ValueError:
        value = [part.strip() for part in text.split(",")] if isinstance(before, list) else text
    # A budget of 50000 looks like a number, and is wanted as it is written.
    node[name] = text if isinstance(before, str) and not isinstance(value, str) else value
