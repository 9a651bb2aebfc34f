"""Which Gaussians each 16x16 tile sees, front to back: a radix sort by depth, then a counting sort by tile.

The visible Gaussians are sorted by depth once ("rank"); tiles then receive them in rank order, so every
tile's list is sorted without sorting intersections. Chunks of ranks are dealt to the workers with their
own counters: the result does not depend on how many there are.
"""

import numba
import numpy as np

from gaussians.kernels import FASTMATH, workers

TILE = 16
RADIX_BITS = 11
RADIX = 1 << RADIX_BITS


@numba.njit(cache=True, nogil=True)
def visible_indices(radii: np.ndarray) -> np.ndarray:
    """Indices n with radii[n] > 0, ascending: int32 [V]."""
    out = np.empty(radii.shape[0], np.int32)
    count = 0
    for n in range(radii.shape[0]):
        out[count] = n
        count += radii[n, 0] > 0
    return out[:count].copy()


@numba.njit(parallel=True, cache=True, nogil=True)
def radix_pass(keys_in, values_in, keys_out, values_out, shift, n_workers):
    """One stable pass of a radix sort over `RADIX_BITS` bits of uint32 keys, values int32."""
    count = keys_in.shape[0]
    mask = np.uint32(RADIX - 1)
    histogram = np.zeros((n_workers, RADIX), np.int64)
    for worker in numba.prange(n_workers):
        for i in range(count * worker // n_workers, count * (worker + 1) // n_workers):
            histogram[worker, (keys_in[i] >> shift) & mask] += 1
    total = 0
    for digit in range(RADIX):
        for worker in range(n_workers):
            here = histogram[worker, digit]
            histogram[worker, digit] = total
            total += here
    for worker in numba.prange(n_workers):
        for i in range(count * worker // n_workers, count * (worker + 1) // n_workers):
            digit = (keys_in[i] >> shift) & mask
            position = histogram[worker, digit]
            histogram[worker, digit] = position + 1
            keys_out[position] = keys_in[i]
            values_out[position] = values_in[i]


def depth_order(depths: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Indices of the visible Gaussians from near to far, ties by index.

    Args:
        depths: [N] float32, positive where visible, so that their bits sort as they do.
        radii: [N, 2] int32.

    Returns:
        [V] int32.
    """
    values = visible_indices(radii)
    keys = depths.view(np.uint32)[values]
    keys_other, values_other = np.empty_like(keys), np.empty_like(values)
    for shift in (0, RADIX_BITS, 2 * RADIX_BITS):
        radix_pass(keys, values, keys_other, values_other, np.uint32(shift), workers())
        keys, keys_other, values, values_other = keys_other, keys, values_other, values
    return values


@numba.njit(parallel=True, cache=True, nogil=True, fastmath=FASTMATH)
def tile_rectangles(order, means2d, radii, tiles_x, tiles_y, rectangles, offsets):
    """The tiles that each ranked Gaussian's box of radii overlaps.

    Args:
        order [V] int32, means2d [N, 2], radii [N, 2] int32.
        rectangles [V, 4] int32: written: x0, y0, x1, y1 in tiles, the end excluded.
        offsets [V + 1] int64: written: running number of intersections.
    """
    size = np.float32(TILE)
    for rank in numba.prange(order.shape[0]):
        n = order[rank]
        u, v = means2d[n, 0], means2d[n, 1]
        rx, ry = np.float32(radii[n, 0]), np.float32(radii[n, 1])
        x0 = np.int32(min(max(np.floor((u - rx) / size), 0), tiles_x))
        x1 = np.int32(min(max(np.ceil((u + rx) / size), 0), tiles_x))
        y0 = np.int32(min(max(np.floor((v - ry) / size), 0), tiles_y))
        y1 = np.int32(min(max(np.ceil((v + ry) / size), 0), tiles_y))
        rectangles[rank, 0], rectangles[rank, 1] = x0, y0
        rectangles[rank, 2], rectangles[rank, 3] = x1, y1
        offsets[rank + 1] = np.int64(x1 - x0) * np.int64(y1 - y0)
    offsets[0] = 0
    for rank in range(order.shape[0]):
        offsets[rank + 1] += offsets[rank]


@numba.njit(parallel=True, cache=True, nogil=True)
def fill_tiles(rectangles, offsets, tiles_x, tiles_y, n_workers, starts, ranks, slots):
    """Deal the ranks to their tiles.

    Args:
        rectangles [V, 4], offsets [V + 1]: from `tile_rectangles`.
        starts [tiles + 1] int64: written: where each tile's list begins in `ranks`.
        ranks [M] int32: written: the tiles' lists, each front to back.
        slots [M] int32: written: for each place in `ranks`, if it is that of a Gaussian's k-th tile,
            offsets[rank] + k: by it what tiles say of a Gaussian lies together.
    """
    count, tiles = rectangles.shape[0], tiles_x * tiles_y
    cursor = np.zeros((n_workers, tiles), np.int64)
    for worker in numba.prange(n_workers):
        for rank in range(count * worker // n_workers, count * (worker + 1) // n_workers):
            for ty in range(rectangles[rank, 1], rectangles[rank, 3]):
                for tx in range(rectangles[rank, 0], rectangles[rank, 2]):
                    cursor[worker, ty * tiles_x + tx] += 1
    total = 0
    for tile in range(tiles):
        starts[tile] = total
        for worker in range(n_workers):
            here = cursor[worker, tile]
            cursor[worker, tile] = total
            total += here
    starts[tiles] = total
    for worker in numba.prange(n_workers):
        for rank in range(count * worker // n_workers, count * (worker + 1) // n_workers):
            slot = offsets[rank]
            for ty in range(rectangles[rank, 1], rectangles[rank, 3]):
                for tx in range(rectangles[rank, 0], rectangles[rank, 2]):
                    tile = ty * tiles_x + tx
                    place = cursor[worker, tile]
                    cursor[worker, tile] = place + 1
                    ranks[place] = rank
                    slots[place] = slot
                    slot += 1
