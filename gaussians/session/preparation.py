"""What a stage of a run begins with: its checkpoint, the trunk's, the points, or finished teachers."""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from gaussians.distill.labels import Labels
from gaussians.distill.optimisations import (
    compact_teacher_optimisation,
    student_optimisation,
    teacher_optimisation,
)
from gaussians.distill.pipeline import TRUNK, Stage, is_compact, student_start
from gaussians.distill.recipe import Recipe
from gaussians.io import read_splat
from gaussians.model import Gaussians
from gaussians.ranks import Ranks
from gaussians.scene import Scene
from gaussians.session.backing_off import BackingOff
from gaussians.session.checkpoints import Checkpoints
from gaussians.session.directory import RunDirectory
from gaussians.train.optimisation import Optimisation


class Preparation:
    """Makes the optimisations of a run's stages.

    Args:
        directory, scene, recipe, device: of the run.
        teachers: their names, the one that counts as vanilla first.
        checkpoints: of the run.
        backing_off: the counts that stages are held to.
        breathe: called now and then while importance is measured.
    """

    def __init__(
        self,
        directory: RunDirectory,
        scene: Scene,
        recipe: Recipe,
        teachers: Sequence[str],
        device: torch.device,
        checkpoints: Checkpoints,
        backing_off: BackingOff,
        breathe: Callable[[], None] | None,
    ) -> None:
        self._directory, self._scene, self._recipe, self._device = directory, scene, recipe, device
        self._teachers, self._checkpoints, self._backing_off = tuple(teachers), checkpoints, backing_off
        self._breathe = breathe

    def optimisation(
        self, stage: Stage, labels: Labels | None, team: Ranks
    ) -> tuple[Optimisation, dict[str, Any] | None]:
        """A stage's, as its checkpoint has it or at its first step.

        Args:
            stage: the trunk, a teacher that is trained, or the student.
            labels: the student's; None for others.
            team: who shares the student's steps.

        Returns:
            The optimisation, and the facts of its checkpoint; None where there is none.

        Raises:
            RunError: a checkpoint can't be read.
            StorageError: the run's folder is gone.
        """
        checkpoint = self._checkpoints.load(stage.name)
        facts = None if checkpoint is None else checkpoint[1]
        if facts is not None:
            self._backing_off.take(stage, facts)
        optimisation = self._teacher(stage) if labels is None else self._student(stage, labels, team)
        if checkpoint is not None:
            optimisation.load_state_dict(checkpoint[0])
        elif stage.first > 0:
            trunk = self._checkpoints.load(TRUNK)
            assert trunk is not None, "the trunk is finished before a teacher forks from it"
            optimisation.load_state_dict(trunk[0])
        self._backing_off.shed(stage, optimisation)
        return optimisation, facts

    def splat(self, model: str) -> Gaussians:
        """A finished model, on the run's device. Raises StorageError or SplatError."""
        self._directory.check_there()
        return read_splat(self._directory.splat(model)).to(self._device)

    def count(self, teacher: str) -> int:
        """Gaussians of a finished teacher. Raises StorageError."""
        self._directory.check_there()
        facts = self._checkpoints.finished(teacher)
        assert facts is not None, "teachers are finished before the student begins"
        return facts["gaussians"]

    def _teacher(self, stage: Stage) -> Optimisation:
        """The trunk's or a teacher's, at step 0."""
        recipe = self._backing_off.recipe(stage)
        if not is_compact(stage, recipe):
            return teacher_optimisation(stage, self._scene, recipe, self._device)
        vanilla = self.splat(self._teachers[0])
        return compact_teacher_optimisation(stage, self._scene, recipe, vanilla, self._device, self._breathe)

    def _student(self, stage: Stage, labels: Labels, team: Ranks) -> Optimisation:
        """The student's at step 0; of the teachers, those it needs are in memory meanwhile."""
        counts = {name: self.count(name) for name in self._teachers}
        needed = dict.fromkeys((self._teachers[0], student_start(self._recipe, counts)))
        teachers = {name: self.splat(name) for name in needed}
        recipe = self._backing_off.recipe(stage)
        return student_optimisation(self._scene, recipe, teachers, labels, self._device, self._breathe, team)
