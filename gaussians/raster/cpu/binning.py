"""Which Gaussians each 16x16 tile sees, front to back: sorted by depth, then by a counting sort by tile.

The visible Gaussians are sorted by depth once; tiles then receive them in that order, so every tile's list is
sorted without sorting intersections. Chunks of the order are dealt to the workers with their own counters:
the result does not depend on how many there are. Lists name a Gaussian by its place among the visible ones,
so that whatever else looks at all of these goes through memory from front to back.

A Gaussian's box of radii overlaps tiles that its ellipse misses, a fifth to a third of all. They are left out
here, exactly: what blending has to take apart, it takes apart once for each tile.
"""

# pyright: reportCallIssue=false
# (An intrinsic's first parameter is the typing context, which callers in kernels don't pass.)

import numba
import numpy as np

from gaussians.kernels import FASTMATH, aligned_floats, fetch_to_read
from gaussians.raster.cpu.deal import CHUNK
from gaussians.raster.cpu.depth_sort import depth_order, visible_indices
from gaussians.raster.cpu.lanes import LANES
from gaussians.raster.cpu.layout import MEMBER, SLOT, TILE, WHO
from gaussians.raster.cpu.reach_lanes import (
    OUTLINE,
    OUTLINE_A,
    OUTLINE_B,
    OUTLINE_C,
    OUTLINE_OPACITY,
    OUTLINE_X,
    OUTLINE_Y,
    complete_outlines,
    reach,
    spread,
)

MOST_ROOM = np.iinfo(np.int32).max
AHEAD = 8  # Gaussians before its tiles are read, the first one's line is fetched


@numba.njit(parallel=True, cache=True, nogil=True, fastmath=FASTMATH)
def tile_rectangles(visible, means2d, radii, tiles_x, tiles_y, rectangles, offsets):
    """The tiles that each visible Gaussian's box of radii overlaps.

    Args:
        visible [V] int32, means2d [N, 2], radii [N, 2] int32.
        rectangles [V, 4] int32: written: x0, y0, x1, y1 in tiles, the end excluded.
        offsets [V + 1] int64: written: running number of intersections.
    """
    # All of one type: with a bare 0, an int64, Numba would compare in float64.
    tile, zero = np.float32(1 / TILE), np.float32(0)
    right, bottom = np.float32(tiles_x), np.float32(tiles_y)
    for v in numba.prange(visible.shape[0]):
        n = visible[v]
        x, y = means2d[n, 0], means2d[n, 1]
        rx, ry = np.float32(radii[n, 0]), np.float32(radii[n, 1])
        x0 = np.int32(min(max(np.floor((x - rx) * tile), zero), right))
        x1 = np.int32(min(max(np.ceil((x + rx) * tile), zero), right))
        y0 = np.int32(min(max(np.floor((y - ry) * tile), zero), bottom))
        y1 = np.int32(min(max(np.ceil((y + ry) * tile), zero), bottom))
        rectangles[v, 0], rectangles[v, 1] = x0, y0
        rectangles[v, 2], rectangles[v, 3] = x1, y1
        offsets[v + 1] = np.int64(x1 - x0) * np.int64(y1 - y0)
    offsets[0] = 0
    for v in range(visible.shape[0]):
        offsets[v + 1] += offsets[v]


@numba.njit(parallel=True, cache=True, nogil=True, fastmath=FASTMATH, error_model="numpy")
def reached_tiles(visible, means2d, conics, opacities, rectangles, offsets, tiles_x, n_workers, tiles, spans):
    """Of each rectangle the tiles in which the Gaussian reaches alpha 1/255, or nearly.

    Args:
        visible [V] int32, means2d [N, 2], conics [N, 3], opacities [N]: those of the visible 1/255 or more.
        rectangles [V, 4], offsets [V + 1]: from `tile_rectangles`.
        tiles [offsets[-1] + 16 * n_workers] int32: written: numbers of tiles, Gaussian by Gaussian, those of
            each row by row; between workers is a gap.
        spans [V, 2] int32: written: where a Gaussian's tiles begin and end.
    """
    total = visible.shape[0]
    for worker in numba.prange(n_workers):
        begin, end = total * worker // n_workers, total * (worker + 1) // n_workers
        outlines = aligned_floats(OUTLINE * LANES)
        outlines[:] = np.float32(1.0)  # where there are fewer than sixteen
        slot = offsets[begin] + LANES * worker
        for some in range(begin, end, LANES):
            few = min(LANES, end - some)
            for lane in range(few):
                n = visible[some + lane]
                outlines[OUTLINE_X * LANES + lane] = means2d[n, 0]
                outlines[OUTLINE_Y * LANES + lane] = means2d[n, 1]
                outlines[OUTLINE_A * LANES + lane] = conics[n, 0]
                outlines[OUTLINE_B * LANES + lane] = conics[n, 1]
                outlines[OUTLINE_C * LANES + lane] = conics[n, 2]
                outlines[OUTLINE_OPACITY * LANES + lane] = opacities[n]
            complete_outlines(outlines)
            for lane in range(few):
                v = some + lane
                left, top = np.int64(rectangles[v, 0]), np.int64(rectangles[v, 1])
                wide = np.int64(rectangles[v, 2]) - left
                room = offsets[v + 1] - offsets[v]
                spans[v, 0] = slot
                for k in range(0, room, LANES):
                    slot += reach(outlines, lane, (left, top, wide, room), k, tiles_x, tiles, slot)
                spans[v, 1] = slot


