"""Two images in one: a divider dragged across, a cross-fade, or their difference in colour. NumPy only."""

from enum import Enum

import numpy as np

from gaussians.session.heat import heat_colors

DIVIDER = 2  # px wide, white


class Mode(Enum):
    """How two images are compared."""

    DIVIDER = "Divider"
    FADE = "Fade"
    FLIP = "Flip"
    ERROR = "Error"
    FLIP_MAP = "FLIP map"


_TABLE = heat_colors(np.linspace(0, 1, 256))


def divided(first: np.ndarray, second: np.ndarray, share: float) -> np.ndarray:
    """The first image left of the divider at `share` of the width, the second right of it.

    Args:
        first, second: [H, W, 3] uint8, of one size.
        share: 0 to 1.
    """
    width = first.shape[1]
    column = round(min(max(share, 0.0), 1.0) * width)
    image = second.copy()
    image[:, :column] = first[:, :column]
    if 0 < column < width:
        image[:, max(0, column - DIVIDER // 2) : column + DIVIDER // 2] = 255
    return image


def faded(first: np.ndarray, second: np.ndarray, share: float) -> np.ndarray:
    """`1 - share` of the first image and `share` of the second, [H, W, 3] uint8."""
    weight = round(min(max(share, 0.0), 1.0) * 256)
    mixed = first.astype(np.uint16) * (256 - weight) + second.astype(np.uint16) * weight
    return ((mixed + 128) >> 8).astype(np.uint8)


def difference(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """[H, W] uint8: the absolute difference, mean over the channels; 255: black against white."""
    apart = np.abs(first.astype(np.int16) - second)
    return ((apart.sum(axis=2) + 1) // 3).astype(np.uint8)


def mean_difference(first: np.ndarray, second: np.ndarray) -> float:
    """The mean of the absolute difference, 0 to 1; of two sizes, as `composed` has it."""
    second = resampled(second, first.shape[1], first.shape[0])
    return float(difference(first, second).mean()) / 255


def error_map(first: np.ndarray, second: np.ndarray, most: float) -> np.ndarray:
    """The absolute difference in colour, [H, W, 3] uint8; `most` (0 to 1) and beyond is the lightest."""
    scale = np.minimum(np.arange(256) / (255 * most), 1.0)
    table = _TABLE[np.round(scale * 255).astype(np.intp)]
    return table[difference(first, second)]


def flip_colors(error: np.ndarray) -> np.ndarray:
    """A FLIP map [H, W] uint8 (255: an error of 1) in colour, [H, W, 3] uint8."""
    return _TABLE[error]


def composed(
    mode: Mode, first: np.ndarray, second: np.ndarray, share: float, flipped: bool, most: float
) -> np.ndarray:
    """The comparison as the mode has it, which is not FLIP_MAP. Of two sizes, the second image is sampled at
    the first's pixels.

    Args:
        mode: how.
        first, second: [H, W, 3] uint8.
        share: place of the divider, or weight of the second image, 0 to 1.
        flipped: by `Mode.FLIP`: show the second.
        most: by `Mode.ERROR`: the difference that is the lightest colour.
    """
    second = resampled(second, first.shape[1], first.shape[0])
    if mode is Mode.DIVIDER:
        return divided(first, second, share)
    if mode is Mode.FADE:
        return faded(first, second, share)
    if mode is Mode.FLIP:
        return second if flipped else first
    return error_map(first, second, most)


def resampled(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """The nearest pixels of an image on another grid: while moving, sizes may differ for an instant."""
    if image.shape[:2] == (height, width):
        return image
    rows = (np.arange(height) * image.shape[0]) // height
    columns = (np.arange(width) * image.shape[1]) // width
    return image[rows[:, None], columns]
