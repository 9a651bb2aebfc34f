"""Which thumbnails are ready to be drawn: those in sight, and those seen last. No toolkit here."""

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Sequence

MOST = 96  # ready; the toolkit holds each in 16 bytes a pixel, 0.13 MB. More than a tall window shows.
A_FRAME = 4  # made in one frame: a window full in three


class Thumbnails:
    """The names of those that are ready, the one longest out of sight first."""

    def __init__(self) -> None:
        self._ready: OrderedDict[str, None] = OrderedDict()

    def see(self, wanted: Sequence[str]) -> tuple[list[str], list[str]]:
        """Which to make in this frame, and which of those ready to give up for them.

        Args:
            wanted: in sight or near it, the most urgent first; beyond `MOST` they are not heeded.
        """
        wanted = wanted[:MOST]
        for name in reversed(wanted):
            if name in self._ready:
                self._ready.move_to_end(name)
        new = [name for name in wanted if name not in self._ready][:A_FRAME]
        self._ready.update(dict.fromkeys(new))
        return new, [self._ready.popitem(last=False)[0] for _ in range(len(self._ready) - MOST)]

    def forget(self) -> None:
        """None is ready any more."""
        self._ready.clear()


def nearest_rows(count: int, place: Callable[[int], float], top: float, high: float) -> list[int]:
    """Rows in sight, downwards, then those a window full below, then those a window full above, upwards.

    Args:
        count: of all rows; few are asked for their place.
        place: where a row begins, px from the first one's beginning; it grows with the row.
        top, high: what is in sight begins here, and is so high, px.
    """

    def from_here(at: float) -> int:
        return bisect_left(range(count), at, key=place)

    first = max(0, from_here(top) - 1)  # cut off above, but in sight
    above, below = from_here(top - high), from_here(top + 2 * high)
    return [*range(first, below), *reversed(range(above, first))]
