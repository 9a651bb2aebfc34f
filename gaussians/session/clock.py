"""How long a stage took and how much memory it needed, over all sessions that worked on it."""

import time
from collections.abc import Mapping
from typing import Any

import torch

from gaussians.session.machine import memory_in_use

SAVE_EVERY = 10.0  # seconds between checkpoints: what a kill may cost
SAVE_SHARE = 0.02  # of the time may go into them; large models save less often for it


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
        self._save_due = time.perf_counter() + SAVE_EVERY
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)

    def step(self, seconds: float, look_at_memory: bool) -> None:
        """Add a step's seconds; `look_at_memory` now and then."""
        self._seconds += seconds
        if look_at_memory:
            self._peak = max(self._peak, memory_in_use(self._device))

    def wants_saving(self) -> bool:
        """Whether a checkpoint is due."""
        return time.perf_counter() >= self._save_due

    def saved(self, seconds: float) -> None:
        """A checkpoint was written and took so long."""
        self._save_due = time.perf_counter() + max(SAVE_EVERY, seconds / SAVE_SHARE)

    def facts(self) -> dict[str, Any]:
        """seconds and peak_memory (bytes) so far."""
        return {"seconds": round(self._seconds, 3), "peak_memory": self._peak}
