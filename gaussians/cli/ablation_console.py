"""What `ablate` shows: which run is trained, how many are left and how long they take; a table at the end."""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence

import rich.console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from gaussians.cli.pace import Pace
from gaussians.cli.tables import NONE, plain_table, print_whole
from gaussians.distill.variants import BASE, PHOTOS_ONLY
from gaussians.session.ablation import (
    Ablation,
    AblationEvent,
    TaskAdvanced,
    TaskFailed,
    TaskFinished,
    TaskStarted,
)
from gaussians.session.ablation_directory import AblationDirectory
from gaussians.session.ablation_rows import Row
from gaussians.session.ablation_statistics import VANILLA, Figure, reported, summaries
from gaussians.session.events import StepDone

REDRAW_EVERY = 0.2  # seconds between updates of the bars
LINE_EVERY = 30.0  # seconds between lines where there is no terminal


class AblationConsole:
    """Progress on standard error, results on standard output."""

    def __init__(self) -> None:
        self._out = rich.console.Console(highlight=False)
        self._err = rich.console.Console(stderr=True, highlight=False)
        self._failures: list[str] = []

    @contextlib.contextmanager
    def training(self, ablation: Ablation) -> Iterator[Callable[[AblationEvent], None]]:
        """Within: what is yielded takes the ablation's events and shows them."""
        pace = Pace(ablation)
        before = len(ablation.tasks) - pace.runs_left
        self._say(f"{len(ablation.tasks)} runs, {before} of them done before; in {ablation.directory.path}")
        with contextlib.ExitStack() as stack:
            steps: _Bars | _Lines = _Lines(self._say)
            if self._err.is_terminal:
                steps = _Bars(stack.enter_context(_progress(self._err)), len(ablation.tasks), before)

            def show(event: AblationEvent) -> None:
                pace.see(event)
                if isinstance(event, TaskAdvanced):
                    if isinstance(event.event, StepDone):
                        steps.step(event.event, pace)
                elif isinstance(event, TaskStarted):
                    self._say(f"{event.task}: begins; {_left(pace)}")
                    steps.begin(str(event.task))
                else:
                    self._ended(event, ablation)
                    steps.end(pace)

            yield show

    def finished(self, directory: AblationDirectory, table: Sequence[Row]) -> int:
        """The table over all scenes, and where everything is; returns the exit code, 1 if a run failed."""
        print_whole(_summary_table(table))
        scenes = len({row.scene for row in table})
        self._say_result(
            f"PSNR in dB and differences on the reported half of held-out views; {scenes} scene"
            f"{'s' if scenes != 1 else ''}, ± over seeds"
        )
        for name, path in (
            ("table", directory.markdown),
            ("rows", directory.csv),
            ("chart", directory.chart),
        ):
            self._say_result(f"{name:6} {path}")
        for failure in self._failures:
            self._say(f"failed: {failure}")
        return 1 if self._failures else 0

    def stopped(self, directory: AblationDirectory) -> None:
        """Say that all is saved, and how to go on."""
        self._say(f"saved; go on with: python main.py ablate --out {directory.path}")

    def _ended(self, event: AblationEvent, ablation: Ablation) -> None:
        if isinstance(event, TaskFailed):
            self._failures.append(f"{event.task}: {event.reason}")
            self._say(self._failures[-1])
        elif isinstance(event, TaskFinished) and not event.resumed:
            self._say(f"{event.task}: {_result(ablation, event)}")

    def _say(self, line: str) -> None:
        self._err.print(line, markup=False, soft_wrap=True)

    def _say_result(self, line: str) -> None:
        self._out.print(line, markup=False, soft_wrap=True)


class _Lines:
    """Where there is no terminal: a line now and then in a long run."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say, self._told = say, time.perf_counter()

    def begin(self, task: str) -> None:
        self._told = time.perf_counter()

    def step(self, event: StepDone, pace: Pace) -> None:
        now = time.perf_counter()
        if now - self._told >= LINE_EVERY:
            self._told = now
            self._say(f"  {_stand(event)}; {_left(pace)}")

    def end(self, pace: Pace) -> None:
        pass


class _Bars:
    """On a terminal: one bar for all runs, one for the stage under way."""

    def __init__(self, progress: Progress, runs: int, done: int) -> None:
        self._progress, self._runs = progress, runs
        self._all = progress.add_task("all runs", total=runs, completed=done, facts="")
        self._stage = progress.add_task("", total=1, facts="")
        self._drawn = 0.0

    def begin(self, task: str) -> None:
        self._progress.update(self._stage, description="…", completed=0, facts=task)

    def step(self, event: StepDone, pace: Pace) -> None:
        now = time.perf_counter()
        if now - self._drawn < REDRAW_EVERY:
            return
        self._drawn = now
        stage = event.stage
        facts = f"{event.count} Gaussians"
        self._progress.update(
            self._stage, description=stage.name, total=stage.last, completed=event.step, facts=facts
        )
        self._progress.update(self._all, completed=self._runs - pace.runs_left, facts=_left(pace))

    def end(self, pace: Pace) -> None:
        self._progress.update(self._all, completed=self._runs - pace.runs_left, facts=_left(pace))


def _progress(console: rich.console.Console) -> Progress:
    columns = (TextColumn("{task.description:10}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TextColumn("{task.fields[facts]}"), console=console)


def _stand(event: StepDone) -> str:
    return f"{event.stage.name} {event.step}/{event.stage.last}, {event.count} Gaussians"


def _left(pace: Pace) -> str:
    """How many runs are left, and about how long they take."""
    seconds, count = pace.seconds_left(), pace.runs_left
    runs = f"{count} run{'s' if count != 1 else ''} left"
    if count == 0 or seconds is None:
        return runs
    if seconds < 90:
        return f"{runs}, about {seconds:.0f} s"
    return f"{runs}, about " + (f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h")


def _result(ablation: Ablation, event: TaskFinished) -> str:
    """What came out of a run: of teachers the vanilla one, of a student itself and the difference."""
    task = event.task
    same = [row for row in ablation.rows if (row.scene, row.seed) == (task.scene, task.seed)]
    model = task.variant or (VANILLA if task.is_default_set else f"{task.teachers}/{VANILLA}")
    row = next(row for row in same if (row.model, row.budget) == (model, task.budget))
    psnr = reported(row).psnr
    text = f"{psnr:.2f} dB, {row.gaussians:,} Gaussians, {row.seconds:.0f} s"
    vanilla = next((row for row in same if row.model == VANILLA), None)
    return (
        text
        if task.variant is None or vanilla is None
        else f"{text}, {psnr - reported(vanilla).psnr:+.2f} dB to vanilla"
    )


def _summary_table(table: Sequence[Row]) -> Table:
    shown = plain_table("model", "budget", "Gaussians", "PSNR", "to vanilla", "to photos-only", "to base")
    for each in summaries(table):
        differences = [each.differences.get(name) for name in (VANILLA, PHOTOS_ONLY, BASE)]
        shown.add_row(
            Text(each.model),
            each.budget or NONE,
            f"{each.gaussians.mean:,.0f}",
            _figure(each.psnr, ".2f"),
            *(_figure(difference, "+.2f") for difference in differences),
        )
    return shown


def _figure(value: Figure | None, form: str) -> str:
    if value is None:
        return NONE
    return format(value.mean, form) + (
        "" if value.spread is None else f" ± {format(value.spread, form.lstrip('+'))}"
    )
