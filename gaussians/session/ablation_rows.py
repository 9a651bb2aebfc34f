"""What an ablation has found so far, one row a model, collected from its finished runs."""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gaussians.distill.pipeline import ENSEMBLE, STUDENT
from gaussians.errors import RunError
from gaussians.session.ablation_directory import AblationDirectory, AblationPlan, Task, tasks
from gaussians.session.checkpoints import Checkpoints
from gaussians.session.directory import RunDirectory
from gaussians.session.halves import CHOOSE, QUALITIES, REPORT, Quality, half
from gaussians.session.handover import teacher_facts, teachers_finished


@dataclass(frozen=True)
class Row:
    """One model of one scene and seed.

    Attributes:
        scene, seed: of its run.
        model: a variant's name; of teachers "vanilla", or "SET/NAME" where the set is not the default one.
        budget: as it was asked for; None of teachers.
        gaussians, bytes: its size.
        all, choose, report: quality on all held-out views and on their halves; None: no view in it.
        seconds: of its own training; of the ensemble, of rendering all labels.
        teacher_seconds: of the teachers that it learned from, the trunk counted once; None of teachers.
        peak_memory: bytes, while it trained.
    """

    scene: str
    seed: int
    model: str
    budget: str | None
    gaussians: int
    bytes: int
    all: Quality | None
    choose: Quality | None
    report: Quality | None
    seconds: float
    teacher_seconds: float | None
    peak_memory: int

    @property
    def is_student(self) -> bool:
        """Whether it is one; else a teacher, or the mean of some."""
        return self.budget is not None


def rows(directory: AblationDirectory, plan: AblationPlan) -> list[Row]:
    """Of every finished run, in the plan's order. Raises RunError: a file can't be read."""
    found: list[Row] = []
    for task in tasks(plan):
        run = directory.run(task)
        if task.variant is None:
            found += _teachers(task, run)
        elif run.report.exists():
            found.append(_student(task, run))
    return found


def csv_text(table: Sequence[Row]) -> str:
    """The rows as CSV: PSNR, SSIM and FLIP over all held-out views and over each half; blank: unknown."""
    halves = (None, CHOOSE, REPORT)
    heads = ["scene", "seed", "model", "budget", "gaussians", "bytes"]
    heads += [key if which is None else f"{key}_{which}" for which in halves for key in QUALITIES]
    heads += ["seconds", "teacher_seconds", "peak_memory"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(heads)
    for row in table:
        cells: list[Any] = [row.scene, row.seed, row.model, row.budget, row.gaussians, row.bytes]
        for quality in (row.all, row.choose, row.report):
            values = [None] * 3 if quality is None else [quality.psnr, quality.ssim, quality.flip]
            cells += [None if value is None else f"{value:.5f}" for value in values]
        seconds = (row.seconds, row.teacher_seconds)
        cells += [None if value is None else f"{value:.1f}" for value in seconds]
        writer.writerow(["" if cell is None else cell for cell in [*cells, row.peak_memory]])
    return text.getvalue()


def _teachers(task: Task, run: RunDirectory) -> Iterator[Row]:
    if not run.exists:
        return
    names = run.load().teacher_names
    if not teachers_finished(run, names):
        return
    facts = teacher_facts(run, names)
    ensemble = Checkpoints(run.checkpoints).finished(ENSEMBLE)
    if ensemble is not None:
        facts[ENSEMBLE] = ensemble
    prefix = "" if task.is_default_set else f"{task.teachers}/"
    for name, known in facts.items():
        yield _row(task, prefix + name, known, None)


def _student(task: Task, run: RunDirectory) -> Row:
    try:
        models = json.loads(run.report.read_text(encoding="utf-8"))["models"]
        taught = [models[name]["seconds"] for name in models if name not in (STUDENT, ENSEMBLE)]
        return _row(task, str(task.variant), models[STUDENT], sum(taught))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(
            f"{run.report}: not readable as a report ({error!r}); delete it to make it anew"
        ) from error


def _row(task: Task, model: str, facts: Mapping[str, Any], teacher_seconds: float | None) -> Row:
    return Row(
        scene=task.scene,
        seed=task.seed,
        model=model,
        budget=task.budget,
        gaussians=facts["gaussians"],
        bytes=facts["bytes"],
        all=half(facts["per_view"]),
        choose=half(facts["per_view"], CHOOSE),
        report=half(facts["per_view"], REPORT),
        seconds=facts["seconds"],
        teacher_seconds=teacher_seconds,
        peak_memory=facts["peak_memory"],
    )
