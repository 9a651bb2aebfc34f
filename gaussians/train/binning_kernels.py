"""8-bit images as floats, binned or as they are, on all cores."""

import numpy as np
from numba import njit, prange

from gaussians.kernels import FASTMATH


@njit(cache=True, nogil=True, parallel=True, fastmath=FASTMATH)
def bin_image(image, factor, out):
    """Fill `out` [h, w, C] float32 in [0, 1] with the means over blocks of `image` [H, W, C] uint8.

    Args:
        image: H ≥ h * factor, W ≥ w * factor.
        factor: a block's width and height.
        out: written.
    """
    height, width, channels = out.shape
    share = np.float32(1.0 / (255.0 * factor * factor))
    for i in prange(height):
        for j in range(width):
            for channel in range(channels):
                total = 0
                for r in range(factor):
                    for c in range(factor):
                        total += image[i * factor + r, j * factor + c, channel]
                out[i, j, channel] = share * np.float32(total)


@njit(cache=True, nogil=True, parallel=True, error_model="numpy")
def as_floats(image, out):
    """Fill `out` [H, W] float32 in [0, 1] with the bytes of `image` [H, W] uint8; W counts channels, too."""
    most = np.float32(255)
    for i in prange(image.shape[0]):
        for j in range(image.shape[1]):
            out[i, j] = np.float32(image[i, j]) / most
