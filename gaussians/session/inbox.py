"""What the window asks of the worker: commands in order, of looks only the newest."""

import queue
from collections import deque

from gaussians.session.messages.commands import Command, Look
from gaussians.session.states import TABLE, Reaction, State


class Inbox:
    """A queue of commands. `put` from any thread, the rest from the worker's."""

    def __init__(self) -> None:
        self._arriving: queue.SimpleQueue[Command] = queue.SimpleQueue()
        self._waiting: deque[Command] = deque()

    def put(self, command: Command) -> None:
        """Add a command."""
        self._arriving.put(command)

    def next(self, timeout: float | None = 0.0) -> Command | None:
        """The next command; None when none came within `timeout` seconds (None: sleep until one comes)."""
        self._collect()
        if not self._waiting and timeout != 0.0:
            try:
                self._waiting.append(self._arriving.get(timeout=timeout))
            except queue.Empty:
                return None
        while self._waiting:
            command = self._waiting.popleft()
            is_newest = not any(isinstance(later, Look) for later in self._waiting)
            if not isinstance(command, Look) or is_newest:
                return command
        return None

    def newest_look(self) -> Look | None:
        """Take the newest Look out of those that wait, and leave the other commands; None: there is none."""
        self._collect()
        looks = [command for command in self._waiting if isinstance(command, Look)]
        if looks:
            self._waiting = deque(command for command in self._waiting if not isinstance(command, Look))
        return looks[-1] if looks else None

    def interrupts_loading(self) -> bool:
        """Whether a command waits that ends loading."""
        self._collect()
        return any(TABLE[State.LOADING, type(command)] is Reaction.INTERRUPT for command in self._waiting)

    def _collect(self) -> None:
        while True:
            try:
                self._waiting.append(self._arriving.get_nowait())
            except queue.Empty:
                return
