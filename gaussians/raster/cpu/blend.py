"""Alpha blending of sorted 2-D Gaussians, tile by tile, and its gradient.

How it is fast. A tile's list is taken apart in chunks, sixteen Gaussians at a time, and dealt to lists of its
blocks of 4 x 4 pixels (deal.py), each of which is then blended in registers (block_lanes.py). Workers draw
the next tile from an atomic counter, largest first: each tile is computed by one worker alone, so the result
does not depend on who drew it.

The forward pass keeps the light that enters each chunk, 8 bytes a Gaussian and tile. The backward pass takes
chunks from back to front: within one, alphas and weights come from front to back, as in the forward pass;
then the Gaussians' gradients from back to front (gradient_lanes.py). What lies behind a pixel is kept for
each unit of transmittance: it is mixed by alpha, and nothing is divided. The moments of each (tile, Gaussian)
are added up per Gaussian in a fixed order afterwards. No atomics, bitwise repeatable.
"""

# pyright: reportCallIssue=false
# (An intrinsic's first parameter is the typing context, which callers in kernels don't pass.)

from functools import cache
from typing import Any

import numba
import numpy as np

from gaussians.kernels import FASTMATH, aligned_floats, fetch_add, fetch_to_write
from gaussians.raster.cpu.block_lanes import (
    blend_block,
    close_finished,
    end_with_pixels,
    fill_shapes,
    fill_tile_shapes,
    weigh_block,
)
from gaussians.raster.cpu.deal import CHUNK, FIELD_COLOR, ROOM, TERMS, clear_fields, deal, end_lists
from gaussians.raster.cpu.gradient_lanes import gradient_of
from gaussians.raster.cpu.lanes import LANES
from gaussians.raster.cpu.layout import (
    BEHIND,
    BLOCKS,
    LAST,
    MOMENTS,
    PIXELS,
    QUARTERS,
    RGB,
    SLOT,
    SPAN,
    TILE,
    TRANSMITTANCE,
    UNFINISHED,
)
from gaussians.raster.cpu.tile_lanes import read_tile, write_tile

F32 = np.float32
ZERO, ONE = F32(0.0), F32(1.0)
T_PLANE, LAST_PLANE = TRANSMITTANCE * PIXELS, LAST * PIXELS
BEHIND_PLANE, RGB_PLANE = BEHIND * PIXELS, RGB * PIXELS
OPEN = F32(UNFINISHED)
SHAPES = BLOCKS // QUARTERS * TERMS * LANES
AHEAD = 12  # Gaussians before a row of moments is written, its line is fetched


