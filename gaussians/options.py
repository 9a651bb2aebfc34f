"""Options stated once: default, help and bounds, for command line, window form and recipe.json alike."""

import dataclasses
import math
from typing import Any

from gaussians.errors import RecipeError


def option(default: Any, help: str, *, low: float | None = None, high: float | None = None) -> Any:
    """Declare a dataclass field with its help text and its inclusive bounds."""
    return dataclasses.field(default=default, metadata={"help": help, "low": low, "high": high})


def check_bounds(config: Any, where: str = "") -> None:
    """Check that every number in a tree of dataclasses is finite and within its bounds.

    Raises:
        RecipeError: names the option by its dotted path, its value and its bounds.
    """
    for field in dataclasses.fields(config):
        value, path = getattr(config, field.name), f"{where}{field.name}"
        if dataclasses.is_dataclass(value):
            check_bounds(value, f"{path}.")
            continue
        if not isinstance(value, int | float):
            continue
        # JSON as Python reads it has Infinity and NaN, and no whole number is infinite.
        if isinstance(value, float) and not math.isfinite(value):
            raise RecipeError(f"{path} = {value}: must be a finite number")
        low, high = field.metadata.get("low"), field.metadata.get("high")
        if (low is not None and not value >= low) or (high is not None and not value <= high):
            raise RecipeError(f"{path} = {value}: must be {_range(low, high)}")


def _range(low: float | None, high: float | None) -> str:
    if low is None:
        return f"at most {high}"
    return f"at least {low}" if high is None else f"between {low} and {high}"
