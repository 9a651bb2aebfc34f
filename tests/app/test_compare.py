import numpy as np
import pytest

from app.compare import (
    Mode,
    composed,
    difference,
    divided,
    error_map,
    faded,
    flip_colors,
    mean_difference,
)

rng = np.random.default_rng(0)
FIRST, SECOND = (rng.integers(0, 256, (12, 20, 3), np.uint8) for _ in range(2))


def test_the_divider_shows_the_first_left_of_it_and_the_second_right_of_it() -> None:
    image = divided(FIRST, SECOND, 0.5)
    assert np.array_equal(image[:, :9], FIRST[:, :9])
    assert np.array_equal(image[:, 11:], SECOND[:, 11:])
    assert (image[:, 9:11] == 255).all()


@pytest.mark.parametrize(("share", "whole"), [(0.0, SECOND), (1.0, FIRST), (-3.0, SECOND), (7.0, FIRST)])
def test_at_the_edges_one_image_is_whole(share: float, whole: np.ndarray) -> None:
    assert np.array_equal(divided(FIRST, SECOND, share), whole)


def test_fading_goes_from_one_to_the_other() -> None:
    assert np.array_equal(faded(FIRST, SECOND, 0), FIRST)
    assert np.array_equal(faded(FIRST, SECOND, 1), SECOND)
    halfway = (FIRST.astype(float) + SECOND) / 2
    assert np.abs(faded(FIRST, SECOND, 0.5) - halfway).max() <= 0.5


def test_difference_is_the_mean_over_the_channels() -> None:
    wanted = np.abs(FIRST.astype(float) - SECOND).mean(axis=2)
    assert np.abs(difference(FIRST, SECOND) - wanted).max() <= 0.67


def test_the_error_map_is_dark_where_equal_and_lightest_at_most_and_beyond() -> None:
    black = np.zeros((1, 3, 3), np.uint8)
    other = np.array([[[0] * 3, [51] * 3, [255] * 3]], np.uint8)
    none, most, beyond = error_map(black, other, 0.2)[0].astype(int)
    assert none.sum() < 10
    assert np.array_equal(most, beyond)
    assert most.sum() > 600


def test_the_error_map_grows_lighter_with_the_error() -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    lightness = error_map(np.zeros_like(ramp), ramp, 1.0)[0] @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(lightness) > -1).all()


def test_flipping_shows_one_or_the_other() -> None:
    assert np.array_equal(composed(Mode.FLIP, FIRST, SECOND, 0.5, False, 1), FIRST)
    assert np.array_equal(composed(Mode.FLIP, FIRST, SECOND, 0.5, True, 1), SECOND)


@pytest.mark.parametrize("mode", Mode)
def test_images_of_two_sizes_are_compared_at_the_firsts(mode: Mode) -> None:
    small = SECOND[::2, ::2]
    assert composed(mode, FIRST, small, 0.5, False, 0.5).shape == FIRST.shape


def test_no_input_is_written_to() -> None:
    first, second = FIRST.copy(), SECOND.copy()
    first.flags.writeable = second.flags.writeable = False
    for mode in Mode:
        composed(mode, first, second, 0.3, False, 0.5)


def test_the_mean_of_the_difference() -> None:
    first = np.zeros((4, 4, 3), np.uint8)
    second = first.copy()
    second[0] = 255
    assert mean_difference(first, second) == pytest.approx(0.25)


def test_flip_in_colour_is_brightest_where_it_is_one() -> None:
    colours = flip_colors(np.array([[0, 128, 255]], np.uint8)).astype(int).sum(axis=2)[0]
    assert colours[0] < colours[1] < colours[2]
