"""A slot for the newest value of something, between two threads."""

import threading
from typing import Generic, TypeVar

from gaussians.session.messages import Frame

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

    def take(self) -> T | None:
        """The newest value since last taken; None when there is none."""
        with self._lock:
            value, self._value = self._value, None
            return value


class Frames:
    """A slot for the newest frame of each cell."""

    def __init__(self) -> None:
        self._slots: dict[str, Latest[Frame]] = {}

    def put(self, frame: Frame) -> None:
        """Replace the frame of its cell."""
        self._slots.setdefault(frame.cell, Latest()).put(frame)

    def take(self, cell: str) -> Frame | None:
        """The newest frame of a cell since last taken."""
        slot = self._slots.get(cell)
        return None if slot is None else slot.take()
