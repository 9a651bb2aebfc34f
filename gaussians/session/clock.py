"""How long a stage took and how much memory it needed, over all sessions; and when to save."""

import contextlib
import time
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from gaussians.session.machine import memory_in_use

SAVE_EVERY = 10.0  # seconds between checkpoints: what a kill may cost
SAVE_SHARE = 0.02  # of the time may go into them: large models are saved less often


class StageClock:
    """Adds up the time of steps: neither pauses nor checkpoints nor measurements count.

    Args:
        device: whose memory is watched.
        facts: from an earlier session: seconds and peak_memory.
    """

    def __init__(self, device: torch.device, facts: Mapping[str, Any] | None = None) -> None:
        self._device = device
        self._seconds: float = facts["seconds"] if facts else 0.0
        self._peak: int = facts["peak_memory"] if facts else 0
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)

    def step(self, seconds: float, look_at_memory: bool) -> None:
        """Add a step's seconds; `look_at_memory` now and then."""
        self._seconds += seconds
        if look_at_memory:
            self._peak = max(self._peak, memory_in_use(self._device))

    def facts(self) -> dict[str, Any]:
        """seconds and peak_memory (bytes) so far."""
        return {"seconds": round(self._seconds, 3), "peak_memory": self._peak}


class SaveTimer:
    """When the next checkpoint is due.

    Args:
        every: seconds between checkpoints, if saving is quick.
    """

    def __init__(self, every: float = SAVE_EVERY) -> None:
        self._every = every
        self._due = time.perf_counter() + every

    @property
    def is_due(self) -> bool:
        """Whether it is time."""
        return time.perf_counter() >= self._due

    @contextlib.contextmanager
    def saving(self) -> Iterator[None]:
        """Within: a checkpoint is written. The next is due the later, the longer that takes."""
        began = time.perf_counter()
        yield
        now = time.perf_counter()
        self._due = now + max(self._every, (now - began) / SAVE_SHARE)
