"""What may hang, such as a network folder that does not answer, done in a thread of its own."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Errand(Generic[T]):
    """An action under way. Whoever does not want it any more lets go of it; its thread ends with the program.

    Args:
        action: begun at once. It touches nothing that others use meanwhile.
    """

    def __init__(self, action: Callable[[], T]) -> None:
        self._action = action
        self._result: T | None = None
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="errand", daemon=True)
        self._thread.start()

    def is_done(self, seconds: float = 0.0) -> bool:
        """Whether it is done, or will be within these seconds."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    @property
    def result(self) -> T:
        """Once it is done: what the action returned. Raises what the action raised."""
        assert not self._thread.is_alive(), "it is not done"
        if self._error is not None:
            raise self._error
        return self._result  # pyright: ignore[reportReturnType] - set, since there was no error

    def _run(self) -> None:
        try:
            self._result = self._action()
        except Exception as error:  # told to who asks for the result
            self._error = error
