"""How many Gaussian-pixel evaluations the CPU kernels carry out: what their time is divided by."""

import math

import numba
import numpy as np

from gaussians.raster.constants import ALPHA_MAX, TRANSMITTANCE_MIN
from gaussians.raster.cpu.blend import EXIT_CHECK, TILE, reach
from gaussians.raster.cpu.functions import Bins
from gaussians.raster.cpu.rows import BOTH, EXPONENT_MIN, LOG_OPACITY, RIGHT, SPAN, A, B, C, X, Y

_ONE, _HALF = np.float32(1), np.float32(0.5)
_ALPHA_MAX, _T_MIN = np.float32(ALPHA_MAX), np.float32(TRANSMITTANCE_MIN)


def evaluations(bins: Bins, packed: np.ndarray, width: int, height: int) -> tuple[int, int]:
    """Pixels evaluated by the forward and by the backward kernel, over all tiles and Gaussians.

    Whole vectors of 2 x 8 pixels, also where they reach beyond the image: what is executed, not what is seen.
    Both end early where nothing shines through any more.

    Args:
        bins: of one camera.
        packed: from `packed_rows`.
        width, height: of the image, pixels.
    """
    counts = np.zeros((len(bins.starts) - 1, 2), np.int64)
    _count(packed, bins.starts, bins.ranks, bins.tiles_x, width, height, counts)
    forward, backward = counts.sum(axis=0)
    return int(forward), int(backward)


@numba.njit(parallel=True, nogil=True, error_model="numpy")
def _count(packed, starts, ranks, tiles_x, width, height, counts):
    """The forward kernel's walk through each tile's list, pixel by pixel, only for where it ends."""
    for tile in numba.prange(counts.shape[0]):
        left, top = (tile % tiles_x) * TILE, (tile // tiles_x) * TILE
        rows, columns = min(TILE, height - top), min(TILE, width - left)
        state = np.ones((rows, columns), np.float32)
        begin, executed = starts[tile], 0
        for place in range(begin, starts[tile + 1]):
            rank = ranks[place]
            first, end, halves = reach(packed, np.int64(rank), left, top, rows)
            begin_column = SPAN if halves == RIGHT else 0
            end_column = min(columns, TILE if halves >= RIGHT else SPAN)
            executed += (end - first) * TILE * (2 if halves == BOTH else 1)
            drawn = False
            for j in range(2 * first, min(2 * end, rows)):
                dy = np.float32(top + j) + _HALF - packed[rank, Y]
                for i in range(begin_column, end_column):
                    dx = np.float32(left + i) + _HALF - packed[rank, X]
                    power = dx * (packed[rank, A] * dx + packed[rank, B] * dy)
                    power += packed[rank, C] * dy * dy + packed[rank, LOG_OPACITY]
                    if power >= EXPONENT_MIN and state[j, i] > 0:
                        alpha = min(np.float32(math.pow(np.float32(2), power)), _ALPHA_MAX)
                        after = state[j, i] * (_ONE - alpha)
                        drawn = drawn or after > _T_MIN
                        state[j, i] = after if after > _T_MIN else -state[j, i]
            if drawn:
                counts[tile, 1] = executed
            if (place - begin) % EXIT_CHECK == EXIT_CHECK - 1 and state.max() < 0:
                break
        counts[tile, 0] = executed