@numba.njit(parallel=True, cache=True, nogil=True)
def fill_tiles(order, tiles, spans, n_workers, starts, members):
    """Deal the Gaussians to their tiles.

    Args:
        order [V]: from `depth_order`. tiles, spans [V, 2]: from `reached_tiles`.
        starts [tiles of the image + 1] int64: written: where each tile's list begins in `members`.
        members [M, 2] int32: written: the tiles' lists, each front to back: WHO, a place among the visible,
            and SLOT, which says where in `tiles` this one of its tiles is: by it what tiles say of a Gaussian
            lies together.
    """
    count, n_tiles = order.shape[0], starts.shape[0] - 1
    found = np.empty((count, 3), np.int32)  # near to far: who, and where its tiles begin and end
    ends = np.zeros(n_workers + 1, np.int64)
    for worker in numba.prange(n_workers):
        met = 0
        for rank in range(count * worker // n_workers, count * (worker + 1) // n_workers):
            v = order[rank]
            found[rank, 0], found[rank, 1], found[rank, 2] = v, spans[v, 0], spans[v, 1]
            met += spans[v, 1] - spans[v, 0]
        ends[worker + 1] = met + LANES  # sixteen are written at once
    for worker in range(n_workers):
        ends[worker + 1] += ends[worker]
    # All tiles of all Gaussians, near to far. Most Gaussians have few: a loop over each one's tiles would be
    # guessed wrong at its end.
    numbers, dealt = np.empty(ends[-1], np.uint32), np.empty((ends[-1], MEMBER), np.int32)
    cursor = np.zeros((n_workers, n_tiles), np.uint64)
    one = np.uint64(1)
    for worker in numba.prange(n_workers):
        begin, end = count * worker // n_workers, count * (worker + 1) // n_workers
        at = ends[worker]
        for rank in range(begin, end):
            fetch_to_read(tiles, np.int64(found[min(rank + AHEAD, end - 1), 1]))
            first, last = np.int64(found[rank, 1]), np.int64(found[rank, 2])
            for k in range(first, last, LANES):
                spread(tiles, k, np.int64(found[rank, 0]), numbers, dealt, at + k - first)
            at += last - first
        for k in range(ends[worker], at):
            cursor[worker, numbers[k]] += one
    total = 0
    for tile in range(n_tiles):
        starts[tile] = total
        for worker in range(n_workers):
            here = np.int64(cursor[worker, tile])
            cursor[worker, tile] = np.uint64(total)
            total += here
    starts[-1] = total
    for worker in numba.prange(n_workers):
        for k in range(ends[worker], ends[worker + 1] - LANES):
            place = cursor[worker, numbers[k]]
            cursor[worker, numbers[k]] = place + one
            members[place, WHO], members[place, SLOT] = dealt[k, WHO], dealt[k, SLOT]


@numba.njit(cache=True, nogil=True)
def tile_schedule(starts, schedule, chunks):
    """In which order tiles are worked on, those of the longest lists first, and where their chunks begin.

    Args:
        starts [tiles + 1]: from `fill_tiles`.
        schedule [tiles], chunks [tiles + 1] int64: written: numbers of tiles, and running number of chunks.
    """
    count = schedule.shape[0]
    longest = 0
    chunks[0] = 0
    for tile in range(count):
        length = starts[tile + 1] - starts[tile]
        longest = max(longest, length)
        chunks[tile + 1] = chunks[tile] + (length + CHUNK - 1) // CHUNK
    places = np.zeros(longest + 2, np.int64)  # a counting sort
    for tile in range(count):
        places[longest - (starts[tile + 1] - starts[tile]) + 1] += 1
    for place in range(longest + 1):
        places[place + 1] += places[place]
    for tile in range(count):
        length = starts[tile + 1] - starts[tile]
        schedule[places[longest - length]] = tile
        places[longest - length] += 1


@numba.njit(cache=True, nogil=True)
def deal_to_tiles(means2d, conics, opacities, depths, radii, tiles_x, tiles_y, n_workers):
    """All of it: from projected Gaussians to lists of tiles.

    Args:
        means2d [N, 2], conics [N, 3], opacities [N], depths [N], radii [N, 2] int32: of one camera.
        tiles_x, tiles_y: of the image.

    Returns:
        visible, spans, starts, members, schedule and chunks as above, and room, one more than the largest
        slot there can be: if that is beyond `MOST_ROOM`, lists are empty.
    """
    visible = visible_indices(radii, n_workers)
    order = depth_order(depths, visible, n_workers)
    count, tiles_all = len(order), tiles_x * tiles_y
    rectangles, offsets = np.empty((count, 4), np.int32), np.empty(count + 1, np.int64)
    tile_rectangles(visible, means2d, radii, tiles_x, tiles_y, rectangles, offsets)
    room = offsets[-1] + LANES * n_workers
    spans, starts = np.zeros((count, 2), np.int32), np.zeros(tiles_all + 1, np.int64)
    schedule, chunks = np.empty(tiles_all, np.int64), np.empty(tiles_all + 1, np.int64)
    met = 0
    if room <= MOST_ROOM:
        tiles = np.empty(room, np.int32)
        reached_tiles(
            visible, means2d, conics, opacities, rectangles, offsets, tiles_x, n_workers, tiles, spans
        )
        for v in range(count):
            met += spans[v, 1] - spans[v, 0]
    else:
        order, tiles = order[:0], np.empty(0, np.int32)
    members = np.empty((met, MEMBER), np.int32)
    fill_tiles(order, tiles, spans, n_workers, starts, members)
    tile_schedule(starts, schedule, chunks)
    return visible, spans, starts, members, schedule, chunks, room
