"""What `distill` shows: a bar a stage on a terminal, a line now and then elsewhere, a table at the end."""

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import rich.console
import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from gaussians.cli.budget_notes import budget_notes
from gaussians.cli.tables import model_table, print_whole
from gaussians.distill.pipeline import LABELS, Stage
from gaussians.distill.recipe import Recipe
from gaussians.scene import Progress as SceneProgress
from gaussians.scene import Scene
from gaussians.session.events import BackedOff, Event, RunFinished, StageFinished, StageStarted, StepDone
from gaussians.session.machine import device_name
from gaussians.session.search import Search, TrialFinished

LINE_EVERY = 5.0  # seconds between lines where there is no terminal
REDRAW_EVERY = 0.1  # seconds between updates of a bar
_LINES_OF_RATE = 4  # a line's rate is that since so many lines before
_LEAST_STEPS = 10  # from which to tell how long the others will take


class Console:
    """Progress and results on standard error, the table on standard output."""

    def __init__(self) -> None:
        self._out = rich.console.Console(highlight=False)
        self._err = rich.console.Console(stderr=True, highlight=False)

    @contextlib.contextmanager
    def loading(self, scene: Path) -> Iterator[SceneProgress]:
        """Within: a scene is loaded, which calls what is yielded with (what, done, total)."""
        if not self._err.is_terminal:
            told: set[str] = set()

            def tell(what: str, done: int, total: int) -> None:
                if what not in told:
                    told.add(what)
                    self._err.print(f"{scene.name}: {what} ({total})", markup=False)

            yield tell
            return
        with _bars(self._err, transient=True) as progress:
            tasks: dict[str, TaskID] = {}

            def show(what: str, done: int, total: int) -> None:
                if what not in tasks:
                    tasks[what] = progress.add_task(what, total=total, facts="")
                progress.update(tasks[what], completed=done, total=total)

            yield show

    @contextlib.contextmanager
    def compiling(self) -> Iterator[Callable[[str], None]]:
        """Within: kernels may be compiled, of which what is yielded takes the stages."""
        message = "compiling kernels for this processor, once: about a minute"
        status = self._err.status(message)
        told: list[str] = []

        def show(stage: str) -> None:
            if not told and self._err.is_terminal:
                status.start()
            elif not told:
                self._err.print(message, markup=False)
            told.append(stage)
            status.update(f"{message} ({stage})" if stage else message)

        try:
            yield show
        finally:
            status.stop()

    def describe(
        self,
        scene: Scene,
        recipe: Recipe,
        device: torch.device,
        directory: Path,
        within: float | None,
        memory: Sequence[str] = (),
    ) -> None:
        """Say what is about to be done.

        Args:
            scene, recipe, device, directory: of the run.
            within: how many dB a search may lose; None: there is a budget.
            memory: what the run does without, so that it fits.
        """
        camera = scene.train[0].camera if scene.train else scene.test[0].camera
        budget = f"budget {recipe.student.budget}"
        if within is not None:
            budget = f"the smallest student within {within:g} dB"
        lines = [
            f"scene   {scene.path}",
            f"        {len(scene.train)} training and {len(scene.test)} test views,"
            f" {camera.width}x{camera.height}, {len(scene.points.xyz)} points ({scene.points.source})",
            *(f"        {note}" for note in scene.notes),
            f"recipe  {recipe.name}, {budget}, seed {recipe.seed}",
            f"device  {device_name(device)}",
            *(f"memory  {note}" for note in memory),
            f"run     {directory}",
        ]
        for line in lines:
            self._err.print(line, markup=False, soft_wrap=True)

    def note(self, line: str) -> None:
        """Say one thing more of what is about to be done."""
        self._err.print(line, markup=False, soft_wrap=True)

    @contextlib.contextmanager
    def training(self, plan: Sequence[Stage]) -> Iterator[Callable[[Event | TrialFinished], None]]:
        """Within: what is yielded takes the run's events, or a search's, and shows them."""
        with contextlib.ExitStack() as stack:
            view: _BarView | _LineView = _LineView(self._err)
            if self._err.is_terminal:
                view = _BarView(stack.enter_context(_bars(self._err)), plan)

            def show(event: Event | TrialFinished) -> None:
                if isinstance(event, TrialFinished):
                    self._err.print(_trial(event), markup=False, soft_wrap=True)
                elif isinstance(event, BackedOff):
                    self._err.print(f"warning: {event.text}", markup=False, soft_wrap=True)
                else:
                    view.show(event)

            yield show

    def finished(self, event: RunFinished, scene: Scene) -> None:
        """The final table, and where everything is."""
        report, directory = event.report, event.directory
        print_whole(model_table(report["models"]))
        views = (
            f"{len(scene.test)} held-out views" if scene.test else "no held-out views: nothing to measure on"
        )
        totals = report["totals"]
        lines = [
            f"{views}; student: {100 * totals['student_share']:.1f} % of the vanilla teacher's Gaussians",
            *budget_notes(report),
            f"total {totals['seconds']:.0f} s of training, at most {totals['peak_memory'] / 1e6:.0f} MB",
            f"student  {directory / 'student.ply'}",
            f"teachers {directory / 'teachers'}",
            f"report   {directory / 'report.json'}",
            f"picture  {directory / 'report.png'}",
        ]
        for line in lines:
            self._out.print(line, markup=False, soft_wrap=True)

    def searched(self, search: Search) -> int:
        """Where the frontier is, and whether the search has found anything; the exit code: 1 if not."""
        self._out.print(f"frontier {search.frontier}", markup=False, soft_wrap=True)
        if search.found is not None:
            return 0
        assert search.largest is not None, "it has tried at least one"
        line = (
            f"not within {search.within:g} dB: even the largest student tried, {search.largest.gaussians:,} "
            "Gaussians, is farther below the vanilla teacher; it is the run's student. Train it longer"
        )
        self._err.print(line, markup=False, soft_wrap=True)
        return 1

    def stopped(self, directory: Path) -> None:
        """Say that all is saved, and how to go on."""
        line = f"saved; go on with: python main.py distill --out {directory} --resume"
        self._err.print(line, markup=False, soft_wrap=True)


