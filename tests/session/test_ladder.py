"""The ladder is walked to the smallest count that is good enough, in few trials."""

import pytest

from gaussians.session.ladder import RATIO, found, ladder, next_rung


def walked(good: int, rungs: int) -> tuple[int | None, int]:
    """What a search finds, and in how many trials, where rungs up to `good` are good enough."""
    within: dict[int, bool] = {}
    while (rung := next_rung(within, rungs)) is not None:
        assert rung not in within
        assert 0 <= rung < rungs
        within[rung] = rung <= good
    return found(within), len(within)


@pytest.mark.parametrize("rungs", [1, 5, 12, 26])
def test_finds_the_smallest_good_one_wherever_it_is(rungs: int):
    for good in range(rungs):
        rung, trials = walked(good, rungs)
        assert rung == good
        assert trials <= 7


def test_finds_none_only_after_trying_the_largest():
    rung, trials = walked(-1, 26)
    assert rung is None
    assert trials <= 4


def test_noise_never_makes_it_choose_one_that_failed():
    within = {11: True, 15: False, 13: True, 14: False, 7: False}
    assert next_rung(within, 26) is None
    assert found(within) == 13


def test_ladder_is_geometric_and_starts_near_an_eighth():
    counts = ladder(100_000)
    assert counts[11] == 12_500
    assert counts[0] == int(100_000 / RATIO)
    assert 1000 <= counts[-1] < 1000 * RATIO
    assert ladder(1) == [1]
    assert ladder(20) == sorted(set(ladder(20)), reverse=True)
