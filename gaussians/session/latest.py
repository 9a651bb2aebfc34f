"""A slot for the newest value of something, between two threads."""

import threading
from typing import Generic, TypeVar

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
