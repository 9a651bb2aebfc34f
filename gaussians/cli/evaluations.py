"""How many Gaussian-pixel evaluations the CPU kernels carry out: what their time is divided by."""

# pyright: reportCallIssue=false
# (An intrinsic's first parameter is the typing context, which callers in kernels don't pass.)

import numba
import numpy as np

from gaussians.raster.cpu.deal import CHUNK, FIELD_COLOR, ROOM, clear_fields, deal
from gaussians.raster.cpu.functions import Bins
from gaussians.raster.cpu.lanes import LANES
from gaussians.raster.cpu.layout import BLOCKS, TILE


def evaluations(bins: Bins, packed: np.ndarray, last: np.ndarray) -> tuple[int, int]:
    """Pixels evaluated by the forward and by the backward kernel, over all tiles and Gaussians.

    Whole blocks of 4 x 4 pixels, also where they reach beyond the image: what is executed, not what is seen.
    Both end early where nothing shines through any more: forward after the chunk of a tile's list in which
    its last pixel is finished, backward before the first Gaussian that no pixel takes part in.

    Args:
        bins: of one camera.
        packed: from `packed_rows`.
        last: [H, W] int32, from the forward kernel.
    """
    counts = np.zeros((len(bins.starts) - 1, 2), np.int64)
    _count(packed, bins.starts, bins.members, bins.tiles_x, last, counts)
    forward, backward = LANES * counts.sum(axis=0)
    return int(forward), int(backward)


@numba.njit(parallel=True, nogil=True, error_model="numpy")
def _count(packed, starts, members, tiles_x, last, counts):
    """Entries of all blocks' lists, by tile: of the forward and of the backward kernel."""
    for tile in numba.prange(counts.shape[0]):
        left, top = (tile % tiles_x) * TILE, (tile // tiles_x) * TILE
        fields = np.empty((FIELD_COLOR + 3) * ROOM, np.float32)
        clear_fields(3, fields)
        lists, dealt = np.empty(BLOCKS * ROOM, np.int32), np.empty(BLOCKS, np.int64)
        masks = np.empty(ROOM, np.int32)
        begin, end = starts[tile], starts[tile + 1]
        deepest = 0
        for j in range(top, min(top + TILE, last.shape[0])):
            for i in range(left, min(left + TILE, last.shape[1])):
                deepest = max(deepest, last[j, i])
        seen = min(end, begin + (deepest // CHUNK + 1) * CHUNK)
        for way, stop in enumerate((seen, begin + deepest)):
            for chunk in range(begin, stop, CHUNK):
                dealt[:] = 0
                for place in range(chunk, min(chunk + CHUNK, stop), LANES):
                    deal(3, packed, members, (begin, place, stop), place - chunk, (left, top), fields, lists,
                         dealt, masks)  # fmt: skip
                counts[tile, way] += dealt.sum()
