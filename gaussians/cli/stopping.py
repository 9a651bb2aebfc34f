"""How commands that train for long end on request."""

import contextlib
import signal
from collections.abc import Iterator
from typing import Any

STOPPED = 130
"""The exit code of a command that was asked to stop."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


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
