"""A run that several processes do together: teachers side by side, then the student's views in shares.

All ranks see one run directory, which rank 0 owns: it alone writes what belongs to no single teacher. What
lies there at any moment is what one process would have left, but for metrics.rank*.jsonl; so any number of
ranks, or one process, may go on with it.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path

import torch

from gaussians.distill.pipeline import STUDENT, Stage, label_weights, waves
from gaussians.distill.recipe import Recipe
from gaussians.distill.reweighed import ReweighedLabels
from gaussians.ranks import Ranks
from gaussians.scene import Scene
from gaussians.session.clock import SAVE_EVERY
from gaussians.session.directory import RunDirectory
from gaussians.session.events import Event, StageFinished, StepDone
from gaussians.session.metrics import MetricsLog
from gaussians.session.run import Run
from gaussians.session.weights import last_weights


class SharedRun(Run):
    """This rank's part of a run.

    Args:
        ranks: all of them. Rank 0's is made first: it puts the directory in order for the others.
        directory, scene, recipe, device, given, save_every: as for `Run`, and the same on all ranks, but for
            the device's number.

    Attributes:
        stopped: whether `events` ended because a rank was asked to stop.
    """

    def __init__(
        self,
        ranks: Ranks,
        directory: RunDirectory,
        scene: Scene,
        recipe: Recipe,
        device: torch.device,
        given: Mapping[str, Path] | None = None,
        save_every: float = SAVE_EVERY,
    ) -> None:
        self._ranks = ranks
        self.stopped = False
        super().__init__(directory, scene, recipe, device, given, save_every)
        if ranks.leads:
            self._cut_metrics()
        noted = last_weights(MetricsLog(directory.metrics).lines())
        self.weights = noted or label_weights(recipe, self.teachers)

    def events(self, stop: Callable[[], bool] = lambda: False) -> Iterator[Event]:
        """Do this rank's part of what is left; rank 0 tells of the others' stages as well.

        Args:
            stop: whether to save and end; if any rank is to, all do.

        Raises:
            StorageError, TrainingError: as `Run.events`.
            RanksError: another rank is gone.
        """
        if self._ranks.leads:
            self.directory.note_cameras(self.scene)
        for wave in waves(self.plan, self.recipe):
            yield from self._side_by_side(wave, stop)
            if self.stopped:
                return
        team = self._ranks.team(self.recipe.student.optimise.batch, self.device.type)
        if team is None:
            return
        self._team = team
        yield from self._lead(stop) if team.leads else self._follow(stop)

    def _open_metrics(self) -> MetricsLog:
        if self._ranks.leads:
            return super()._open_metrics()
        return MetricsLog.of_rank(self.directory.metrics, self._ranks.rank)

    def _cut_metrics(self) -> None:
        """Drop what unfinished stages have logged since their checkpoints: once all log, nobody can."""
        kept: dict[str, int] = {}
        for stage in self.plan:
            if self._checkpoints.finished(stage.name) is None:
                kept[stage.name] = self._checkpoints.step(stage.name) or stage.first
        self._metrics.keep(lambda line: line["step"] <= kept.get(line["stage"], line["step"]))

    def _note_weights(self) -> None:
        if self._ranks.leads:
            super()._note_weights()

    def _side_by_side(self, wave: Sequence[Stage], stop: Callable[[], bool]) -> Iterator[Event]:
        """Do this rank's stages of those that don't need each other; ends when all are done, or to stop."""
        before = {stage.name for stage in wave if self._checkpoints.finished(stage.name) is not None}
        own = self._ranks.share(wave)
        for stage in own:
            yield from self._until_stopped(self._do(stage, self.plan.index(stage)), stop)
        self._meet(self.stopped or stop())
        if self._ranks.leads:
            self._metrics.collect([stage.name for stage in self.plan])
        self._ranks.tell(None)  # nobody logs before all that was logged is in one file
        if not self._ranks.leads or self.stopped:
            return
        for stage in wave:
            facts = self._checkpoints.finished(stage.name)
            if stage not in own and facts is not None:
                yield StageFinished(stage, facts, resumed=stage.name in before)

    def _until_stopped(self, events: Iterator[Event], stop: Callable[[], bool]) -> Iterator[Event]:
        """The events; to stop, what is being trained is saved, and the rest left."""
        if self.stopped:
            return
        for event in events:
            yield event
            if stop():
                self.save()
                self.stopped = True
                return

    def _meet(self, stopped: bool) -> None:
        """Wait for all ranks; stops, if one of them does."""
        self.stopped = self._ranks.any(stopped)

    def _lead(self, stop: Callable[[], bool]) -> Iterator[Event]:
        """Labels, student and report, as in one process; the others share the student's steps."""
        for event in self._do(self.plan[-1], len(self.plan) - 1):
            yield event
            if self._all_stop(event, stop):
                self.save()
                return
        self._drop_labels()
        yield self._finish()

    def _all_stop(self, event: Event, stop: Callable[[], bool]) -> bool:
        """Whether to stop after this event; after each step of the student all ask each other."""
        if self._team.count == 1:
            self.stopped = stop()
        elif isinstance(event, StepDone) and event.stage.name == STUDENT:
            self.stopped = self._team.any(stop())
        elif isinstance(event, StepDone) and stop():  # amid the labels, for which the others wait
            self.stopped = any(self._team.tell(True))
        return self.stopped

    def _labels(self, stage: Stage, index: int) -> Generator[Event, None, ReweighedLabels]:
        """Rank 0 renders them; the others then find them on the disk, and the ensemble measured."""
        labels = yield from super()._labels(stage, index)
        if self._team.leads:
            self._team.tell(False)
        return labels

    @property
    def _label_recipe(self) -> Recipe:
        """Labels go through the disk where others need them, too."""
        if self._team.count == 1:
            return self.recipe
        return dataclasses.replace(self.recipe, labels=dataclasses.replace(self.recipe.labels, memory_mb=0))

    def _drop_labels(self) -> None:
        """Leave no more than one process does, which keeps labels in memory."""
        files = list(self.directory.labels.glob("*.labels"))
        if sum(file.stat().st_size for file in files) <= self.recipe.labels.memory_mb * 1e6:
            for file in files:
                with contextlib.suppress(OSError):  # Windows keeps what another rank still has open
                    file.unlink()
            with contextlib.suppress(OSError):
                self.directory.labels.rmdir()

    def _follow(self, stop: Callable[[], bool]) -> Iterator[Event]:
        """Share the student's steps, and nothing else."""
        stage = self.plan[-1]
        if self._checkpoints.finished(stage.name) is not None:
            return
        self.stopped = any(self._team.tell(False))  # the labels may take long
        if self.stopped:
            return
        labels = yield from self._labels(self.plan[-2], len(self.plan) - 2)
        optimisation, _ = self._preparation.optimisation(stage, labels, self._team)
        for stats in optimisation.steps(until=stage.last):
            yield StepDone(stage, stats.step, stats.count, stats.terms, None)
            self.stopped = self._team.any(stop())
            if self.stopped:
                return