def _bars(console: rich.console.Console, transient: bool = False) -> Progress:
    return Progress(
        TextColumn("{task.description:10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[facts]}"),
        TimeRemainingColumn(compact=True),
        console=console,
        transient=transient,
    )


def _facts(event: StepDone, rate: float) -> str:
    """One line of numbers on where a stage stands."""
    parts = [f"{rate:.0f}/s", f"{event.count} Gaussians"]
    if event.loss:
        parts.append(f"loss {sum(event.loss.values()):.4f}")
    return "  ".join(parts)


class _BarView:
    """One bar for each stage that was begun."""

    def __init__(self, progress: Progress, plan: Sequence[Stage]) -> None:
        self._progress = progress
        self._tasks = {
            stage.name: progress.add_task(
                stage.name, total=stage.last, completed=stage.first, start=False, facts=""
            )
            for stage in plan
        }
        self._drawn = 0.0
        self._began, self._first = time.perf_counter(), 0
        self._latest: StepDone | None = None

    def show(self, event: Event) -> None:
        """Bring the bars up to date."""
        if isinstance(event, StageStarted):
            self._began, self._first = time.perf_counter(), event.step
            task = self._tasks[event.stage.name]
            self._progress.reset(task, completed=event.step)  # a search comes back to it
        elif isinstance(event, StepDone):
            self._step(event)
        elif isinstance(event, StageFinished):
            task = self._tasks[event.stage.name]
            self._progress.update(task, completed=event.stage.last, facts=_summary(event))
            self._progress.stop_task(task)

    def _step(self, event: StepDone) -> None:
        if event.loss is not None:
            self._latest = event
        now = time.perf_counter()
        if now - self._drawn >= REDRAW_EVERY:
            self._drawn = now
            rate = (event.step - self._first) / max(now - self._began, 1e-9)
            facts = _facts(self._latest if event.loss is None and self._latest else event, rate)
            self._progress.update(self._tasks[event.stage.name], completed=event.step, facts=facts)


class _LineView:
    """A line every few seconds and one for each finished stage: for files and pipes."""

    def __init__(self, console: rich.console.Console) -> None:
        self._console = console
        self._told = time.perf_counter()
        # Where the stage was at the last lines: a rate since its beginning would long tell of its first
        # removal, or of views that were smaller then.
        self._marks = deque([(self._told, 0)], maxlen=_LINES_OF_RATE)

    def show(self, event: Event) -> None:
        """Print what is worth a line."""
        now = time.perf_counter()
        if isinstance(event, StageStarted):
            self._marks.clear()
            self._marks.append((now, event.step))
        elif (
            isinstance(event, StepDone) and now - self._told >= LINE_EVERY and event.step > self._marks[0][1]
        ):
            self._told = now
            since, step = self._marks[0]
            rate = (event.step - step) / (now - since)
            line = f"{event.stage.name:10} {event.step}/{event.stage.last}  {_facts(event, rate)}"
            if event.step - step >= _LEAST_STEPS:
                line += f"  {(event.stage.last - event.step) / rate:.0f} s left"
            self._marks.append((now, event.step))
            self._console.print(line, markup=False, soft_wrap=True)
        elif isinstance(event, StageFinished):
            self._console.print(f"{event.stage.name:10} {_summary(event)}", markup=False, soft_wrap=True)


def _trial(event: TrialFinished) -> str:
    """One line on a student that a search has tried."""
    student, below = event.student, event.vanilla.psnr_choose - event.student.psnr_choose
    side = "below" if below >= 0 else "above"
    psnr = f"{student.psnr_choose:.2f} dB, {abs(below):.2f} dB {side} vanilla on the views to choose by"
    return f"tried      {student.gaussians:,} Gaussians: {psnr}{' (before)' if event.resumed else ''}"


def _summary(event: StageFinished) -> str:
    """One line on a finished stage."""
    facts = event.facts
    parts = [f"done in {facts.get('seconds', 0):.0f} s" if event.stage.name != LABELS else "labels done"]
    if event.resumed:
        parts = ["done before"]
    if facts.get("psnr") is not None:
        parts.append(f"{facts['psnr']:.2f} dB")
    parts.append(f"{facts['gaussians']} Gaussians")
    return "  ".join(parts)
