"""What a stage of a run ends with: its splat, written and measured, and its mark; and the run, its report."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gaussians.distill.pipeline import TRUNK, Stage
from gaussians.io import read_splat
from gaussians.model import Gaussians
from gaussians.session.clock import StageClock
from gaussians.session.measure import written
from gaussians.session.picture import write_picture
from gaussians.session.report import build_report
from gaussians.session.workplace import Workplace
from gaussians.storage import write_json


class Completion:
    """Brings a run's stages to their end.

    Args:
        workplace: of the run.
    """

    def __init__(self, workplace: Workplace) -> None:
        self._at = workplace

    def write(self, model: str, gaussians: Gaussians) -> dict[str, Any]:
        """Write a model's splat, read it back and measure it; facts of that. Raises StorageError."""
        path = self._at.directory.splat(model)
        return written(path, gaussians, self._at.scene, self._at.device, self._at.breathe)

    def finish(self, name: str, facts: Mapping[str, Any]) -> None:
        """Mark a stage finished, in the folder that may have gone while it was measured.

        Raises:
            StorageError: it has, or can't be written.
        """
        self._at.directory.check_there()
        self._at.checkpoints.finish(name, facts)

    def adopt(self, stage: Stage, given: Path) -> dict[str, Any]:
        """Copy a given teacher into the run as PLY, measure it and mark it finished; its facts.

        Raises:
            SplatError: the file can't be read.
            StorageError: the run's folder is gone, or can't be written.
        """
        self._at.directory.check_there()
        gaussians = read_splat(given)
        clock = StageClock(self._at.device)
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
        if all(self._at.checkpoints.finished(name) is not None for name in self._at.teachers):
            self._at.checkpoints.drop(TRUNK)
        if stage.name != TRUNK:
            self._at.checkpoints.drop(stage.name)

    def report(self, facts: Mapping[str, dict[str, Any] | None]) -> dict[str, Any]:
        """Write report.json and its picture, once all has finished.

        Args:
            facts: of each stage, and of the ensemble.

        Returns:
            What report.json holds.

        Raises:
            StorageError: the run's folder is gone, or can't be written.
        """
        report = build_report(self._at.scene, self._at.recipe, self._at.device, self._at.teachers, facts)
        write_picture(self._at.directory, self._at.scene, report, self._at.device, self._at.breathe)
        self._at.directory.check_there()
        write_json(self._at.directory.report, report)
        return report
