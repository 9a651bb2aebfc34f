"""How far a run is, how fast, and how long it will take: from the engine's events."""

import time
from collections import deque
from collections.abc import Callable

from gaussians.distill.pipeline import Stage
from gaussians.session.events import Event, RunFinished, StageFinished, StageStarted, StepDone

WINDOW = 5.0  # seconds of steps that the rate is taken over


class RunProgress:
    """The stage under way, and the run as a whole.

    Args:
        plan: the run's stages.
        clock: seconds; for tests.
    """

    def __init__(self, plan: tuple[Stage, ...], clock: Callable[[], float] = time.monotonic) -> None:
        self.plan = plan
        self.stage: Stage | None = None
        self.step = 0
        self.count = 0
        self.finished = False
        self._done = {stage.name: 0 for stage in plan}
        self._recent: deque[tuple[float, int]] = deque()
        self._clock = clock

    def take(self, event: Event) -> None:
        """Follow an event of the run."""
        if isinstance(event, StageStarted | StepDone):
            if self.stage != event.stage:
                self._recent.clear()
            self.stage, self.step = event.stage, event.step
            self._done[event.stage.name] = max(0, event.step - event.stage.first)
            if isinstance(event, StepDone):  # what comes before a stage's first step is no step
                self.count = event.count
                self._recent.append((self._clock(), event.step))
            while len(self._recent) > 2 and self._recent[-1][0] - self._recent[0][0] > WINDOW:
                self._recent.popleft()
        elif isinstance(event, StageFinished):
            self._done[event.stage.name] = event.stage.last - event.stage.first
        elif isinstance(event, RunFinished):
            self.finished = True

    def paused(self) -> None:
        """Time passes without steps: the rate begins anew."""
        self._recent.clear()

    @property
    def number(self) -> int:
        """Of the stage under way, from 1; 0 before the first."""
        names = [stage.name for stage in self.plan]
        return names.index(self.stage.name) + 1 if self.stage and self.stage.name in names else 0

    @property
    def stage_share(self) -> float:
        """Of the stage's steps that are done, 0 to 1."""
        if self.stage is None or self.stage.last == self.stage.first:
            return 0.0
        return (self.step - self.stage.first) / (self.stage.last - self.stage.first)

    @property
    def total_share(self) -> float:
        """Of all stages' steps that are done, 0 to 1."""
        total = sum(stage.last - stage.first for stage in self.plan)
        return 1.0 if self.finished else min(1.0, sum(self._done.values()) / max(1, total))

    @property
    def rate(self) -> float | None:
        """Steps a second; None: not known yet."""
        if len(self._recent) < 2:
            return None
        (began, first), (now, last) = self._recent[0], self._recent[-1]
        return (last - first) / (now - began) if now > began and last > first else None

    @property
    def stage_left(self) -> float | None:
        """Seconds to the end of the stage at this rate."""
        rate = self.rate
        return None if rate is None or self.stage is None else (self.stage.last - self.step) / rate

    @property
    def total_left(self) -> float | None:
        """Seconds to the end of the run, if later stages are as fast as this one."""
        rate = self.rate
        if rate is None:
            return None
        left = sum(stage.last - stage.first - self._done[stage.name] for stage in self.plan)
        return left / rate
