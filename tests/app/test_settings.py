import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.settings import LEAST_ROOM, SCALES, fitting_scale


@pytest.mark.parametrize(
    ("wanted", "width", "height", "scale"),
    [
        (None, 1280, 720, 1.0),
        (None, 1920, 1080, 1.0),
        (None, 2560, 1440, 1.25),
        (None, 3840, 2160, 2.0),
        (None, 1080, 1920, 1.0),  # on end: the width decides
        (2.0, 1280, 720, 1.25),
        (2.0, 1920, 1080, 2.0),
        (0.8, 3840, 2160, 0.8),
    ],
)
def test_the_scale_is_what_is_wanted_as_far_as_the_window_has_room(
    wanted: float | None, width: int, height: int, scale: float
) -> None:
    assert fitting_scale(wanted, width, height) == scale


@given(
    wanted=st.none() | st.sampled_from(SCALES), width=st.integers(960, 8000), height=st.integers(600, 5000)
)
def test_no_scale_leaves_too_little_room(wanted: float | None, width: int, height: int) -> None:
    scale = fitting_scale(wanted, width, height)
    assert width / scale >= LEAST_ROOM[0]
    assert height / scale >= LEAST_ROOM[1]
