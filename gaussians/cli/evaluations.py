"""How many Gaussian-pixel evaluations the CPU kernels carry out: what their time is divided by."""

# pyright: reportCallIssue=false
# (An intrinsic's first parameter is the typing context, which callers in kernels don't pass.)

import numba
import numpy as np

from gaussians.raster.cpu.blend import pixel
from gaussians.raster.cpu.deal import CHUNK, FIELD_COLOR, ROOM, clear_fields, deal
from gaussians.raster.cpu.functions import Bins
from gaussians.raster.cpu.lanes import LANES
from gaussians.raster.cpu.layout import BLOCKS, TILE


def evaluations(bins: Bins, packed: np.ndarray, last: np.ndarray) -> int:
    """Pixels evaluated by the forward kernel, and as many by the backward one, over all tiles and Gaussians.

    Whole blocks of 4 x 4 pixels, also where they reach beyond the image: what is executed, not what is seen.
    A block's list ends with the last Gaussian that one of its pixels takes part in (or the one after, as
    there are two a turn).

    Args:
        bins: of one camera.
        packed: from `packed_rows`.
        last: [H, W] int32, from the forward kernel.
    """
    counts = np.zeros(len(bins.starts) - 1, np.int64)
    _count(packed, bins.starts, bins.members, bins.tiles_x, last, counts)
    return LANES * int(counts.sum())


@numba.njit(parallel=True, nogil=True, error_model="numpy")
def _count(packed, starts, members, tiles_x, last, counts):
    """Entries of all blocks' lists, by tile."""
    for tile in numba.prange(counts.shape[0]):
        left, top = (tile % tiles_x) * TILE, (tile // tiles_x) * TILE
        fields = np.empty((FIELD_COLOR + 3) * ROOM, np.float32)
        clear_fields(3, fields)
        lists, dealt = np.empty(BLOCKS * ROOM, np.int32), np.empty(BLOCKS, np.int64)
        masks, ends = np.empty(ROOM, np.int32), np.zeros(BLOCKS, np.float32)
        begin = starts[tile]
        for j in range(top, min(top + TILE, last.shape[0])):
            for i in range(left, min(left + TILE, last.shape[1])):
                block = pixel(j - top, i - left) // LANES
                ends[block] = max(ends[block], np.float32(last[j, i]))
        stop = begin + np.int64(ends.max())
        for chunk in range(begin, stop, CHUNK):
            dealt[:] = 0
            for place in range(chunk, min(chunk + CHUNK, stop), LANES):
                deal(3, packed, members, (begin, place, stop), place - chunk, (left, top), fields, lists,
                     dealt, masks, ends)  # fmt: skip
            counts[tile] += dealt.sum()