@numba.njit
def pixel(j, i):
    """Where the planes of a tile's state hold the pixel of row j and column i."""
    block = 8 * (j // 8) + 4 * (i // 8) + 2 * (j // SPAN % 2) + i // SPAN % 2
    return block * LANES + j % SPAN * SPAN + i % SPAN


@numba.njit
def close_beyond(state, rows, columns):
    """Let the pixels of a tile count as finished that lie beyond the image."""
    for j in range(TILE):
        for i in range(columns if j < rows else 0, TILE):
            state[LAST_PLANE + pixel(j, i)] = ZERO


@numba.njit(fastmath=FASTMATH)
def write_part(state, length, background, top, left, image, alpha, last):
    """Write what of a tile lies within the image; see `write_tile`."""
    height, width, channels = image.shape
    for y in range(top, min(top + TILE, height)):
        for x in range(left, min(left + TILE, width)):
            p = pixel(y - top, x - left)
            t = state[T_PLANE + p]
            alpha[y, x] = ONE - t
            last[y, x] = np.int32(min(state[LAST_PLANE + p], F32(length)))
            for channel in range(channels):
                color = state[RGB_PLANE + channel * PIXELS + p]
                image[y, x, channel] = color + t * background[channel]


@numba.njit(fastmath=FASTMATH)
def read_part(v_image, v_alpha, last, background, top, left, state):
    """Read what of a tile lies within the image, the rest as zeros; see `read_tile`."""
    height, width, channels = v_image.shape
    state[:] = ZERO
    deepest = np.int64(0)
    for y in range(top, min(top + TILE, height)):
        for x in range(left, min(left + TILE, width)):
            p = pixel(y - top, x - left)
            v_light = -v_alpha[y, x]
            for channel in range(channels):
                v = v_image[y, x, channel]
                state[RGB_PLANE + channel * PIXELS + p] = v
                v_light += v * background[channel]
            state[BEHIND_PLANE + p] = v_light
            state[LAST_PLANE + p] = F32(last[y, x])
            deepest = max(deepest, np.int64(last[y, x]))
    return deepest


@numba.njit
def open_tile(state, ends, rows, columns, length):
    """Begin a tile: nothing is drawn yet, and what lies beyond the image is finished."""
    state[:] = ZERO
    state[T_PLANE : T_PLANE + PIXELS] = ONE
    state[LAST_PLANE : LAST_PLANE + PIXELS] = OPEN
    ends[:] = F32(length)
    if rows < TILE or columns < TILE:
        close_beyond(state, rows, columns)
        close_finished(state, ends)


@cache
def forward_kernel(channels: int) -> Any:
    """The forward kernel for 3 or 4 colour channels, compiled at its first call."""
    CHANNELS = channels  # constants only: whatever else a kernel encloses keeps it from being found on disk

    @numba.njit(parallel=True, cache=True, nogil=True, fastmath=FASTMATH, error_model="numpy")
    def blend_forward(
        packed, starts, members, schedule, tiles_x, n_workers, background, image, alpha, last, chunks, light
    ):  # fmt: skip
        """Blend all tiles front to back.

        Args:
            packed [V, 16], starts [tiles + 1], members [M, 2]: from `pack` and `fill_tiles`.
            schedule [tiles] int64: the order in which tiles are worked on.
            background [channels]: what lies behind.
            image [H, W, channels], alpha [H, W]: written.
            last [H, W] int32: written: how many places of its tile's list the pixel takes part in.
            chunks [tiles] int64: where in `light` a tile's chunks begin.
            light [chunks, 256]: written: the tile's transmittance before each chunk, as far as they are
                blended. Without rows it stays so, and no gradient can be had.
        """
        height, width = alpha.shape
        counter = np.zeros(1, np.int64)
        for _ in numba.prange(n_workers):
            state, shapes = aligned_floats((RGB + CHANNELS) * PIXELS), aligned_floats(SHAPES)
            fill_shapes(shapes)
            fields = aligned_floats((FIELD_COLOR + CHANNELS) * ROOM)
            clear_fields(CHANNELS, fields)
            lists, counts = np.empty(BLOCKS * ROOM, np.int32), np.empty(BLOCKS, np.int64)
            masks, ends = np.empty(ROOM, np.int32), np.empty(BLOCKS, np.float32)
            while True:
                turn = fetch_add(counter, 1)
                if turn >= schedule.shape[0]:
                    break
                tile = schedule[turn]
                left, top = (tile % tiles_x) * TILE, (tile // tiles_x) * TILE
                rows, columns = min(TILE, height - top), min(TILE, width - left)
                begin, end = starts[tile], starts[tile + 1]
                open_tile(state, ends, rows, columns, end - begin)
                for chunk in range(begin, end, CHUNK):
                    if light.shape[0] > 0:
                        light[chunks[tile] + (chunk - begin) // CHUNK] = state[T_PLANE : T_PLANE + PIXELS]
                    counts[:] = 0
                    for place in range(chunk, min(chunk + CHUNK, end), LANES):
                        deal(
                            CHANNELS, packed, members, (begin, place, end), place - chunk, (left, top),
                            fields, lists, counts, masks, ends,
                        )  # fmt: skip
                    end_lists(lists, counts)
                    for block in range(BLOCKS):
                        if counts[block] > 0:
                            blend_block(CHANNELS, counts[block], block, fields, lists, shapes, state)
                    if not close_finished(state, ends):
                        break
                if rows == TILE and columns == TILE:
                    write_tile(
                        CHANNELS, state, end - begin, background, top * width + left, width, image,
                        alpha, last,
                    )  # fmt: skip
                else:
                    write_part(state, end - begin, background, top, left, image, alpha, last)

    return blend_forward


@cache
def backward_kernel(channels: int, extra: str = "") -> Any:
    """The backward kernel for 3 or 4 colour channels; `extra` as in `gradient_of`."""
    CHANNELS, EXTRA = channels, extra

    @numba.njit(parallel=True, cache=True, nogil=True, fastmath=FASTMATH, error_model="numpy")
    def blend_backward(
        packed, starts, members, schedule, tiles_x, n_workers, background, last, chunks, light, v_image,
        v_alpha, moments,
    ):  # fmt: skip
        """Moments of the gradient for each (tile, Gaussian).

        Args:
            packed ... background, last [H, W], chunks, light: as in and out of the forward pass.
            v_image [H, W, channels], v_alpha [H, W]: gradients of image and alpha.
            moments [slots, 16]: the rows that a list's SLOT names are written, and no others.
        """
        height, width = last.shape
        counter = np.zeros(1, np.int64)
        for _ in numba.prange(n_workers):
            state, shapes = aligned_floats((RGB + CHANNELS) * PIXELS), aligned_floats(SHAPES)
            fill_shapes(shapes)
            tile_shapes = aligned_floats(QUARTERS * SHAPES)
            fill_tile_shapes(tile_shapes)
            fields = aligned_floats((FIELD_COLOR + CHANNELS) * ROOM)
            clear_fields(CHANNELS, fields)
            weights = aligned_floats(BLOCKS * ROOM * 2 * LANES)
            lists, counts = np.empty(BLOCKS * ROOM, np.int32), np.empty(BLOCKS, np.int64)
            masks, ends = np.empty(ROOM, np.int32), np.empty(BLOCKS, np.float32)
            while True:
                turn = fetch_add(counter, 1)
                if turn >= schedule.shape[0]:
                    break
                tile = schedule[turn]
                left, top = (tile % tiles_x) * TILE, (tile // tiles_x) * TILE
                rows, columns = min(TILE, height - top), min(TILE, width - left)
                if rows == TILE and columns == TILE:
                    corner = top * width + left
                    deepest = read_tile(CHANNELS, v_image, v_alpha, last, background, corner, width, state)
                else:
                    deepest = read_part(v_image, v_alpha, last, background, top, left, state)
                end_with_pixels(state, ends)
                begin, end = starts[tile], starts[tile] + deepest
                for place in range(end, starts[tile + 1]):
                    moments[members[place, SLOT], :] = ZERO
                for number in range((deepest + CHUNK - 1) // CHUNK - 1, -1, -1):
                    chunk = begin + number * CHUNK
                    size = min(CHUNK, end - chunk)
                    counts[:] = 0
                    for entry in range(0, size, LANES):
                        deal(
                            CHANNELS, packed, members, (begin, chunk + entry, end), entry, (left, top),
                            fields, lists, counts, masks, ends,
                        )  # fmt: skip
                    end_lists(lists, counts)
                    state[T_PLANE : T_PLANE + PIXELS] = light[chunks[tile] + number]
                    for block in range(BLOCKS):
                        if counts[block] > 0:
                            weigh_block(counts[block], block, fields, lists, shapes, state, weights)
                    for entry in range(size - 1, -1, -1):
                        slot = np.int64(members[chunk + entry, SLOT])
                        soon = np.int64(members[chunk + max(entry - AHEAD, 0), SLOT])
                        fetch_to_write(moments, soon * MOMENTS)
                        if masks[entry] != 0:
                            gradient_of(
                                CHANNELS, EXTRA, np.int64(masks[entry]), entry, fields, tile_shapes,
                                weights, counts, state, moments, slot,
                            )  # fmt: skip
                        else:
                            moments[slot, :] = ZERO

    return blend_backward
