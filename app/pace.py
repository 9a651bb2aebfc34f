"""How many frames a second the window makes: no more than are of use."""

import time

BUSY_RATE, CALM_RATE = 60.0, 20.6  # frames a second while the window is used, and else


class Pace:
    """When the next frame is due."""

    def __init__(self) -> None:
        self._due = time.perf_counter()

    def wait(self, busy: bool) -> None:
        """Sleep until then.

        Args:
            busy: the window is used.
        """
        rate = BUSY_RATE if busy else CALM_RATE
        now = time.perf_counter()
        # From when this frame was due, not from when it began: sleep lasts longer than asked for.
        self._due = max(self._due + 1 / rate, now)
        time.sleep(self._due - now)
