"""Alpha blending of sorted 2-D Gaussians, tile by tile, and its gradient.

How it is fast. A worker keeps its tile's state in planes of 256 floats, aligned to cache lines; rows.py runs
over vectors of 2 x 8 pixels. Those outside the box where alpha reaches 1/255 are skipped. Gaussians lie in
memory by depth and are read by tile, so they are fetched some turns ahead. Workers draw the next tile from an
atomic counter, largest first: each tile is computed by one worker alone, so the result does not depend on who
drew it.

The backward pass goes back to front and sums, for each (tile, Gaussian), moments of the gradient over the
pixels; they are added up per Gaussian in a fixed order afterwards. No atomics, bitwise repeatable.
"""

# pyright: reportCallIssue=false
# (An intrinsic's first parameter is the typing context, which callers in kernels don't pass.)

import math
from functools import cache
from typing import Any

import numba
import numpy as np

from gaussians.kernels import FASTMATH, fetch_add
from gaussians.raster.constants import TILE_SIZE
from gaussians.raster.cpu.rows import (
    COLOR,
    EXTENT_X,
    EXTENT_Y,
    EXTRA_X,
    EXTRA_Y,
    LAST,
    LEFT,
    LOG_OPACITY,
    PIXELS,
    RGB,
    RIGHT,
    S0,
    SPAN,
    SUFFIX,
    SX,
    SXX,
    SXY,
    SY,
    SYY,
    TRANSMITTANCE,
    V_COLOR,
    A,
    B,
    C,
    X,
    Y,
    backward_rows,
    forward_rows,
    lets_through,
    prefetch,
)

F32 = np.float32
TILE = TILE_SIZE
ZERO, HALF, ONE = F32(0.0), F32(0.5), F32(1.0)
LOG2E = F32(1.4426950408889634)
EXIT_CHECK = 16  # Gaussians between looks whether the whole tile is finished
AHEAD = 8  # Gaussians: so far ahead in the list the next ones are fetched into the cache
T_PLANE, LAST_PLANE = TRANSMITTANCE * PIXELS, LAST * PIXELS
SUFFIX_PLANE, RGB_PLANE = SUFFIX * PIXELS, RGB * PIXELS


@numba.njit(parallel=True, cache=True, nogil=True, fastmath=FASTMATH)
def pack(order, means2d, conics, opacities, extents, colors, packed):
    """Gather what blending reads of each ranked Gaussian into one row, exponents scaled to base 2.

    Args:
        order [V] int32, means2d [N, 2], conics [N, 3], opacities [N], extents [N, 2], colors [N, 3 or 4].
        packed: [V, 16], written.
    """
    for rank in numba.prange(order.shape[0]):
        n = order[rank]
        packed[rank, X], packed[rank, Y] = means2d[n, 0], means2d[n, 1]
        packed[rank, A] = -HALF * LOG2E * conics[n, 0]
        packed[rank, B] = -LOG2E * conics[n, 1]
        packed[rank, C] = -HALF * LOG2E * conics[n, 2]
        packed[rank, LOG_OPACITY] = F32(math.log2(opacities[n]))
        packed[rank, EXTENT_X], packed[rank, EXTENT_Y] = extents[n, 0], extents[n, 1]
        for channel in range(colors.shape[1]):
            packed[rank, COLOR + channel] = colors[n, channel]


@numba.njit
def aligned_floats(count: int) -> np.ndarray:
    """`count` uninitialised float32 that start on a cache line."""
    spare = np.empty(count + 16, np.float32)
    skip = (64 - spare.ctypes.data % 64) % 64 // 4
    return spare[skip : skip + count]


@numba.njit(fastmath=FASTMATH)
def reach(packed, rank, left, top, rows):
    """Pairs of the tile's rows, end excluded, and halves of its columns, that the Gaussian reaches.

    All three are 0 where it reaches none.
    """
    # Half a pixel to the centre of a pixel; a thousandth against rounding, which would drop one.
    x, y = packed[rank, X] - F32(left), packed[rank, Y] - F32(top)
    x_reach, y_reach = packed[rank, EXTENT_X], packed[rank, EXTENT_Y]
    first_row = np.int64(math.ceil(max(y - y_reach - F32(0.501), ZERO)))
    last_row = np.int64(math.floor(min(y + y_reach - F32(0.499), F32(rows - 1))))
    first_column = np.int64(math.ceil(max(x - x_reach - F32(0.501), ZERO)))
    last_column = np.int64(math.floor(min(x + x_reach - F32(0.499), F32(TILE - 1))))
    if first_row > last_row or first_column > last_column:
        return np.int64(0), np.int64(0), np.int64(0)
    halves = LEFT * (first_column < SPAN) + RIGHT * (last_column >= SPAN)
    return first_row // 2, last_row // 2 + 1, np.int64(halves)


