"""A run: the pipeline's stages one after the other, with everything that must survive a kill.

`for event in run.events(): ...` is all there is to it: a window and the command line drive the same
generator, and to pause is not to call next. At any moment the process may die; `Run` on the same directory
then goes on from the last checkpoint with the same numbers.
"""

from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from gaussians.distill.labels import Labels, label_shares
from gaussians.distill.pipeline import (
    ENSEMBLE,
    LABELS,
    STUDENT,
    TRUNK,
    Stage,
    label_weights,
    plan,
    student_budget,
)
from gaussians.distill.recipe import Recipe
from gaussians.distill.reweighed import ReweighedLabels
from gaussians.errors import TrainingError, is_out_of_memory
from gaussians.memory import LowMemoryError, free_memory
from gaussians.ranks import ALONE
from gaussians.scene import Scene
from gaussians.session.backing_off import MORE_MEMORY, BackingOff
from gaussians.session.checkpoints import Checkpoints
from gaussians.session.clock import SAVE_EVERY, SaveTimer, StageClock
from gaussians.session.completion import Completion
from gaussians.session.directory import RunDirectory
from gaussians.session.ensemble import Ensemble
from gaussians.session.events import (
    BackedOff,
    CheckpointSaved,
    Event,
    RunFinished,
    StageFinished,
    StageStarted,
)
from gaussians.session.history import History
from gaussians.session.live import Live
from gaussians.session.metrics import MetricsLog
from gaussians.session.preparation import Preparation
from gaussians.session.run_log import RunLog
from gaussians.session.weights import WEIGHTS, last_weights
from gaussians.session.workplace import Workplace
from gaussians.train.optimisation import Optimisation


