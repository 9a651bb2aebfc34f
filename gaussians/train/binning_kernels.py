"""8-bit images, binned, as floats, on all cores."""

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
