"""What commands that train for long share: a start from compiled kernels, and an end on request."""

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gaussians.session.warmup import compiled_mark

MAIN = Path(__file__).resolve().parents[2] / "main.py"
STOPPED = 130
"""The exit code of a command that was asked to stop."""


def compile_first() -> None:
    """Compile the kernels in a process of its own, where they aren't yet.

    A process that compiles a kernel may get other last digits than those that load it from the disk; a run
    and its resumption must both load.
    """
    if not compiled_mark().exists():
        subprocess.run(
            [sys.executable, str(MAIN), "doctor", "--compile"], stdout=subprocess.DEVNULL, check=False
        )


@contextlib.contextmanager
def stop_requests() -> Iterator[Any]:
    """Within: Ctrl-C and SIGTERM only ask to stop, after the step; a second Ctrl-C stops at once."""
    asked: list[int] = []

    def ask(number: int, frame: Any) -> None:
        if asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked.append(number)

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, ask) for number in numbers]
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
