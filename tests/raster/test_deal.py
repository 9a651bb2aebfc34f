"""Which blocks of a tile a Gaussian is dealt to: those that it is seen in, and few others."""

# pyright: reportCallIssue=false, reportGeneralTypeIssues=false
# (An intrinsic's first parameter is the typing context, which callers in kernels don't pass.)

import numba
import numpy as np
import torch

from gaussians.cli.bench_raster import LIMITS
from gaussians.raster.constants import ALPHA_MIN, TILE_SIZE
from gaussians.raster.cpu.blend import pixel
from gaussians.raster.cpu.deal import (
    CHUNK,
    FIELD_COLOR,
    NEAR,
    NOBODY,
    PLACE,
    ROOM,
    SQUARES,
    clear_fields,
    deal,
    end_lists,
)
from gaussians.raster.cpu.functions import Bins, Lens, Project, packed_rows
from gaussians.raster.cpu.layout import (
    BLOCKS,
    COLOR,
    LOG_OPACITY,
    QUARTERS,
    WHO,
    A,
    B,
    C,
    X,
    Y,
    block_pixels,
    quarter_centre,
)

WIDTH, HEIGHT = 53, 37  # no whole number of tiles
COUNT = 300
USED = LOG_OPACITY + 1  # columns that make a Gaussian's exponents; others may hold anything


def packed_scene() -> tuple[Bins, np.ndarray]:
    generator = torch.Generator().manual_seed(0)
    means = torch.rand(COUNT, 3, generator=generator) * 2 - 1 + torch.tensor([0.0, 0.0, 3.0])
    quats = torch.randn(COUNT, 4, generator=generator)
    scales = 0.3 ** (1 + 4 * torch.rand(COUNT, 3, generator=generator))
    opacities = torch.rand(COUNT, generator=generator)
    K = torch.tensor([[[40.0, 0.0, WIDTH / 2], [0.0, 40.0, HEIGHT / 2], [0.0, 0.0, 1.0]]])
    lens = Lens.of(torch.eye(4)[None], K, WIDTH, HEIGHT, LIMITS)
    projected = Project.apply(means, quats, scales, opacities, lens)
    means2d, conics, depths, radii = (tensor[0].numpy() for tensor in projected)  # pyright: ignore[reportGeneralTypeIssues] - torch's stubs don't type apply
    bins = Bins.of(means2d, conics, opacities.numpy(), depths, radii, WIDTH, HEIGHT)
    colors = torch.rand(COUNT, 3, generator=generator).numpy()
    return bins, packed_rows(bins, means2d, conics, opacities.numpy(), colors)


@numba.njit
def dealt(packed, members, begin, end, left, top, ends):
    """Fields, lists, counts and masks of a tile's first chunk, where each block's list ends by `ends`."""
    fields = np.zeros(((FIELD_COLOR + 3), ROOM), np.float32)
    clear_fields(3, fields)
    lists, counts = np.full((BLOCKS, ROOM), -1, np.int32), np.zeros(BLOCKS, np.int64)
    masks = np.zeros(ROOM, np.int32)
    for place in range(begin, min(end, begin + CHUNK), 16):
        deal(3, packed, members, (begin, place, end), place - begin, (left, top), fields, lists, counts,
             masks, ends)  # fmt: skip
    end_lists(lists, counts)
    return fields, lists, counts, masks


def exponents(row: np.ndarray, left: int, top: int) -> np.ndarray:
    """log2 alpha [blocks, 16] of a packed Gaussian, in float64."""
    x, y = np.array([block_pixels(block) for block in range(BLOCKS)]).transpose(1, 0, 2)
    dx, dy = x + left + 8 - row[X], y + top + 8 - row[Y]
    return row[A] * dx * dx + row[B] * dx * dy + row[C] * dy * dy + row[LOG_OPACITY]


