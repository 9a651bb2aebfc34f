"""Flags that several commands share."""

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from gaussians.errors import RecipeError
from gaussians.scene import SceneOptions


@dataclass(frozen=True)
class SceneFlags:
    """How a scene is read; a run's own settings where not given."""

    resolution: Annotated[str | None, tyro.conf.arg(metavar="1/4|WIDTH")] = None
    """Train and measure on smaller images: a fraction "1/2", or a width in pixels."""
    test_every: int | None = None
    """Hold out every Nth image by name as a test view (default 8; 0: none)."""
    test_names: tuple[str, ...] = ()
    """Hold out these images instead, by name."""
    background: str | None = None
    """What lies behind transparent pixels: auto, white, black or #rrggbb."""
    photo_memory_mb: Annotated[float | None, tyro.conf.arg(metavar="MB")] = None
    """Keep decoded photos of more than this in a temporary file (default: a quarter of main memory)."""

    def apply(self, options: SceneOptions) -> SceneOptions:
        """The options with those flags that were given in their place."""
        given: dict[str, Any] = {
            name: value for name, value in dataclasses.asdict(self).items() if value not in (None, ())
        }
        return dataclasses.replace(options, **given)


def parse(function: Any, arguments: list[str], command: str, description: str) -> Any:
    """Let tyro read `arguments` into the parameters of `function` and call it; exit code 2 on bad flags.

    Raises:
        RecipeError: one of the arguments is empty.
    """
    _refuse_empty(arguments)
    return tyro.cli(
        function,
        prog=f"main.py {command}".strip(),
        description=description,
        args=arguments,
        config=(tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff),
    )


def _refuse_empty(arguments: list[str]) -> None:
    """Raise RecipeError for `--out ""`, as of an unset variable: as a path it is the working directory."""
    flag = "an argument"
    for argument in arguments:
        name, equals, value = argument.partition("=")
        is_flag = argument.startswith("--")
        flag = name if is_flag else flag
        if not argument or (is_flag and equals and not value):
            raise RecipeError(f"{flag}: is empty, perhaps by a variable that isn't set; give it a value")


def check_save_every(seconds: float) -> None:
    """Raise RecipeError where `--save-every` would never save, or is no time."""
    if not (math.isfinite(seconds) and seconds >= 0):
        raise RecipeError(f"--save-every {seconds:g}: a number of seconds, at least 0")


def absolute(path: Path) -> Path:
    """The path as the run directory remembers it: independent of the working directory."""
    return path.expanduser().resolve()
