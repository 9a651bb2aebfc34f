"""Compiled resampling of images [H, W, C] on one core each: several threads may call them at once.

Pixel (i, j) covers [j, j+1] x [i, i+1]; its centre is (j + 0.5, i + 0.5).
"""

import numpy as np
from numba import njit

from gaussians.kernels import FASTMATH


@njit(cache=True, nogil=True, fastmath=FASTMATH)
def resample_area(source, out):
    """Fill `out` [h, w, C] uint8 with the mean of `source` [H, W, C] over each pixel's exact area.

    Meant for h ≤ H and w ≤ W: an output pixel weighs each input pixel by how much of it it covers.
    """
    rows, columns, channels = source.shape
    height, width = out.shape[0], out.shape[1]
    tall, wide = rows / height, columns / width
    line = np.empty(columns * channels, np.float32)
    total = np.empty(channels, np.float32)
    for i in range(height):
        top, bottom = i * tall, min((i + 1) * tall, float(rows))
        line[:] = np.float32(0.0)
        for r in range(int(top), min(int(np.ceil(bottom)), rows)):
            weight = np.float32((min(bottom, r + 1.0) - max(top, float(r))) / tall)
            flat = source[r].reshape(columns * channels)
            for k in range(columns * channels):
                line[k] += weight * np.float32(flat[k])
        for j in range(width):
            left, right = j * wide, min((j + 1) * wide, float(columns))
            total[:] = np.float32(0.0)
            for c in range(int(left), min(int(np.ceil(right)), columns)):
                weight = np.float32((min(right, c + 1.0) - max(left, float(c))) / wide)
                for channel in range(channels):
                    total[channel] += weight * line[c * channels + channel]
            for channel in range(channels):
                out[i, j, channel] = np.uint8(min(max(total[channel], 0.0), 255.0) + np.float32(0.5))


@njit(cache=True, nogil=True, fastmath=FASTMATH)
def remap_bilinear(source, where, out):
    """Fill `out` [h, w, C] float32 with `source` [H, W, C] at the positions `where` [h, w, 2] (x, y).

    Positions beyond the border's pixel centres take the border's value.
    """
    rows, columns, channels = source.shape
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            x = min(max(where[i, j, 0] - np.float32(0.5), np.float32(0.0)), np.float32(columns - 1))
            y = min(max(where[i, j, 1] - np.float32(0.5), np.float32(0.0)), np.float32(rows - 1))
            left, top = int(x), int(y)
            right, bottom = min(left + 1, columns - 1), min(top + 1, rows - 1)
            a, b = x - np.float32(left), y - np.float32(top)
            one = np.float32(1.0)
            for channel in range(channels):
                upper = (one - a) * source[top, left, channel] + a * source[top, right, channel]
                lower = (one - a) * source[bottom, left, channel] + a * source[bottom, right, channel]
                out[i, j, channel] = (one - b) * upper + b * lower
