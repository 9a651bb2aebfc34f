"""Progress of work that can be counted: a bar on a terminal, a line now and then elsewhere."""

import contextlib
import time
from collections.abc import Callable, Iterator

import rich.console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

LINE_EVERY = 5.0  # seconds between lines where there is no terminal


@contextlib.contextmanager
def counting(what: str, total: int) -> Iterator[Callable[[], None]]:
    """Within: `total` things are done, and what is yielded is called after each. On standard error."""
    console = rich.console.Console(stderr=True, highlight=False)
    if console.is_terminal:
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(compact=True),
        )
        with Progress(*columns, console=console, transient=True) as progress:
            task, pace = progress.add_task(what, total=total, rate=""), _Pace(total)

            def advance() -> None:
                pace.done += 1
                progress.update(task, completed=pace.done, rate=f"{pace.rate:.1f}/s")

            yield advance
        return
    pace = _Pace(total)
    told = time.perf_counter()

    def tell() -> None:
        nonlocal told
        pace.done += 1
        now = time.perf_counter()
        if now - told >= LINE_EVERY and pace.done < total:
            told = now
            left = f"{pace.rate:.1f}/s  {pace.left:.0f} s left"
            console.print(f"{what}  {pace.done}/{total}  {left}", markup=False, soft_wrap=True)

    yield tell
    console.print(f"{what}  {pace.done}/{total}  {pace.seconds:.1f} s", markup=False, soft_wrap=True)


class _Pace:
    """How fast things are being done."""

    def __init__(self, total: int) -> None:
        self.total, self.done = total, 0
        self._began = time.perf_counter()

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._began

    @property
    def rate(self) -> float:
        """Per second."""
        return self.done / max(self.seconds, 1e-9)

    @property
    def left(self) -> float:
        """Seconds to the end at this rate."""
        return (self.total - self.done) / max(self.rate, 1e-9)
