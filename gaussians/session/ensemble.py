"""A run's teachers together: the labels that the student learns from, and how good they are as one model."""

from collections.abc import Generator, Mapping
from typing import Any

from gaussians.distill.pipeline import ENSEMBLE, Stage, label_weights
from gaussians.distill.recipe import Recipe
from gaussians.distill.reweighed import ReweighedLabels
from gaussians.model import Gaussians
from gaussians.session.clock import StageClock
from gaussians.session.completion import Completion
from gaussians.session.events import Event, StageFinished
from gaussians.session.label_stage import labels_of, reweighable
from gaussians.session.measure import measured_ensemble
from gaussians.session.preparation import Preparation
from gaussians.session.weights import WEIGHTS
from gaussians.session.workplace import Workplace

OF_LABELS = frozenset({"step", "disagreement", "seconds", "peak_memory"})
"""What of an ensemble's facts is known of its labels, and not of its teachers."""


class Ensemble:
    """Renders the soft labels of a run, and measures its teachers' renders put together as they are.

    Args:
        workplace: of the run.
        preparation: reads finished teachers.
        completion: marks the ensemble's facts as final.
    """

    def __init__(self, workplace: Workplace, preparation: Preparation, completion: Completion) -> None:
        self._at, self._preparation, self._completion = workplace, preparation, completion

    def labels(
        self, stage: Stage, weights: Mapping[str, float], recipe: Recipe
    ) -> Generator[Event, None, ReweighedLabels]:
        """Render the soft labels and measure the ensemble; the teachers leave memory at the end.

        Args:
            stage: in which that is done.
            weights: of the teachers, now.
            recipe: that labels are rendered by.

        Returns:
            The labels by these weights, ready for others.

        Raises:
            StorageError, SplatError: a teacher can't be read, or something could not be written.
        """
        clock = StageClock(self._at.device)
        teachers = self._teachers()
        weights = dict(weights)
        folder = self._at.directory.labels
        labels = yield from labels_of(stage, teachers, weights, self._at.scene, recipe, folder, clock)
        known = self._at.checkpoints.finished(ENSEMBLE)
        facts = known or {}
        if not facts.keys() >= OF_LABELS:
            spread = float(labels.disagreement.mean())
            facts = {**facts, "step": len(labels), "disagreement": spread, **clock.facts()}
            if known is None:  # or another run has measured the same teachers
                size = sum(self._at.directory.splat(name).stat().st_size for name in teachers)
                facts |= {"gaussians": sum(map(len, teachers.values())), "bytes": size, WEIGHTS: weights}
                facts |= self._measured(teachers, weights)
            self._completion.finish(ENSEMBLE, facts)
        yield StageFinished(stage, facts, resumed=False)
        return reweighable(labels, weights, self._at.scene, recipe, self._preparation.splat)

    def facts(self, weights: Mapping[str, float]) -> dict[str, Any]:
        """What is known of it, measured again if the teachers were weighed otherwise since.

        Args:
            weights: of the teachers, now.

        Raises:
            StorageError, SplatError: a teacher can't be read, or the facts could not be written.
        """
        facts = self._at.checkpoints.finished(ENSEMBLE)
        assert facts is not None, "it is measured before the student is trained"
        if facts.get(WEIGHTS, label_weights(self._at.recipe, self._at.teachers)) != weights:
            facts |= self._measured(self._teachers(), weights)
            facts[WEIGHTS] = weights
            self._completion.finish(ENSEMBLE, facts)
        return facts

    def _teachers(self) -> dict[str, Gaussians]:
        return {name: self._preparation.splat(name) for name in self._at.teachers}

    def _measured(self, teachers: Mapping[str, Gaussians], weights: Mapping[str, float]) -> dict[str, Any]:
        combine = self._at.recipe.labels.combine
        return measured_ensemble(
            teachers, weights, self._at.scene, self._at.device, self._at.breathe, combine
        )
