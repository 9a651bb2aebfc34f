"""A search for the smallest student whose held-out PSNR is within a tolerance of the vanilla teacher's.

Teachers are trained and labels rendered once; then a student is tried at one count after the other, each an
ordinary run in trials/COUNT and each started from the teacher. To start from a larger student that was found
already would save time, but give smaller ones more steps in all than larger ones had: the frontier would
compare unlike things, and no `--budget COUNT` could repeat its best point.
"""

import dataclasses
import gc
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from gaussians.distill.pipeline import STUDENT, plan
from gaussians.distill.variant_changes import having
from gaussians.errors import RecipeError, RunError, SceneError, StorageError
from gaussians.scene import Scene
from gaussians.session.checkpoints import Checkpoints
from gaussians.session.clock import SAVE_EVERY
from gaussians.session.directory import RECIPE_FILE, RunDirectory, RunPlan
from gaussians.session.events import Event, RunFinished
from gaussians.session.frontier import Point, csv_text, point
from gaussians.session.handover import (
    begin_student,
    hand_back_ensemble,
    link,
    teacher_events,
    teacher_facts,
)
from gaussians.session.ladder import found, ladder, next_rung
from gaussians.session.metrics import MetricsLog
from gaussians.session.run import Run
from gaussians.storage import write_bytes, write_json

SEARCH_FILE, FRONTIER_FILE, TRIALS = "search.json", "frontier.csv", "trials"
_TOLERANCE = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*(?:db)?", re.IGNORECASE)


def parse_tolerance(text: str) -> float:
    """Read "0.2dB", "0.2 dB" or "0.2": dB of PSNR. Raises RecipeError."""
    match = _TOLERANCE.fullmatch(text.strip())
    if match is None:
        raise RecipeError(f'--within "{text}": wanted is how far PSNR may fall, as in "0.2dB"')
    return float(match[1])


