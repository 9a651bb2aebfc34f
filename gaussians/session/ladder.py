"""Which counts a search tries, and in which order."""

from collections.abc import Mapping

RATIO = 2**0.25
"""Between neighbouring counts of the ladder: 19 %, about what a seed's noise in PSNR is worth."""
SMALLEST = 0.01  # of the vanilla teacher's count
START = 12  # the rung at an eighth of it
STRIDE = 4  # rungs, a factor of 2, to go at a time until the answer is enclosed


def ladder(vanilla: int) -> list[int]:
    """Counts from 84 % of `vanilla` Gaussians down to 1 %, each 1/RATIO of the one before; at least one."""
    counts, rung = [], 1
    while not counts or RATIO**-rung >= SMALLEST:
        counts.append(max(1, int(vanilla * RATIO**-rung)))
        rung += 1
    return list(dict.fromkeys(counts))


def next_rung(within: Mapping[int, bool], rungs: int) -> int | None:
    """The rung to try next; None: the search is over.

    From an eighth of the vanilla teacher's count it goes by factors of 2 until one count is good enough and
    a smaller one is not, and halves what is between them. This takes quality to grow with the count; where
    noise makes it otherwise, what is found is within the tolerance all the same.

    Args:
        within: whether the student was good enough, by the rungs tried, 0 the largest.
        rungs: there are.
    """
    if not within:
        return min(START - 1, rungs - 1)
    best = found(within)
    if best is None:
        largest = min(within)
        return None if largest == 0 else max(0, largest - STRIDE)
    failed = min((rung for rung, is_within in within.items() if not is_within and rung > best), default=None)
    if failed is None:
        return None if best == rungs - 1 else min(rungs - 1, best + STRIDE)
    return None if failed - best == 1 else (best + failed) // 2


def found(within: Mapping[int, bool]) -> int | None:
    """The rung of the smallest student that is good enough; None: none is."""
    return max((rung for rung, is_within in within.items() if is_within), default=None)
