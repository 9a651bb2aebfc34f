"""A thread that is sent commands, reports back, and outlives whatever goes wrong in it."""

import threading
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable

from gaussians.session.failures import failure
from gaussians.session.inbox import Inbox
from gaussians.session.latest import Frames
from gaussians.session.messages.commands import Command
from gaussians.session.messages.frame import Frame
from gaussians.session.messages.reports import Report
from gaussians.session.outbox import Outbox

_BREATHER = 0.1  # seconds after an error that nothing caught: it may come back at once


class CommandThread(ABC):
    """The thread and its mail. All public methods may be called from any thread; all but waiting
    and joining return at once."""

    def __init__(self) -> None:
        self._inbox, self._outbox = Inbox(), Outbox()
        self._frames = Frames()
        self._thread = threading.Thread(target=self._work, name="worker", daemon=True)
        # All below is the thread's own.
        self._quitting = False
        self._told: set[tuple] = set()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def send(self, command: Command) -> None:
        """Ask for something."""
        self._inbox.put(command)

    def reports(self) -> list[Report]:
        """All reports since the last call, oldest first."""
        return self._outbox.drain()

    def frame(self, cell: str) -> Frame | None:
        """The newest frame of a cell since last asked."""
        return self._frames.take(cell)

    def wait_for_frame(self, cell: str, wanted: Callable[[Frame], bool], seconds: float) -> None:
        """Wait until a cell has such a frame, but not for longer."""
        self._frames.wait(cell, wanted, seconds)

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs: from `start` until a Quit is carried out, or something has killed it."""
        return self._thread.is_alive()

    def join(self, timeout: float | None = None) -> None:
        """Wait for the thread to end, which it does after Quit."""
        self._thread.join(timeout)

    @abstractmethod
    def _turn(self, timeout: float | None) -> float | None:
        """In the thread, again and again: wait so many seconds for a command (None: until one comes), carry
        it out or do something else for a while; the seconds to wait in the next turn."""

    def _work(self) -> None:
        timeout: float | None = 0.0
        while not self._quitting:
            try:
                timeout = self._turn(timeout)
            except BaseException as error:  # a library's panic, too, is no reason to lose the run
                self._tell_once("An error that should not happen", error)
                timeout = _BREATHER

    def _tell_once(self, what: str, error: BaseException) -> None:
        """Report an error, but not again and again what comes back with each turn."""
        innermost = traceback.extract_tb(error.__traceback__)[-1:]
        key = (type(error), *((frame.filename, frame.lineno) for frame in innermost))
        if key not in self._told:
            self._told.add(key)
            self._outbox.put(failure(what, error))
