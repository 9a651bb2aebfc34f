"""What a stage of a run begins with: its checkpoint, the trunk's, the points, or finished teachers."""

from typing import Any

from gaussians.distill.labels import Labels
from gaussians.distill.optimisations import (
    compact_teacher_optimisation,
    student_optimisation,
    teacher_optimisation,
)
from gaussians.distill.pipeline import TRUNK, Stage, is_compact, student_start
from gaussians.model import Gaussians
from gaussians.ranks import Ranks
from gaussians.session.backing_off import BackingOff
from gaussians.session.workplace import Workplace
from gaussians.train.optimisation import Optimisation


class Preparation:
    """Makes the optimisations of a run's stages.

    Args:
        workplace: of the run.
        backing_off: the counts that stages are held to.
    """

    def __init__(self, workplace: Workplace, backing_off: BackingOff) -> None:
        self._at, self._backing_off = workplace, backing_off

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
        checkpoint = self._at.checkpoints.load(stage.name)
        facts = None if checkpoint is None else checkpoint[1]
        if facts is not None:
            self._backing_off.take(stage, facts)
        optimisation = self._teacher(stage) if labels is None else self._student(stage, labels, team)
        if checkpoint is not None:
            optimisation.load_state_dict(checkpoint[0])
        elif stage.first > 0:
            trunk = self._at.checkpoints.load(TRUNK)
            assert trunk is not None, "the trunk is finished before a teacher forks from it"
            optimisation.load_state_dict(trunk[0])
        self._backing_off.shed(stage, optimisation)
        return optimisation, facts

    def splat(self, model: str) -> Gaussians:
        """A finished model, on the run's device. Raises StorageError or SplatError."""
        self._at.directory.check_there()
        return self._at.directory.finished_splat(model).to(self._at.device)

    def count(self, teacher: str) -> int:
        """Gaussians of a finished teacher. Raises StorageError."""
        self._at.directory.check_there()
        facts = self._at.checkpoints.finished(teacher)
        assert facts is not None, "teachers are finished before the student begins"
        return facts["gaussians"]

    def _teacher(self, stage: Stage) -> Optimisation:
        """The trunk's or a teacher's, at step 0."""
        recipe = self._backing_off.recipe(stage)
        if not is_compact(stage, recipe):
            return teacher_optimisation(stage, self._at.scene, recipe, self._at.device)
        vanilla = self.splat(self._at.teachers[0])
        return compact_teacher_optimisation(
            stage, self._at.scene, recipe, vanilla, self._at.device, self._at.breathe
        )

    def _student(self, stage: Stage, labels: Labels, team: Ranks) -> Optimisation:
        """The student's at step 0; of the teachers, those it needs are in memory meanwhile."""
        counts = {name: self.count(name) for name in self._at.teachers}
        needed = dict.fromkeys((self._at.teachers[0], student_start(self._at.recipe, counts)))
        teachers = {name: self.splat(name) for name in needed}
        recipe = self._backing_off.recipe(stage)
        return student_optimisation(
            self._at.scene, recipe, teachers, labels, self._at.device, self._at.breathe, team
        )
