"""Adam's update on the CPU in one pass over memory: four reads and three writes a number, no temporaries."""

import numpy as np
from numba import njit, prange

from gaussians.kernels import FASTMATH

_CHUNK = 8192  # numbers a thread takes at a time: 128 KiB of the four arrays
# The NumPy error model: Python's would test each divisor for zero, and the loop could not be vectorised.
_OPTIONS = {"fastmath": FASTMATH, "error_model": "numpy", "nogil": True, "cache": True}


@njit(**_OPTIONS)
def update(param, gradient, mean, square, keep, rate1, beta2, rate2, step_size, correction, eps):
    """Update [n] numbers in place; with `keep` [n] bool only those where it is True."""
    for i in range(param.shape[0]):
        g = gradient[i]
        m = mean[i] + rate1 * (g - mean[i])
        v = beta2 * square[i] + rate2 * g * g
        p = param[i] - step_size * m / (np.sqrt(v) * correction + eps)
        # All is computed and some of it dropped: rows are too short to skip them and still vectorise.
        kept = True if keep is None else keep[i]
        mean[i] = m if kept else mean[i]
        square[i] = v if kept else square[i]
        param[i] = p if kept else param[i]


@njit(**_OPTIONS, parallel=True)
def update_all(param, gradient, mean, square, rate1, beta2, rate2, step_size, correction, eps):
    """Algorithm 1 of Kingma & Ba 2015, its bias corrections folded into two factors.

    Args:
        param, mean, square: [n] float32, updated in place.
        gradient: [n] float32.
        rate1, rate2: float32, 1 - beta1 and 1 - beta2; from 0.999 in float32 the latter would be off by 1e-5.
        beta2, eps: float32.
        step_size: float32, learning rate / (1 - beta1^t).
        correction: float32, 1 / √(1 - beta2^t).
    """
    n = param.shape[0]
    for chunk in prange((n + _CHUNK - 1) // _CHUNK):
        s = slice(chunk * _CHUNK, min(n, (chunk + 1) * _CHUNK))
        update(
            param[s], gradient[s], mean[s], square[s], None, rate1, beta2, rate2, step_size, correction, eps
        )


@njit(**_OPTIONS, parallel=True)
def update_rows(param, gradient, mean, square, visible, rate1, beta2, rate2, step_size, correction, eps):
    """As `update_all`, but the arrays are N rows of n / N numbers, and only the `visible` [N] rows change."""
    n = visible.shape[0]
    k = param.shape[0] // max(1, n)
    rows = max(1, _CHUNK // max(1, k))
    for chunk in prange((n + rows - 1) // rows):
        start, stop = chunk * rows, min(n, (chunk + 1) * rows)
        keep = np.empty((stop - start) * k, np.bool_)
        for row in range(start, stop):
            keep[(row - start) * k : (row - start + 1) * k] = visible[row]
        s = slice(start * k, stop * k)
        update(
            param[s], gradient[s], mean[s], square[s], keep, rate1, beta2, rate2, step_size, correction, eps
        )