def searched_within(directory: RunDirectory) -> float | None:
    """The tolerance of the search in a run directory, in dB; None: it holds a run with a budget.

    Raises:
        RunError: the file can't be read.
    """
    path = directory.path / SEARCH_FILE
    try:
        return float(json.loads(path.read_text(encoding="utf-8"))["within"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path}: not readable ({error!r}); restore it or start a new run") from error


def begin_search(directory: RunDirectory, within: float | None, scene: Scene) -> None:
    """Note that the run that is about to be created here is a search; None: that it isn't.

    Before recipe.json, whose being there is what makes a run.

    Raises:
        SceneError: no view is held out.
        StorageError: the folder can't be written, or what is there can't be deleted.
    """
    path = directory.path / SEARCH_FILE
    if within is None:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(
                f"{path}: could not be deleted ({error.strerror or error}); choose another --out"
            ) from error
        return
    if not scene.test:
        raise SceneError(f"{scene.path}: holds out no view to search by; add --test-every 8")
    write_json(path, {"within": within})


@dataclass(frozen=True)
class TrialFinished:
    """A student was tried; `resumed`: in an earlier session."""

    vanilla: Point
    student: Point
    resumed: bool


class Search:
    """A run whose budget is searched for.

    Args:
        directory: holds the run's recipe, and search.json.
        scene, device: what to train on, with at least one view held out, and where.
        planned: the run's plan; its budget is not looked at.
        within: dB of PSNR that the student may lose to the vanilla teacher on the views to choose by.
        save_every: seconds between checkpoints.

    Attributes:
        plan: the stages of the run, the student's once.
        within: as given.
        found: the smallest student within the tolerance; None until the end, and where none is.
        largest: the largest that was tried.
        frontier: the file that tells of all that were tried.
    """

    def __init__(
        self,
        directory: RunDirectory,
        scene: Scene,
        planned: RunPlan,
        device: torch.device,
        within: float,
        save_every: float = SAVE_EVERY,
    ) -> None:
        self.directory, self.frontier = directory, directory.path / FRONTIER_FILE
        self.found: Point | None = None
        self.largest: Point | None = None
        self.plan = plan(planned.recipe, len(scene.train), tuple(planned.teachers))
        self._scene, self._planned, self._device, self.within = scene, planned, device, within
        self._save_every = save_every
        self._run: Run | None = None

    def events(self) -> Iterator[Event | TrialFinished]:
        """Do what is left to do; the last event is the run's end, with the chosen student as its own.

        Where no student is within the tolerance, the largest one is the run's.

        Raises:
            StorageError: something could not be written.
            TrainingError: an optimisation diverged.
        """
        yield from teacher_events(self._begin(self.directory, self._planned))
        facts = teacher_facts(self.directory, self._planned.teacher_names)
        vanilla = point("vanilla", next(iter(facts.values())))
        counts = ladder(vanilla.gaussians)
        tried: dict[int, Point] = {}
        within: dict[int, bool] = {}
        while (rung := next_rung(within, len(counts))) is not None:
            is_old = self._trial(counts[rung]).report.exists()
            if not is_old:
                yield from self._try(counts[rung])
            tried[rung] = self._student(counts[rung])
            within[rung] = vanilla.psnr_choose - tried[rung].psnr_choose <= self.within
            text = csv_text([vanilla, *(tried[rung] for rung in sorted(tried))], self.within)
            write_bytes(self.frontier, text.encode())
            yield TrialFinished(vanilla, tried[rung], is_old)
        best = found(within)
        self.largest = tried[min(tried)]
        self.found = None if best is None else tried[best]
        count = counts[min(tried) if best is None else best]
        self._take(count)
        recipe = having(student__budget=str(count))(self._planned.recipe)
        chosen = self._begin(self.directory, dataclasses.replace(self._planned, recipe=recipe))
        # All its stages are finished and told of.
        yield from (event for event in chosen.events() if isinstance(event, RunFinished))

    def save(self) -> None:
        """Write a checkpoint of the stage being trained, if any. Raises StorageError."""
        if self._run is not None:
            self._run.save()

    def _begin(self, directory: RunDirectory, planned: RunPlan) -> Run:
        self._run = None
        gc.collect()  # the last trial's tensors
        self._run = Run(
            directory, self._scene, planned.recipe, self._device, planned.teachers, self._save_every
        )
        return self._run

    def _trial(self, count: int) -> RunDirectory:
        trial = RunDirectory(self.directory.path / TRIALS / str(count))
        trial.labels = self.directory.labels  # one file for all
        return trial

    def _try(self, count: int) -> Iterator[Event]:
        """Train a student of this count: the events of its labels and of itself."""
        trial = self._trial(count)
        # Labels on disk whatever their size: the next trial finds them there.
        recipe = having(student__budget=str(count), labels__memory_mb=0)(self._planned.recipe)
        names = self._planned.teacher_names
        teachers = {name: self.directory.splat(name).resolve() for name in names}
        planned = dataclasses.replace(self._planned, recipe=recipe, teachers=teachers)
        begin_student(trial, planned, self.directory)
        with trial.locked():
            for event in self._begin(trial, planned).events():
                stage = getattr(event, "stage", None)
                if stage is not None and stage.name not in names:
                    yield event
        hand_back_ensemble(trial, self.directory)

    def _student(self, count: int) -> Point:
        facts = Checkpoints(self._trial(count).checkpoints).finished(STUDENT)
        if facts is None:
            raise RunError(f"{self._trial(count).path}: its student is missing; delete it to try again")
        return point(STUDENT, facts)

    def _take(self, count: int) -> None:
        """Make a trial's student the run's own: file, facts, past, metrics, and its budget in recipe.json."""
        trial = self._trial(count)
        facts = Checkpoints(trial.checkpoints).finished(STUDENT)
        assert facts is not None, "the trial is finished"
        link(trial.splat(STUDENT), self.directory.splat(STUDENT))
        for path in sorted(trial.history.glob("*")):
            link(path, self.directory.history / path.name)
        log = MetricsLog(self.directory.metrics)
        log.keep(lambda line: line["stage"] != STUDENT)
        for line in MetricsLog(trial.metrics).lines():
            if line["stage"] == STUDENT:
                log.append(line)
        self._settle(count)
        Checkpoints(self.directory.checkpoints).finish(STUDENT, facts)
        for other in (self.directory.path / TRIALS).iterdir():
            # A disk's worth of pasts, now of no use.
            shutil.rmtree(RunDirectory(other).history, ignore_errors=True)
        shutil.rmtree(self.directory.labels, ignore_errors=True)

    def _settle(self, count: int) -> None:
        """Let recipe.json have the budget that was found, so that it repeats the run."""
        path: Path = self.directory.path / RECIPE_FILE
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        document["recipe"]["student"]["budget"] = str(count)
        write_json(path, document)
