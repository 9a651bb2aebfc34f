"""What a run does when memory is full: the stage goes back to its checkpoint and on with fewer Gaussians."""

from collections.abc import Mapping
from typing import Any

import torch

from gaussians.distill.pipeline import STUDENT, Stage, is_compact, student_budget
from gaussians.distill.recipe import Recipe
from gaussians.distill.variant_changes import having
from gaussians.errors import TrainingError
from gaussians.memory import LowMemoryError, free_memory, is_low
from gaussians.train.optimisation import Optimisation

CAP = "cap"
"""Key, in a checkpoint's facts, of the count that a stage had to be held to."""
_STEP = 0.9  # of its Gaussians a stage keeps when an allocation failed
MORE_MEMORY = "close other programs, then resume; or train anew at a lower --resolution"


class BackingOff:
    """The counts that stages are held to, for want of memory.

    Args:
        recipe: of the run.
        device: whose memory counts.
    """

    def __init__(self, recipe: Recipe, device: torch.device) -> None:
        self._recipe, self._device = recipe, device
        self._caps: dict[str, int] = {}

    def take(self, stage: Stage, facts: Mapping[str, Any]) -> None:
        """Go on with what a checkpoint says."""
        if CAP in facts:
            self._caps[stage.name] = min(facts[CAP], self._caps.get(stage.name, facts[CAP]))

    def facts(self, stage: Stage) -> dict[str, int]:
        """What a checkpoint has to say; empty for a stage that is not held."""
        return {CAP: self._caps[stage.name]} if stage.name in self._caps else {}

    def recipe(self, stage: Stage) -> Recipe:
        """The run's, with growth ending at what the stage is held to."""
        if stage.name not in self._caps:
            return self._recipe
        cap = self._caps[stage.name]
        teachers = min(cap, self._recipe.teachers.optimise.densify.cap)
        student = min(cap, self._recipe.student.optimise.densify.cap)
        changed = {"teachers__optimise__densify__cap": teachers, "student__optimise__densify__cap": student}
        return having(**changed)(self._recipe)

    def look(self, stage: Stage) -> None:
        """Between two steps: raise LowMemoryError once where little memory is left and the stage may grow."""
        if not is_low(self._device):
            return
        free_memory(self._device)
        if stage.name not in self._caps and self._grows(stage) and is_low(self._device):
            raise LowMemoryError

    def hold(self, stage: Stage, step: int, count: int, vanilla: int, error: BaseException) -> str:
        """Decide what a stage is held to from now on; one line that says so.

        Args:
            stage: that ran out of memory.
            step, count: it had done, and its Gaussians.
            vanilla: Gaussians of that teacher, from which a student's budget counts; 0: not known yet.
            error: what was raised.

        Raises:
            TrainingError: it can't do with less.
        """
        if isinstance(error, LowMemoryError):
            self._caps[stage.name] = count
            return f"little memory is left: {stage.name} goes on without growing beyond {count:,} Gaussians"
        least = student_budget(self._recipe, vanilla) if stage.name == STUDENT else 1
        cap = max(least, int(_STEP * min(count, self._caps.get(stage.name, count))))
        if cap >= count:
            raise TrainingError(
                f"{stage.name}, step {step}: memory is full at {count:,} Gaussians; {MORE_MEMORY}"
            )
        self._caps[stage.name] = cap
        return f"memory is full: {stage.name} goes on from its checkpoint with {cap:,} Gaussians at most"

    def shed(self, stage: Stage, optimisation: Optimisation) -> None:
        """Remove the most transparent Gaussians beyond what the stage is held to."""
        over = len(optimisation) - self._caps.get(stage.name, len(optimisation))
        if over <= 0:
            return
        with torch.no_grad():
            opacities = optimisation.live.opacities
            kept = torch.ones_like(opacities, dtype=torch.bool)
            kept[opacities.argsort(stable=True)[:over]] = False
        optimisation.keep(kept)

    def _grows(self, stage: Stage) -> bool:
        if stage.name == STUDENT:
            return self._recipe.student.route == "points"
        return not is_compact(stage, self._recipe)
