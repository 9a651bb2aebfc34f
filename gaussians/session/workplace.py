"""What all parts of a run work with."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from gaussians.distill.recipe import Recipe
from gaussians.scene import Scene
from gaussians.session.checkpoints import Checkpoints
from gaussians.session.directory import RunDirectory


@dataclass(frozen=True, eq=False)
class Workplace:
    """A run's directory, what it is made from, and how.

    Attributes:
        directory, scene, recipe, device: of the run.
        teachers: their names, the one that counts as vanilla first.
        checkpoints: of the run.
        breathe: called now and then in long work that yields no events.
    """

    directory: RunDirectory
    scene: Scene
    recipe: Recipe
    device: torch.device
    teachers: tuple[str, ...]
    checkpoints: Checkpoints
    breathe: Callable[[], None] | None
