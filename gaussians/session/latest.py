"""A slot for the newest value of something, between two threads."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from gaussians.session.messages.frame import Frame

T = TypeVar("T")


class Latest(Generic[T]):
    """Holds one value: putting replaces what nobody took, taking empties. Neither waits for the other."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._value: T | None = None

    def put(self, value: T) -> None:
        """Replace whatever is in the slot."""
        with self._lock:
            self._value = value

    def peek(self) -> T | None:
        """The same as `take`, but it stays."""
        with self._lock:
            return self._value

    def take(self) -> T | None:
        """The newest value since last taken; None when there is none."""
        with self._lock:
            value, self._value = self._value, None
            return value


class Frames:
    """A slot for the newest frame of each cell."""

    def __init__(self) -> None:
        self._slots: dict[str, Latest[Frame]] = {}
        self._arrived = threading.Condition()

    def put(self, frame: Frame) -> None:
        """Replace the frame of its cell."""
        with self._arrived:
            self._slots.setdefault(frame.cell, Latest()).put(frame)
            self._arrived.notify_all()

    def take(self, cell: str) -> Frame | None:
        """The newest frame of a cell since last taken."""
        slot = self._slots.get(cell)
        return None if slot is None else slot.take()

    def wait(self, cell: str, wanted: Callable[[Frame], bool], seconds: float) -> None:
        """Wait until the cell has such a frame to take, but not for longer."""

        def has_come() -> bool:
            slot = self._slots.get(cell)
            frame = None if slot is None else slot.peek()
            return frame is not None and wanted(frame)

        with self._arrived:
            self._arrived.wait_for(has_come, seconds)
