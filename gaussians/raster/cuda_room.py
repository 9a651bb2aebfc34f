"""Which Gaussians lie in which tile, in arrays of a fixed size: for renders that are recorded as CUDA graphs.

gsplat waits for the number of intersections before it makes room for them; what is recorded can't wait. Here
all work is done on as many slots as there is room for, and those that nothing fills go to tiles below the
image, which a mask leaves out. The order is gsplat's: by depth, the lower index first among equals. Plain
PyTorch, whose launches cost nothing in a graph.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from gaussians.raster.constants import TILE_SIZE

_MOST_TILES = 2**15 - 1  # that 16 bits tell apart: sorting by as many takes two passes


class Intersections(NamedTuple):
    """What to blend, of one camera.

    Attributes:
        offsets: [1, rows + 1, columns] int32, where each tile's Gaussians begin; the last row is no part of
            the image.
        ids: [room] int32, Gaussians tile by tile, front to back.
        inside: [1, rows + 1, columns] bool, False for the last row.
        total: [] int32, how many there are; beyond the room the farthest are missing.
    """

    offsets: Tensor
    ids: Tensor
    inside: Tensor
    total: Tensor


def fits(width: int, height: int) -> bool:
    """Whether an image's tiles can be told apart."""
    columns, rows = -(-width // TILE_SIZE), -(-height // TILE_SIZE)
    return columns * (rows + 1) <= _MOST_TILES


def tiles(means2d: Tensor, radii: Tensor, columns: int, rows: int) -> tuple[Tensor, ...]:
    """[N] int64 each: the first column and row of a Gaussian's tiles, how many columns and rows; 0 if unseen.

    Args:
        means2d, radii: [N, 2], of one camera.
        columns, rows: tiles of the image.
    """
    seen = (radii > 0).all(dim=-1, keepdim=True)
    low = ((means2d - radii) / TILE_SIZE).floor()
    high = ((means2d + radii) / TILE_SIZE).ceil()
    # What is not seen may hold anything, NaN too, which has no integer.
    low, high = (torch.where(seen, side, 0).unbind(dim=-1) for side in (low, high))
    (x0, x1), (y0, y1) = (
        (first.clamp(0, most).long(), last.clamp(0, most).long())
        for first, last, most in zip(low, high, (columns, rows), strict=True)
    )
    return x0, y0, x1 - x0, y1 - y0


def intersections(
    means2d: Tensor, radii: Tensor, depths: Tensor, columns: int, rows: int, room: int
) -> Intersections:
    """Of one camera's projected Gaussians, without a wait.

    Args:
        means2d, radii: [1, N, 2]; depths: [1, N].
        columns, rows: tiles of the image, see `fits`.
        room: slots.
    """
    x0, y0, wide, tall = tiles(means2d[0], radii[0], columns, rows)
    count = wide * tall
    order = torch.where(count > 0, depths[0], torch.inf).sort(stable=True).indices
    ends = count[order].cumsum(dim=0)
    slots = torch.arange(room, device=ends.device)
    owner = torch.searchsorted(ends, slots, right=True)
    filled = owner < len(ends)
    owner = owner.clamp(max=len(ends) - 1)
    gaussian = order[owner]
    place = slots - (ends[owner] - count[gaussian])
    across = wide[gaussian].clamp(min=1)
    down = torch.div(place, across, rounding_mode="trunc")
    tile = (y0[gaussian] + down) * columns + x0[gaussian] + place - down * across
    below = columns * rows
    tile, slot = torch.where(filled, tile, below).to(torch.int16).sort(stable=True)
    every = torch.arange(below + columns, dtype=torch.int16, device=tile.device)
    offsets = torch.searchsorted(tile, every, out_int32=True).reshape(1, rows + 1, columns)
    inside = (every < below).reshape(1, rows + 1, columns)
    return Intersections(offsets, gaussian[slot].to(torch.int32), inside, ends[-1].to(torch.int32))
