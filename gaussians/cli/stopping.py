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
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def compile_first() -> None:
    """Compile the kernels in a process of its own, where they aren't yet.

    A process that compiles a kernel may get other last digits than those that load it from the disk; a run
    and its resumption must both load.
    """
    if not compiled_mark().exists():
        subprocess.run(
            [sys.executable, str(MAIN), "doctor", "--compile"], stdout=subprocess.DEVNULL, check=False
        )


class StopRequests:
    """Whether Ctrl-C or SIGTERM asked to stop: after the step; a second Ctrl-C stops at once."""

    def __init__(self) -> None:
        self._asked = False

    def __call__(self) -> bool:
        """Whether it was asked."""
        return self._asked

    def listen(self) -> None:
        """Take the signals; again after anything that may have taken them, as pycolmap's import does."""
        for number in _SIGNALS:
            signal.signal(number, self._ask)

    def _ask(self, number: int, frame: Any) -> None:
        if self._asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._asked = True


@contextlib.contextmanager
def stop_requests() -> Iterator[StopRequests]:
    """Within: Ctrl-C and SIGTERM only ask to stop."""
    before = [signal.getsignal(number) for number in _SIGNALS]
    requests = StopRequests()
    requests.listen()
    try:
        yield requests
    finally:
        for number, handler in zip(_SIGNALS, before, strict=True):
            signal.signal(number, handler)