class Run:
    """One distillation in one directory.

    Args:
        directory: created, or holding an unfinished run of the same recipe and scene.
        scene, recipe: what to train on, and how.
        device: where.
        given: splat files to use as teachers, by name, instead of training any; the first takes the vanilla
            teacher's part: the budget is counted from it, and the student may start from it.
        save_every: seconds between checkpoints: what a kill may cost.
        on_line: told of each line that is added to metrics.jsonl.
        breathe: called now and then in long work that yields no events, as measuring does.

    Attributes:
        weights: of the teachers in the soft labels; changed by `weigh`.
        history: snapshots of the student.
    """

    def __init__(
        self,
        directory: RunDirectory,
        scene: Scene,
        recipe: Recipe,
        device: torch.device,
        given: Mapping[str, Path] | None = None,
        save_every: float = SAVE_EVERY,
        on_line: Callable[[dict[str, Any]], None] | None = None,
        breathe: Callable[[], None] | None = None,
    ) -> None:
        self.directory = directory
        self.scene, self.recipe, self.device = scene, recipe, device
        self.given = given or {}
        self.teachers = tuple(self.given) or recipe.teachers.kinds
        self.plan = plan(recipe, len(scene.train), tuple(self.given))
        self._checkpoints = Checkpoints(directory.checkpoints)
        self._metrics = self._open_metrics()
        self._log = RunLog(directory, scene, device, self._metrics, on_line)
        self._timer = SaveTimer(save_every)
        self._backing_off = BackingOff(recipe, device)
        workplace = Workplace(directory, scene, recipe, device, self.teachers, self._checkpoints, breathe)
        self._preparation = Preparation(workplace, self._backing_off)
        self._completion = Completion(workplace)
        self._ensemble = Ensemble(workplace, self._preparation, self._completion)
        self.weights = last_weights(self._metrics.lines()) or label_weights(recipe, self.teachers)
        self.history = History(directory.history, recipe.student.optimise.steps)
        self._student_labels: ReweighedLabels | None = None
        self._stage = self.plan[0]
        self._team = ALONE  # who shares the student's steps
        # The stage being trained: what `save` saves.
        self._current: tuple[Stage, Optimisation, StageClock] | None = None

    def events(self) -> Iterator[Event]:
        """Do what is left to do, stage by stage, telling of each step.

        Raises:
            StorageError: something could not be written; what was written before is whole.
            TrainingError: an optimisation diverged.
        """
        self.directory.note_cameras(self.scene)
        for index, stage in enumerate(self.plan):
            yield from self._do(stage, index)
        yield self._finish()

    def _do(self, stage: Stage, index: int) -> Iterator[Event]:
        """Do what is left of one stage."""
        self._stage = stage
        facts = self._checkpoints.finished(stage.name)
        if facts is not None:
            yield StageFinished(stage, facts, resumed=True)
        elif stage.name in self.given:
            yield StageStarted(stage, index, len(self.plan), 0)
            facts = self._completion.adopt(stage, self.given[stage.name])
            yield StageFinished(stage, facts, resumed=False)
        elif stage.name != LABELS:  # labels are rendered when the student needs them
            yield from self._train(stage, index)

    def _open_metrics(self) -> MetricsLog:
        """What is logged to; with all that several ranks have logged, should they have begun this run."""
        metrics = MetricsLog(self.directory.metrics)
        metrics.collect([stage.name for stage in self.plan])
        return metrics

    def save(self) -> None:
        """Write a checkpoint of the stage being trained, if any. Raises StorageError."""
        if self._current is None:
            return
        stage, optimisation, clock = self._current
        self.directory.check_there()
        with self._timer.saving():
            self._metrics.sync()
            facts = {"step": optimisation.step, **clock.facts(), **self._backing_off.facts(stage)}
            self._checkpoints.save(stage.name, optimisation.state_dict(), facts)

    @property
    def live(self) -> Live | None:
        """The model being trained; None between stages."""
        if self._current is None:
            return None
        stage, optimisation, _ = self._current
        return Live(stage.model, optimisation.model, optimisation.step)

    def weigh(self, weights: Mapping[str, float]) -> int:
        """Weigh the teachers so from the next step on; between steps. Noted in metrics.jsonl.

        Returns:
            The step of the stage being trained after which they hold; 0 between stages.

        Raises:
            RecipeError: a negative weight, or no teacher left.
            StorageError: the change could not be noted; it holds all the same.
        """
        label_shares({name: weights[name] for name in self.teachers})
        self.weights = {name: weights[name] for name in self.teachers}
        if self._student_labels is not None:
            self._student_labels.weigh(self.weights)
        self._note_weights()
        return self._current[1].step if self._current is not None else 0

    def _note_weights(self) -> None:
        step = 0 if self._current is None else self._current[1].step
        self._log.add(self._stage, step, {"event": WEIGHTS, WEIGHTS: self.weights})

    def _train(self, stage: Stage, index: int) -> Iterator[Event]:
        self.directory.check_there()
        labels = None
        if stage.name == STUDENT:
            labels = yield from self._labels(self.plan[index - 1], index - 1)
        held = ""
        while True:
            optimisation = None
            try:
                optimisation, clock = self._prepared(stage, labels)
                yield StageStarted(stage, index, len(self.plan), optimisation.step)
                if held:
                    self._log.add(stage, optimisation.step, {"event": "backed off", "text": held})
                    yield BackedOff(stage, optimisation.step, held)
                yield from self._steps(stage, optimisation, clock)
                break
            except Exception as error:
                # The others of a team wait for this one in the midst of a step: they could not follow.
                if self._team.count > 1 or not is_out_of_memory(error):
                    raise
                held = self._hold(stage, optimisation, error)
            self._current = None
            del optimisation  # before it is made anew
            free_memory(self.device)
        finished = StageFinished(stage, self._close(stage, optimisation, clock), resumed=False)
        del optimisation
        free_memory(self.device)
        yield finished

    def _prepared(self, stage: Stage, labels: Labels | None) -> tuple[Optimisation, StageClock]:
        """The stage's optimisation as its checkpoint has it, or at its first step; logs as of then."""
        optimisation, facts = self._preparation.optimisation(stage, labels, self._team)
        clock = StageClock(self.device, facts)
        self._metrics.keep(lambda line: line["stage"] != stage.name or line["step"] <= optimisation.step)
        self._current = (stage, optimisation, clock)
        noted = last_weights(self._metrics.lines()) or label_weights(self.recipe, self.teachers)
        if noted != self.weights:
            self._note_weights()  # the change was made after the checkpoint: now it holds from there
        if stage.name == STUDENT:
            self.history.cut(optimisation.step)
        return optimisation, clock

    def _steps(self, stage: Stage, optimisation: Optimisation, clock: StageClock) -> Iterator[Event]:
        """Train to the stage's end, saving now and then. Raises LowMemoryError, having saved."""
        for stats in optimisation.steps(until=stage.last):
            clock.step(stats.seconds, look_at_memory=stats.terms is not None)
            if stage.name == STUDENT and self.history.wants(stats.step):
                self.directory.check_there()
                self.history.add(stats.step, optimisation.model)
            yield self._log.step(stage, stats, optimisation.model)
            if stats.terms is not None and self._team.count == 1:
                self._backing_off.look(stage)
            if self._timer.is_due and stats.step < stage.last:
                self.save()
                yield CheckpointSaved(stage, stats.step)

    def _hold(self, stage: Stage, optimisation: Optimisation | None, error: Exception) -> str:
        """Decide to go on with fewer Gaussians, and say so. Raises TrainingError where that can't be."""
        if optimisation is None:
            raise TrainingError(f"{stage.name}: memory is too full to begin; {MORE_MEMORY}") from error
        vanilla = self._checkpoints.finished(self.teachers[0]) or {}
        step, count = optimisation.step, len(optimisation)
        text = self._backing_off.hold(stage, step, count, vanilla.get("gaussians", 0), error)
        if isinstance(error, LowMemoryError):
            self.save()  # nothing has failed
        return text

    def _close(self, stage: Stage, optimisation: Optimisation, clock: StageClock) -> dict[str, Any]:
        """Write what the stage made, read it back, measure it, and mark the stage finished.

        Saved before, as measuring may take minutes: a kill meanwhile costs no step.
        """
        facts: dict[str, Any] = {"step": optimisation.step, "gaussians": len(optimisation), **clock.facts()}
        facts |= self._backing_off.facts(stage)
        self.save()
        if stage.name != TRUNK:
            facts |= self._completion.write(stage.model, optimisation.gaussians())
        if stage.name == STUDENT:
            facts["budget"] = student_budget(self.recipe, self._preparation.count(self.teachers[0]))
        self._current, self._student_labels = None, None
        self._metrics.sync()
        self._completion.finish(stage.name, facts)
        self._completion.drop_unneeded(stage)
        return facts

    def _labels(self, stage: Stage, index: int) -> Generator[Event, None, ReweighedLabels]:
        """Render the soft labels and measure the ensemble; the teachers leave memory at the end."""
        yield StageStarted(stage, index, len(self.plan), 0)
        labels = yield from self._ensemble.labels(stage, self.weights, self._label_recipe)
        labels.weigh(self.weights)  # which may have changed meanwhile
        self._student_labels = labels
        return labels

    @property
    def _label_recipe(self) -> Recipe:
        """The recipe that labels are rendered by."""
        return self.recipe

    def _finish(self) -> RunFinished:
        self.directory.check_there()
        facts = {stage.name: self._checkpoints.finished(stage.name) for stage in self.plan}
        facts[ENSEMBLE] = self._ensemble.facts(self.weights)
        return RunFinished(self.directory.path, self._completion.report(facts))
