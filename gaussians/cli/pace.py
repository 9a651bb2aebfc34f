"""How long an ablation will still take."""

import time

from gaussians.distill.pipeline import LABELS
from gaussians.session.ablation import Ablation, AblationEvent, TaskAdvanced, TaskStarted
from gaussians.session.ablation_directory import Task
from gaussians.session.events import StageFinished, StageStarted, StepDone


class Pace:
    """Counts training steps, and times those of teachers and of students apart, as these are much smaller.

    Args:
        ablation: about to do what is left to do.
    """

    def __init__(self, ablation: Ablation) -> None:
        waiting = [task for task in ablation.tasks if not ablation.is_finished(task)]
        self._left = {task: ablation.steps(task) for task in waiting}
        self._seconds = {True: 0.0, False: 0.0}  # by whether a student's
        self._steps = {True: 0, False: 0}
        self._last = time.perf_counter()

    @property
    def runs_left(self) -> int:
        """That aren't finished."""
        return len(self._left)

    def see(self, event: AblationEvent) -> None:
        """Take account of what happened."""
        task, now = event.task, time.perf_counter()
        if isinstance(event, TaskAdvanced):
            self._advance(task, event)
            self._seconds[_is_student(task)] += now - self._last
        elif not isinstance(event, TaskStarted):
            self._left.pop(task, None)
        self._last = now

    def seconds_left(self) -> float | None:
        """None: too little was timed yet."""
        rates = {kind: self._seconds[kind] / steps for kind, steps in self._steps.items() if steps >= 10}
        if not rates:
            return None
        fallback = next(iter(rates.values()))
        return sum(steps * rates.get(_is_student(task), fallback) for task, steps in self._left.items())

    def _advance(self, task: Task, event: TaskAdvanced) -> None:
        told = event.event
        if isinstance(told, StepDone) and told.stage.name != LABELS:
            self._left[task] -= 1
            self._steps[_is_student(task)] += 1
        elif isinstance(told, StageStarted):
            self._left[task] -= told.step - told.stage.first if told.stage.name != LABELS else 0
        elif isinstance(told, StageFinished) and told.resumed and told.stage.name != LABELS:
            self._left[task] -= told.stage.last - told.stage.first


def _is_student(task: Task) -> bool:
    return task.variant is not None
