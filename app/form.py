"""The form of a recipe: what widget each option wants, from the recipe's dataclasses and nothing else."""

import dataclasses
import re
import typing
from dataclasses import dataclass
from typing import Any

from gaussians.distill.presets import recipe as preset
from gaussians.distill.recipe import TEACHER_KINDS, Recipe
from gaussians.distill.recipe_check import (
    COMBINATIONS,
    IMPORTANCES,
    METHODS,
    ROUTES,
    STARTS,
    STRUCTURES,
    UNITS,
)
from gaussians.distill.recipe_json import from_json, to_json
from gaussians.errors import RecipeError

CHOICES = {
    "student.route": ROUTES,
    "student.start": STARTS,
    "student.simplify.importance": IMPORTANCES,
    "student.structure.kind": STRUCTURES,
    "student.optimise.densify.method": METHODS,
    "teachers.optimise.densify.method": METHODS,
    "labels.combine": COMBINATIONS,
    "teachers.perturb.unit": UNITS,
}
CUSTOM = "custom"  # what an edited preset is called
_WORDS = {"sh": "SH", "sh0": "SH 0", "shN": "SH 1-3", "ssim": "SSIM", "mb": "MB", "absgrad": "abs. gradient"}


@dataclass(frozen=True)
class Field:
    """One option as a widget shows it.

    Attributes:
        path: dotted, as recipe.json names it: "student.label_weight".
        label: for people: "Label weight".
        help: what it means.
        kind: "int", "float", "bool", "text", "choice" or "set" (any of `choices`).
        low, high: inclusive bounds; None: none.
        choices: of a choice or a set.
    """

    path: str
    label: str
    help: str
    kind: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()

    @property
    def bounds(self) -> str:
        """The bounds in words, or nothing."""
        if self.low is not None and self.high is not None:
            return f"{self.low:g} to {self.high:g}"
        return f"at least {self.low:g}" if self.low is not None else ""


@dataclass(frozen=True)
class Group:
    """The options of one dataclass, and the groups within it."""

    path: str
    label: str
    fields: tuple[Field, ...]
    groups: tuple["Group", ...]

    def all_fields(self) -> tuple[Field, ...]:
        """The fields of this group and of all within it."""
        return (*self.fields, *(field for group in self.groups for field in group.all_fields()))


def label(name: str) -> str:
    """An option's name for people: "label_weight" is "Label weight"."""
    words = [_WORDS.get(word, word) for word in name.split("_")]
    text = " ".join(words)
    return text[:1].upper() + text[1:]


def names_option(error: str, path: str) -> bool:
    """Whether an error of a recipe is about this option: by its dotted path, or its name and value first."""
    name = path.rpartition(".")[2]
    return (
        error.startswith(f'{name} "')
        or re.search(rf"(?<![\w.]){re.escape(path)}(?!\.?\w)", error) is not None
    )


def recipe_form() -> Group:
    """The whole recipe as a tree of groups. Its name is not in it: a preset's, or "custom"."""
    return _group(Recipe, "", "Recipe")


def _group(config: Any, path: str, title: str) -> Group:
    types = typing.get_type_hints(config)
    fields, groups = [], []
    for field in dataclasses.fields(config):
        where = f"{path}.{field.name}" if path else field.name
        wanted = types[field.name]
        if dataclasses.is_dataclass(wanted):
            groups.append(_group(wanted, where, label(field.name)))
        elif where != "name":
            fields.append(_field(where, wanted, field.metadata))
    return Group(path, title, tuple(fields), tuple(groups))


def _field(path: str, wanted: Any, metadata: typing.Mapping[str, Any]) -> Field:
    kinds = {int: "int", float: "float", bool: "bool", str: "text", tuple[str, ...]: "set"}
    kind, choices = kinds[wanted], ()
    if path in CHOICES:
        kind, choices = "choice", CHOICES[path]
    elif kind == "set":
        choices = TEACHER_KINDS
    name = path.rpartition(".")[2]
    low, high = metadata.get("low"), metadata.get("high")
    return Field(path, label(name), metadata.get("help", ""), kind, low, high, choices)


class RecipeForm:
    """A recipe being edited. Validation is the recipe's own, so that all its texts are the same.

    Args:
        name: of the preset to begin with.
    """

    def __init__(self, name: str) -> None:
        self.error = ""
        self._document = to_json(preset(name))

    def choose(self, name: str) -> None:
        """Begin anew from a preset."""
        self._document, self.error = to_json(preset(name)), ""

    def load(self, recipe: Recipe) -> None:
        """Show a recipe, such as that of an opened run."""
        self._document, self.error = to_json(recipe), ""

    @property
    def name(self) -> str:
        """The preset's name, or "custom" where an option was changed."""
        return self._document["name"]

    def value(self, path: str) -> Any:
        """The value of an option by its dotted path."""
        node: Any = self._document
        for part in path.split("."):
            node = node[part]
        return node

    def edit(self, path: str, value: Any) -> bool:
        """Set an option; whether the recipe holds together now. If not, `error` says why."""
        *parents, name = path.split(".")
        node: Any = self._document
        for part in parents:
            node = node[part]
        if node[name] != value:
            node[name] = value
            if path != "student.budget":  # any recipe is run with any budget
                self._document["name"] = CUSTOM
        return self.recipe() is not None

    def recipe(self) -> Recipe | None:
        """The recipe as edited; None where it can't be carried out: see `error`."""
        try:
            recipe = from_json(self._document)
        except RecipeError as error:
            self.error = str(error)
            return None
        self.error = ""
        return recipe
