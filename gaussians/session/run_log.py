"""What a run notes while it trains: lines of metrics.jsonl, which a window is told of as well."""

import time
from collections.abc import Callable
from typing import Any

import torch

from gaussians.distill.pipeline import Stage
from gaussians.model import Gaussians
from gaussians.scene import Scene
from gaussians.session.directory import RunDirectory
from gaussians.session.events import StepDone
from gaussians.session.machine import memory_in_use
from gaussians.session.measure import Probe
from gaussians.session.metrics import MetricsLog
from gaussians.train.variation import StepStats


class RunLog:
    """Makes the lines.

    Args:
        directory, scene, device: of the run.
        metrics: where lines are added.
        on_line: told of each.
    """

    def __init__(
        self,
        directory: RunDirectory,
        scene: Scene,
        device: torch.device,
        metrics: MetricsLog,
        on_line: Callable[[dict[str, Any]], None] | None,
    ) -> None:
        self._directory, self._device, self._metrics, self._on_line = directory, device, metrics, on_line
        self._probe = Probe(scene, device)

    def add(self, stage: Stage, step: int, values: dict[str, Any]) -> None:
        """Add a line to metrics.jsonl. Raises StorageError."""
        head = {"time": round(time.time(), 3), "stage": stage.name, "model": stage.model, "step": step}
        self._directory.check_there()
        self._metrics.append(head | values)
        if self._on_line is not None:
            self._on_line(head | values)

    def step(self, stage: Stage, stats: StepStats, gaussians: Gaussians) -> StepDone:
        """Note a step that was done, if it is one of those that are: with its loss, or probed.

        Args:
            stage: that is trained.
            stats: of the step.
            gaussians: after it.

        Raises:
            StorageError: the line could not be written.
        """
        psnr = self._probe.psnr(gaussians, stats.step, stage.last)
        if stats.terms is not None or psnr is not None:
            values: dict[str, Any] = {"count": stats.count}
            if stats.terms is not None:
                values |= {"loss": stats.terms, "memory": memory_in_use(self._device)}
            if psnr is not None:
                values["psnr"] = psnr
            self.add(stage, stats.step, values)
        return StepDone(stage, stats.step, stats.count, stats.terms, psnr)
