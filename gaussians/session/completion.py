"""What a stage of a run ends with: its splat, written and measured, and its mark; and the run, its report."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from gaussians.distill.pipeline import TRUNK, Stage
from gaussians.distill.recipe import Recipe
from gaussians.io import read_splat
from gaussians.model import Gaussians
from gaussians.scene import Scene
from gaussians.session.checkpoints import Checkpoints
from gaussians.session.clock import StageClock
from gaussians.session.directory import RunDirectory
from gaussians.session.measure import written
from gaussians.session.picture import write_picture
from gaussians.session.report import build_report
from gaussians.storage import write_json


class Completion:
    """Brings a run's stages to their end.

    Args:
        directory, scene, recipe, device: of the run.
        teachers: their names, the one that counts as vanilla first.
        checkpoints: of the run.
        breathe: called now and then while models are measured.
    """

    def __init__(
        self,
        directory: RunDirectory,
        scene: Scene,
        recipe: Recipe,
        teachers: Sequence[str],
        device: torch.device,
        checkpoints: Checkpoints,
        breathe: Callable[[], None] | None,
    ) -> None:
        self._directory, self._scene, self._recipe, self._device = directory, scene, recipe, device
        self._teachers, self._checkpoints, self._breathe = tuple(teachers), checkpoints, breathe

    def write(self, model: str, gaussians: Gaussians) -> dict[str, Any]:
        """Write a model's splat, read it back and measure it; facts of that. Raises StorageError."""
        path = self._directory.splat(model)
        return written(path, gaussians, self._scene, self._device, self._breathe)

    def finish(self, name: str, facts: Mapping[str, Any]) -> None:
        """Mark a stage finished, in the folder that may have gone while it was measured.

        Raises:
            StorageError: it has, or can't be written.
        """
        self._directory.check_there()
        self._checkpoints.finish(name, facts)

    def adopt(self, stage: Stage, given: Path) -> dict[str, Any]:
        """Copy a given teacher into the run as PLY, measure it and mark it finished; its facts.

        Raises:
            SplatError: the file can't be read.
            StorageError: the run's folder is gone, or can't be written.
        """
        self._directory.check_there()
        gaussians = read_splat(given)
        clock = StageClock(self._device)
        facts = {
            "step": 0,
            "gaussians": len(gaussians),
            **clock.facts(),
            **self.write(stage.model, gaussians),
        }
        self.finish(stage.name, facts)
        return facts

    def drop_unneeded(self, stage: Stage) -> None:
        """Delete finished optimizer states: only forks need the trunk's, and only until all have finished.

        Args:
            stage: that has just finished.
        """
        if all(self._checkpoints.finished(name) is not None for name in self._teachers):
            self._checkpoints.drop(TRUNK)
        if stage.name != TRUNK:
            self._checkpoints.drop(stage.name)

    def report(self, facts: Mapping[str, dict[str, Any] | None]) -> dict[str, Any]:
        """Write report.json and its picture, once all has finished.

        Args:
            facts: of each stage, and of the ensemble.

        Returns:
            What report.json holds.

        Raises:
            StorageError: the run's folder is gone, or can't be written.
        """
        report = build_report(self._scene, self._recipe, self._device, self._teachers, facts)
        write_picture(self._directory, self._scene, report, self._device, self._breathe)
        self._directory.check_there()
        write_json(self._directory.report, report)
        return report
