import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.layout import SPARED, Layout, Rect

NAMES = ("photo", "vanilla", "student", "compare")


def layout() -> Layout:
    made = Layout(NAMES, frozenset({"compare"}))
    made.offer(NAMES)
    return made


def test_only_what_there_is_and_is_not_hidden_is_shown() -> None:
    made = layout()
    made.offer(("photo", "student", "compare"))
    assert made.shown == ("photo", "student")
    made.toggle("compare")
    assert made.shown == ("photo", "student", "compare")


def test_new_cells_come_last() -> None:
    made = layout()
    made.offer((*NAMES, "mine"))
    assert made.shown[-1] == "mine"


def test_the_last_cell_can_not_be_hidden() -> None:
    made = layout()
    for name in ("photo", "vanilla", "student"):
        made.toggle(name)
    assert len(made.shown) == 1


def test_enlarging_and_back() -> None:
    made = layout()
    made.enlarge("student")
    assert made.shown == ("student",)
    made.enlarge("student")
    assert made.shown == ("photo", "vanilla", "student")


def test_an_enlarged_cell_that_goes_away_gives_the_grid_back() -> None:
    made = layout()
    made.enlarge("student")
    made.offer(("photo", "vanilla"))
    assert made.shown == ("photo", "vanilla")


def test_of_several_cells_one_is_shown_at_least() -> None:
    made = Layout(NAMES, frozenset({"photo"}))
    made.offer(("photo",))
    assert made.shown == ("photo",)


def test_with_one_enlarged_another_that_is_asked_for_takes_its_place() -> None:
    made = layout()
    made.enlarge("vanilla")
    made.toggle("student")
    assert made.shown == ("student",)
    made.shrink()
    assert made.shown == ("photo", "vanilla", "student")


def test_hiding_the_enlarged_cell_gives_the_grid_back() -> None:
    made = layout()
    made.enlarge("student")
    made.toggle("student")
    assert made.shown == ("photo", "vanilla")


def test_swapping() -> None:
    made = layout()
    made.swap("photo", "student")
    assert made.shown == ("student", "vanilla", "photo")


@given(
    count=st.integers(1, 9),
    width=st.floats(200, 4000),
    height=st.floats(200, 2200),
    aspect=st.floats(0.4, 3),
)
def test_cells_keep_to_the_area_apart_from_each_other_and_have_the_images_shape(
    count: int, width: float, height: float, aspect: float
) -> None:
    names = tuple(map(str, range(count)))
    made = Layout(names)
    made.offer(names)
    places = list(made.places(width, height, aspect).values())
    assert len(places) == count
    for place in places:
        assert place.x >= 0
        assert place.y >= 0
        assert place.x + place.width <= width
        assert place.y + place.height <= height
        assert abs(place.width - place.height * aspect) <= aspect + 1  # whole pixels
    for one, other in itertools.combinations(places, 2):
        apart = one.x + one.width <= other.x or other.x + other.width <= one.x
        assert apart or one.y + one.height <= other.y or other.y + other.height <= one.y


@pytest.mark.parametrize(("width", "height"), [(890, 570), (1400, 900), (500, 900)])
def test_a_last_row_with_fewer_cells_is_in_the_middle(width: int, height: int) -> None:
    names = tuple(map(str, range(7)))
    made = Layout(names)
    made.offer(names)
    places = list(made.places(width, height, 4 / 3).values())
    last = [place for place in places if place.y == places[-1].y]
    assert 0 < len(last) < sum(place.y == places[0].y for place in places)
    left, right = last[0].x, width - last[-1].x - last[-1].width
    assert abs(left - right) <= 2


@pytest.mark.parametrize(
    ("count", "width", "height", "columns"),
    [(2, 890, 570, 2), (2, 500, 900, 1), (3, 890, 570, 2), (4, 890, 570, 2), (6, 890, 570, 3)],
)
def test_the_grid_makes_the_images_largest(count: int, width: int, height: int, columns: int) -> None:
    names = tuple(map(str, range(count)))
    made = Layout(names)
    made.offer(names)
    places = list(made.places(width, height, 4 / 3).values())
    assert sum(place.y == places[0].y for place in places) == columns


def test_a_point_finds_its_cell() -> None:
    made = layout()
    for name, place in made.places(900, 500, 1.5).items():
        assert made.at(place.x + place.width / 2, place.y + place.height / 2, 900, 500, 1.5) == name
    assert made.at(-1, -1, 900, 500, 1.5) is None


@pytest.mark.parametrize(("width", "height"), [(0, 500), (500, 0)])
def test_no_room_no_places(width: int, height: int) -> None:
    assert layout().places(width, height, 1.5) == {}


def test_what_is_remembered_comes_back() -> None:
    made = layout()
    made.swap("photo", "student")
    made.toggle("compare")
    made.toggle("vanilla")
    again = Layout.from_json(made.to_json(), NAMES, frozenset({"compare"}))
    again.offer(NAMES)
    assert again.shown == made.shown


@pytest.mark.parametrize("document", [None, [], {"order": 3}, {"order": [1], "hidden": []}, {"hidden": []}])
def test_what_can_not_be_understood_is_as_at_first(document: object) -> None:
    again = Layout.from_json(document, NAMES, frozenset({"compare"}))
    again.offer(NAMES)
    assert again.shown == ("photo", "vanilla", "student")


def test_fitted_is_centred() -> None:
    assert Rect(10, 20, 300, 100).fitted(1.0) == Rect(110, 20, 100, 100)


@pytest.mark.parametrize("aspect", [4 / 3, 3 / 2, 16 / 9, 9 / 16, 1.0, 1.3301])
@pytest.mark.parametrize("width", [300.5, 593.0, 789.7])
def test_fitted_keeps_the_aspect_so_that_photos_have_no_rim(width: float, aspect: float) -> None:
    place = Rect(0, 0, width, 10_000.9).fitted(aspect)
    assert width - SPARED - 1 < place.width <= width
    assert abs(place.width / aspect - place.height) < 0.1
