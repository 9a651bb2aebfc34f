import random

from app.thumbnails import A_FRAME, MOST, Thumbnails, nearest_rows

ROW, HIGH = 80.0, 600.0  # px: of a row, of the window


def rows(top: float, count: int = 2000) -> list[int]:
    return nearest_rows(count, lambda row: row * ROW, top, HIGH)


def test_rows_in_sight_come_first_then_those_below_then_those_above() -> None:
    assert rows(800) == [*range(9, 25), *range(8, 2, -1)]
    assert rows(0) == list(range(15))
    assert rows(1e6, 40) == [39]
    assert rows(40 * ROW - HIGH, 40)[:8] == list(range(32, 40)), "all that is in sight, the first one in part"
    assert rows(0, 0) == []


def test_few_rows_are_asked_for_their_place() -> None:
    asked: list[int] = []
    nearest_rows(2000, lambda row: asked.append(row) or row * ROW, 70_000, HIGH)
    assert len(asked) < 60


def test_a_window_full_is_made_within_a_few_frames_a_few_a_frame() -> None:
    thumbnails, made = Thumbnails(), []
    names = [str(row) for row in rows(0)]
    for _ in range(4):
        new, old = thumbnails.see(names)
        assert len(new) <= A_FRAME
        assert old == []
        made += new
    assert made == names, "the most urgent first"
    assert thumbnails.see(names) == ([], [])


def test_scrolling_at_random_keeps_few_and_never_gives_up_what_is_in_sight() -> None:
    thumbnails, ready = Thumbnails(), set()
    random.seed(0)
    for _ in range(300):
        names = [str(row) for row in rows(random.uniform(0, 2000 * ROW - HIGH))]
        for _ in range(random.randrange(8)):
            new, old = thumbnails.see(names)
            assert ready.isdisjoint(new)
            assert ready.issuperset(old)
            ready = (ready | set(new)) - set(old)
            assert len(ready) <= MOST
            assert not set(old) & set(names)
            assert set(new) <= ready


def test_what_was_seen_last_is_there_when_it_comes_back() -> None:
    thumbnails = Thumbnails()
    for first in (0, 30, 60, 90):
        for _ in range(10):
            thumbnails.see([str(name) for name in range(first, first + 30)])
        if first == 60:
            assert thumbnails.see([str(name) for name in range(30)]) == ([], []), "90 are kept"
    assert thumbnails.see([str(name) for name in range(15)]) == ([], [])
    assert thumbnails.see(["59"])[0] == ["59"], "out of sight the longest, and the least urgent then"


def test_more_than_can_be_kept_is_not_made_over_and_over() -> None:
    thumbnails = Thumbnails()
    names = [str(name) for name in range(2 * MOST)]
    made = [name for _ in range(MOST) for name in thumbnails.see(names)[0]]
    assert made == names[:MOST]
    thumbnails.forget()
    assert thumbnails.see(names)[0] == names[:A_FRAME]