@numba.njit
def pixel(j, i):
    """Where the planes of a tile's state hold the pixel of row j and column i: see rows.py."""
    return (j // 2) * (2 * TILE) + (i // SPAN) * TILE + (j % 2) * SPAN + i % SPAN


@numba.njit
def close_beyond(state, rows, columns):
    """Let the pixels of a tile count as finished that lie beyond the image."""
    for j in range(TILE):
        for i in range(columns if j < rows else 0, TILE):
            state[T_PLANE + pixel(j, i)] = -ONE


@cache
def forward_kernel(channels: int) -> Any:
    """The forward kernel for 3 or 4 colour channels, compiled at its first call."""
    CHANNELS = channels  # constants only: whatever else a kernel encloses keeps it from being found on disk

    @numba.njit(parallel=True, cache=True, nogil=True, fastmath=FASTMATH, error_model="numpy")
    def blend_forward(
        packed, starts, ranks, schedule, tiles_x, n_workers, background, image, transmittance, last
    ):
        """Blend all tiles front to back.

        Args:
            packed [V, 16], starts [tiles + 1], ranks [M]: from `pack` and `fill_tiles`.
            schedule [tiles] int64: the order in which tiles are worked on.
            background [channels]: what lies behind.
            image [H, W, channels], transmittance [H, W]: written.
            last [H, W] int32: written: 1 + place in the tile's list of the last Gaussian drawn; 0: none.
        """
        height, width = transmittance.shape
        counter = np.zeros(1, np.int64)
        for _ in numba.prange(n_workers):
            state = aligned_floats((RGB + CHANNELS) * PIXELS)
            while True:
                turn = fetch_add(counter, 1)
                if turn >= schedule.shape[0]:
                    break
                tile = schedule[turn]
                left, top = (tile % tiles_x) * TILE, (tile // tiles_x) * TILE
                rows, columns = min(TILE, height - top), min(TILE, width - left)
                state[:] = ZERO
                state[T_PLANE : T_PLANE + PIXELS] = ONE
                if rows < TILE or columns < TILE:
                    close_beyond(state, rows, columns)
                begin = starts[tile]
                for place in range(begin, starts[tile + 1]):
                    rank = np.int64(ranks[place])
                    prefetch(packed, np.int64(ranks[min(place + AHEAD, ranks.shape[0] - 1)]))
                    first, end, halves = reach(packed, rank, left, top, rows)
                    if halves > 0:
                        forward_rows(
                            CHANNELS, packed, rank, state, left, top, first, end, halves, place - begin + 1
                        )
                    if (place - begin) % EXIT_CHECK == EXIT_CHECK - 1 and not lets_through(state):
                        break
                for j in range(rows):
                    for i in range(columns):
                        p = pixel(j, i)
                        t = abs(state[T_PLANE + p])
                        transmittance[top + j, left + i] = t
                        last[top + j, left + i] = np.int32(state[LAST_PLANE + p])
                        for channel in range(CHANNELS):
                            color = state[RGB_PLANE + channel * PIXELS + p]
                            image[top + j, left + i, channel] = color + t * background[channel]

    return blend_forward


@cache
def backward_kernel(channels: int, extra: str = "") -> Any:
    """The backward kernel for 3 or 4 colour channels; `extra` as in `backward_rows`."""
    CHANNELS, EXTRA = channels, extra

    @numba.njit(parallel=True, cache=True, nogil=True, fastmath=FASTMATH, error_model="numpy")
    def blend_backward(
        packed, starts, ranks, schedule, tiles_x, n_workers, background, transmittance, last, v_image,
        v_alpha, slots, moments,
    ):  # fmt: skip
        """Moments of the gradient for each (tile, Gaussian).

        Args:
            packed ... background, transmittance [H, W], last [H, W]: as in and out of the forward pass.
            v_image [H, W, channels], v_alpha [H, W]: gradients of image and of 1 - transmittance.
            slots [M]: from `fill_tiles`: where the moments of each place go.
            moments: [M, 16], written.
        """
        height, width = transmittance.shape
        counter = np.zeros(1, np.int64)
        for _ in numba.prange(n_workers):
            state = aligned_floats((RGB + CHANNELS) * PIXELS)
            while True:
                turn = fetch_add(counter, 1)
                if turn >= schedule.shape[0]:
                    break
                tile = schedule[turn]
                left, top = (tile % tiles_x) * TILE, (tile // tiles_x) * TILE
                rows, columns = min(TILE, height - top), min(TILE, width - left)
                state[:] = ZERO
                deepest = 0
                for j in range(rows):
                    for i in range(columns):
                        p = pixel(j, i)
                        t = transmittance[top + j, left + i]
                        v_transmittance = -v_alpha[top + j, left + i]
                        for channel in range(CHANNELS):
                            v = v_image[top + j, left + i, channel]
                            state[RGB_PLANE + channel * PIXELS + p] = v
                            v_transmittance += v * background[channel]
                        state[T_PLANE + p] = t
                        state[SUFFIX_PLANE + p] = t * v_transmittance
                        state[LAST_PLANE + p] = F32(last[top + j, left + i])
                        deepest = max(deepest, last[top + j, left + i])
                begin = starts[tile]
                for place in range(begin + deepest, starts[tile + 1]):
                    moments[slots[place], :] = ZERO
                for place in range(begin + deepest - 1, begin - 1, -1):
                    rank = np.int64(ranks[place])
                    prefetch(packed, np.int64(ranks[max(place - AHEAD, 0)]))
                    first, end, halves = reach(packed, rank, left, top, rows)
                    if halves > 0:
                        backward_rows(
                            CHANNELS, EXTRA, packed, rank, state, left, top, first, end, halves,
                            place - begin + 1, moments, np.int64(slots[place]),
                        )  # fmt: skip
                    else:
                        moments[slots[place], :] = ZERO

    return blend_backward


@numba.njit(parallel=True, cache=True, nogil=True, fastmath=FASTMATH)
def gather(order, offsets, moments, conics, opacities, v_means2d, extra, v_conics, v_opacities, v_colors):
    """Add up each Gaussian's moments over its tiles and turn them into gradients of its 2-D parameters.

    Args:
        order [V], offsets [V + 1]: from binning. moments [M, 16]: from the backward pass.
        conics [N, 3], opacities [N].
        v_means2d, extra [N, 2], v_conics [N, 3], v_opacities [N], v_colors [N, 3 or 4]: added to. `extra`
            gets the sums of EXTRA_X and EXTRA_Y, raw; an `extra` without rows gets nothing.
    """
    channels = v_colors.shape[1]
    for rank in numba.prange(order.shape[0]):
        n = order[rank]
        s0 = sx = sy = sxx = sxy = syy = ex = ey = c0 = c1 = c2 = c3 = ZERO
        for m in range(offsets[rank], offsets[rank + 1]):
            s0 += moments[m, S0]
            sx += moments[m, SX]
            sy += moments[m, SY]
            sxx += moments[m, SXX]
            sxy += moments[m, SXY]
            syy += moments[m, SYY]
            ex += moments[m, EXTRA_X]
            ey += moments[m, EXTRA_Y]
            c0 += moments[m, V_COLOR]
            c1 += moments[m, V_COLOR + 1]
            c2 += moments[m, V_COLOR + 2]
            c3 += moments[m, V_COLOR + 3]
        a, b, c = conics[n, 0], conics[n, 1], conics[n, 2]
        v_means2d[n, 0] += a * sx + b * sy
        v_means2d[n, 1] += b * sx + c * sy
        if extra.shape[0] > 0:
            extra[n, 0] += ex
            extra[n, 1] += ey
        v_conics[n, 0] -= HALF * sxx
        v_conics[n, 1] -= sxy
        v_conics[n, 2] -= HALF * syy
        v_opacities[n] += s0 / opacities[n]
        v_colors[n, 0] += c0
        v_colors[n, 1] += c1
        v_colors[n, 2] += c2
        if channels == 4:
            v_colors[n, 3] += c3
