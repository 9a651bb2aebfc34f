"""Students whose teachers another run has trained: ordinary runs, to which those teachers are handed over.

The files are linked where the disk can, and what was measured of the teachers is copied, so that any number
of students costs no more than their own training.
"""

import contextlib
import dataclasses
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from gaussians.distill.pipeline import ENSEMBLE, TRUNK, label_set, label_weights
from gaussians.distill.recipe import Labels, Recipe
from gaussians.errors import RunError
from gaussians.session.checkpoints import Checkpoints
from gaussians.session.directory import RunDirectory, RunPlan
from gaussians.session.ensemble import OF_LABELS
from gaussians.session.events import Event, StageFinished
from gaussians.session.run import Run
from gaussians.session.weights import WEIGHTS
from gaussians.storage import replacing


def teacher_events(run: Run) -> Iterator[Event]:
    """The run's events up to the last teacher's end: no labels, no student. Raises as `Run.events`."""
    for event in run.events():
        yield event
        if isinstance(event, StageFinished) and event.stage.name == run.teachers[-1]:
            return


def teachers_finished(directory: RunDirectory, names: Sequence[str]) -> bool:
    """Whether all of these teachers are trained, written and measured."""
    checkpoints = Checkpoints(directory.checkpoints)
    return all(checkpoints.finished(name) is not None for name in names)


def teacher_facts(directory: RunDirectory, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What is known of each finished teacher of a run, with the trunk's time in the first one's.

    Raises:
        RunError: one isn't finished.
    """
    checkpoints = Checkpoints(directory.checkpoints)
    found: dict[str, dict[str, Any]] = {}
    for name in names:
        facts = checkpoints.finished(name)
        if facts is None:
            raise RunError(f"{directory.path}: its teacher {name} isn't finished; go on with that run first")
        found[name] = facts
    trunk = checkpoints.finished(TRUNK)
    if trunk is not None:
        first = found[names[0]]
        first["seconds"] = round(first["seconds"] + trunk["seconds"], 3)
        first["peak_memory"] = max(first["peak_memory"], trunk["peak_memory"])
    return found


def begin_student(directory: RunDirectory, plan: RunPlan, source: RunDirectory) -> None:
    """Begin, or go on with, the run of a student that learns from `source`'s teachers.

    Args:
        directory: of the student's run.
        plan: of it. Its teachers are `source`'s files, by the names they have there.
        source: a run whose teachers are finished.

    Raises:
        RunError: the directory holds a run of another recipe or other teachers, or a teacher isn't finished.
        StorageError: the directory can't be written.
    """
    facts = teacher_facts(source, tuple(plan.teachers))
    if directory.exists:
        there = directory.load()
        # By name: their files may have moved along with the run.
        if (there.recipe, tuple(there.teachers)) != (plan.recipe, tuple(plan.teachers)):
            raise RunError(
                f"{directory.path}: was begun by another recipe or other teachers than are asked for now; "
                "delete it, or choose another --out"
            )
    else:
        directory.create(plan)
    checkpoints = Checkpoints(directory.checkpoints)
    for name, known in facts.items():
        if checkpoints.finished(name) is None:
            link(plan.teachers[name], directory.splat(name))
            checkpoints.finish(name, known)
    _hand_ensemble(source, directory)


def hand_back_ensemble(directory: RunDirectory, source: RunDirectory) -> None:
    """Let `source` have what a student's run has measured of its teachers together, for the next ones."""
    _hand_ensemble(directory, source)


def link(source: Path, target: Path) -> None:
    """Let `target` be the same file as `source`, or where the disk has no such links a copy.

    Splat files are replaced and never changed, so what one name has stays whatever becomes of the other.

    Raises:
        StorageError: it can't be written.
    """
    with replacing(target) as temporary:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
            os.link(source, temporary)
        if not temporary.exists():
            shutil.copyfile(source, temporary)


def _hand_ensemble(giver: RunDirectory, taker: RunDirectory) -> None:
    """Copy what is known of an ensemble, if it is the same teachers', put together by the same options.

    Without what is known of the labels, where others are wanted.
    """
    ensemble = Checkpoints(giver.checkpoints).finished(ENSEMBLE)
    known = Checkpoints(taker.checkpoints).finished(ENSEMBLE)
    if ensemble is None or known is not None:
        return
    given, taken = giver.load(), taker.load()
    same_labels = _labels(given.recipe) == _labels(taken.recipe)
    if same_labels and ensemble.get(WEIGHTS) == label_weights(taken.recipe, taken.teacher_names):
        if label_set(given.recipe) != label_set(taken.recipe):
            ensemble = {name: fact for name, fact in ensemble.items() if name not in OF_LABELS}
        Checkpoints(taker.checkpoints).finish(ENSEMBLE, ensemble)


def _labels(recipe: Recipe) -> Labels:
    """How labels are made, less where they are kept."""
    return dataclasses.replace(recipe.labels, memory_mb=0)