def test_what_is_seen_in_a_block_is_dealt_to_it() -> None:
    bins, packed = packed_scene()
    dealt_to = seen_in = 0
    for tile in range(len(bins.starts) - 1):
        left, top = TILE_SIZE * (tile % bins.tiles_x), TILE_SIZE * (tile // bins.tiles_x)
        begin, end = bins.starts[tile], bins.starts[tile + 1]
        whole = np.full(BLOCKS, end - begin, np.float32)
        fields, lists, counts, masks = dealt(packed, bins.members, begin, end, left, top, whole)
        size = min(CHUNK, end - begin)
        rows = packed[bins.members[begin : begin + size, WHO]]
        np.testing.assert_array_equal(fields[PLACE, :size], np.arange(size))
        np.testing.assert_array_equal(fields[FIELD_COLOR:, :size].T, rows[:, COLOR : COLOR + 3])
        assert (fields[: QUARTERS * NEAR : NEAR, NOBODY] < -100).all()
        for block in range(BLOCKS):
            entries, bit = lists[block, : counts[block]], (masks[:size] >> block) & 1
            np.testing.assert_array_equal(entries, np.flatnonzero(bit))
            assert (lists[block, counts[block] : counts[block] + 16] == NOBODY).all()
        for entry, row in enumerate(rows[:, :USED].astype(float)):
            seen = (exponents(row, left, top) >= np.log2(ALPHA_MIN)).any(axis=1)
            reached = np.array([masks[entry] >> block & 1 for block in range(BLOCKS)], bool)
            assert not (seen & ~reached).any()
            dealt_to += reached.sum()
            seen_in += seen.sum()
    # Some pass between the pixels' centres.
    assert 1000 < seen_in <= dealt_to < 1.2 * seen_in


def test_a_block_gets_nothing_from_its_end_on() -> None:
    bins, packed = packed_scene()
    tile = int(np.argmax(np.diff(bins.starts)))
    begin, end = bins.starts[tile], bins.starts[tile + 1]
    corner = TILE_SIZE * (tile % bins.tiles_x), TILE_SIZE * (tile // bins.tiles_x)
    ends = np.minimum(np.arange(BLOCKS) * 3, end - begin).astype(np.float32)
    whole = np.full(BLOCKS, end - begin, np.float32)
    _, all_lists, all_counts, all_masks = dealt(packed, bins.members, begin, end, *corner, whole)
    _, lists, counts, masks = dealt(packed, bins.members, begin, end, *corner, ends)
    for block in range(BLOCKS):
        expected = [entry for entry in all_lists[block, : all_counts[block]] if entry < ends[block]]
        assert lists[block, : counts[block]].tolist() == expected
        kept = np.flatnonzero(masks[: min(CHUNK, end - begin)] >> block & 1)
        assert kept.tolist() == expected
    assert 0 < counts.sum() < all_counts.sum()
    assert (all_masks | masks == all_masks).all()


def test_the_polynomial_is_the_exponent() -> None:
    bins, packed = packed_scene()
    tile = int(np.argmax(np.diff(bins.starts)))
    left, top = TILE_SIZE * (tile % bins.tiles_x), TILE_SIZE * (tile // bins.tiles_x)
    begin, end = bins.starts[tile], bins.starts[tile + 1]
    fields = dealt(packed, bins.members, begin, end, left, top, np.zeros(BLOCKS, np.float32))[0]
    x, y = np.array([block_pixels(block) for block in range(BLOCKS)]).transpose(1, 0, 2)
    quarters = [block // 4 for block in range(BLOCKS)]
    x, y = np.stack([x, y]) - np.array([quarter_centre(quarter) for quarter in quarters]).T[..., None]
    assert max(np.abs(x).max(), np.abs(y).max()) == 3.5
    for entry, member in enumerate(bins.members[begin : begin + CHUNK, WHO]):
        truth = exponents(packed[member, :USED].astype(float), left, top)
        own = fields[:SQUARES, entry].reshape(QUARTERS, NEAR)[quarters].astype(float)
        squares = fields[SQUARES : SQUARES + 3, entry].astype(float)
        power = own[:, :1] + own[:, 1:2] * x + own[:, 2:] * y
        power += squares[0] * x * x + squares[1] * x * y + squares[2] * y * y
        near = truth > -10
        assert np.abs(power - truth)[near].max(initial=0) < 2e-4


def test_a_tile_has_a_place_for_each_pixel_and_a_block_for_four_rows_of_four() -> None:
    places = np.array([[pixel(j, i) for i in range(TILE_SIZE)] for j in range(TILE_SIZE)])
    assert sorted(places.ravel()) == list(range(TILE_SIZE**2))
    for block in range(BLOCKS):
        rows, columns = np.nonzero(places // 16 == block)
        x, y = block_pixels(block)
        assert sorted(set(columns + 0.5 - 8)) == sorted(set(x))
        assert sorted(set(rows + 0.5 - 8)) == sorted(set(y))
