"""What blending reads of each Gaussian, and what its gradient is in the end: one row each, by Gaussian."""

# pyright: reportCallIssue=false
# (An intrinsic's first parameter is the typing context, which callers in kernels don't pass.)

import math

import numba
import numpy as np

from gaussians.kernels import FASTMATH, aligned_floats
from gaussians.raster.cpu.gradient_lanes import sum_rows
from gaussians.raster.cpu.layout import (
    COLOR,
    EXTRA_X,
    EXTRA_Y,
    LOG_OPACITY,
    MOMENTS,
    S0,
    SX,
    SXX,
    SXY,
    SY,
    SYY,
    V_COLOR,
    A,
    B,
    C,
    X,
    Y,
)
from gaussians.raster.cpu.pieces import piece_count, rows_of_piece

F32 = np.float32
ZERO, HALF, ONE = F32(0.0), F32(0.5), F32(1.0)
LOG2E = F32(1.4426950408889634)


@numba.njit(parallel=True, cache=True, nogil=True, fastmath=FASTMATH)
def pack(visible, means2d, conics, opacities, colors, packed):
    """Put what blending reads of each visible Gaussian into one row, exponents scaled to base 2.

    Args:
        visible [V] int32, means2d [N, 2], conics [N, 3], opacities [N], colors [N, 3 or 4].
        packed: [V, 16], written.
    """
    for v in numba.prange(visible.shape[0]):
        n = visible[v]
        packed[v, X], packed[v, Y] = means2d[n, 0], means2d[n, 1]
        packed[v, A] = -HALF * LOG2E * conics[n, 0]
        packed[v, B] = -LOG2E * conics[n, 1]
        packed[v, C] = -HALF * LOG2E * conics[n, 2]
        packed[v, LOG_OPACITY] = F32(math.log2(opacities[n]))
        for channel in range(colors.shape[1]):
            packed[v, COLOR + channel] = colors[n, channel]


@numba.njit(parallel=True, cache=True, nogil=True, fastmath=FASTMATH, error_model="numpy")
def gather(
    visible, spans, moments, n_workers, conics, opacities, v_means2d, extra, v_conics, v_opacities,
    v_colors,
):  # fmt: skip
    """Add up each Gaussian's moments over its tiles and turn them into gradients of its 2-D parameters.

    Args:
        visible [V], spans [V, 2]: from binning. moments [slots, 16]: from the backward pass.
        conics [N, 3], opacities [N].
        v_means2d, extra [N, 2], v_conics [N, 3], v_opacities [N], v_colors [N, 3 or 4]: written, zero where
            nothing is visible. `extra` gets the sums of EXTRA_X and EXTRA_Y, raw; without rows, nothing.
    """
    pieces = piece_count(conics.shape[0])
    for worker in numba.prange(n_workers):
        total = aligned_floats(MOMENTS)
        begin, end = pieces * worker // n_workers, pieces * (worker + 1) // n_workers
        v = np.int64(-1)
        for piece in range(begin, end):
            some = rows_of_piece(piece, pieces, conics.shape[0])
            v = np.searchsorted(visible, some.start) if v < 0 else v
            v = gather_rows(
                some.start, v, visible, spans, moments, total, conics[some], opacities[some], v_means2d[some],
                extra[some], v_conics[some], v_opacities[some], v_colors[some],
            )  # fmt: skip


@numba.njit(fastmath=FASTMATH, error_model="numpy")
def gather_rows(
    first, v, visible, spans, moments, total, conics, opacities, v_means2d, extra, v_conics, v_opacities,
    v_colors,
):  # fmt: skip
    """The same of some Gaussians, from number `first` on, whose rows the arrays have, one after another.

    `v` is the place of the first of them that is visible; `total` is [16] to work in.

    Returns:
        That of the first beyond them.
    """
    for row in range(conics.shape[0]):
        if v >= visible.shape[0] or visible[v] != first + row:
            _clear(row, v_means2d, extra, v_conics, v_opacities, v_colors)
            continue
        sum_rows(moments, np.int64(spans[v, 0]), np.int64(spans[v, 1]), total)
        v += 1
        a, b, c = conics[row, 0], conics[row, 1], conics[row, 2]
        v_means2d[row, 0] = a * total[SX] + b * total[SY]
        v_means2d[row, 1] = b * total[SX] + c * total[SY]
        if extra.shape[0] > 0:
            extra[row, 0], extra[row, 1] = total[EXTRA_X], total[EXTRA_Y]
        v_conics[row, 0] = -HALF * total[SXX]
        v_conics[row, 1] = -total[SXY]
        v_conics[row, 2] = -HALF * total[SYY]
        v_opacities[row] = total[S0] / opacities[row]
        for channel in range(v_colors.shape[1]):
            v_colors[row, channel] = total[V_COLOR + channel]
    return v


@numba.njit
def _clear(n, v_means2d, extra, v_conics, v_opacities, v_colors):
    """Let the gradients of an invisible Gaussian be zero."""
    v_means2d[n, 0] = v_means2d[n, 1] = ZERO
    if extra.shape[0] > 0:
        extra[n, 0] = extra[n, 1] = ZERO
    v_conics[n, 0] = v_conics[n, 1] = v_conics[n, 2] = ZERO
    v_opacities[n] = ZERO
    for channel in range(v_colors.shape[1]):
        v_colors[n, channel] = ZERO


@numba.njit(parallel=True, cache=True, nogil=True)
def to_stored(scales, opacities, v_means_of_colors, v_means, v_scales, v_opacities):
    """Turn gradients of activated values into those of what is stored, in place.

    Args:
        scales [N, 3]: e to the power of what is stored. opacities [N]: its sigmoid.
        v_means_of_colors [N, 3]: by way of the colours, added to v_means [N, 3].
        v_scales [N, 3], v_opacities [N]: become those of logarithm and logit.
    """
    pieces = piece_count(opacities.shape[0])
    for piece in numba.prange(pieces):
        some = rows_of_piece(piece, pieces, opacities.shape[0])
        to_stored_rows(
            scales[some], opacities[some], v_means_of_colors[some], v_means[some], v_scales[some],
            v_opacities[some],
        )  # fmt: skip


@numba.njit(fastmath=False)  # in PyTorch's order of operations; a callee that says nothing has its caller's
def to_stored_rows(scales, opacities, v_means_of_colors, v_means, v_scales, v_opacities):
    """The same of some Gaussians, whose rows the arrays have, one after another."""
    for n in range(opacities.shape[0]):
        for axis in range(3):
            v_means[n, axis] += v_means_of_colors[n, axis]
            v_scales[n, axis] *= scales[n, axis]
        v_opacities[n] = v_opacities[n] * (ONE - opacities[n]) * opacities[n]
