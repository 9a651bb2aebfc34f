"""Which vectors of a tile a Gaussian is blended into: all that it can be seen in."""

import numpy as np
import torch

from gaussians.cli.bench_raster import LIMITS
from gaussians.raster.constants import ALPHA_MIN, TILE_SIZE
from gaussians.raster.cpu.blend import pixel, reach
from gaussians.raster.cpu.functions import Bins, Lens, Project, packed_rows
from gaussians.raster.cpu.rows import BOTH, LEFT, LOG_OPACITY, RIGHT, A, B, C, X, Y

WIDTH, HEIGHT = 53, 37  # no whole number of tiles


def packed_scene() -> tuple[Bins, np.ndarray]:
    generator = torch.Generator().manual_seed(0)
    count = 300
    means = torch.rand(count, 3, generator=generator) * 2 - 1 + torch.tensor([0.0, 0.0, 3.0])
    quats = torch.randn(count, 4, generator=generator)
    scales = 0.3 ** (1 + 4 * torch.rand(count, 3, generator=generator))
    opacities = torch.rand(count, generator=generator)
    K = torch.tensor([[[40.0, 0.0, WIDTH / 2], [0.0, 40.0, HEIGHT / 2], [0.0, 0.0, 1.0]]])
    lens = Lens.of(torch.eye(4)[None], K, WIDTH, HEIGHT, LIMITS)
    projected = Project.apply(means, quats, scales, opacities, lens)
    means2d, conics, depths, radii, extents = (tensor[0].numpy() for tensor in projected)  # pyright: ignore[reportGeneralTypeIssues] - torch's stubs don't type apply
    bins = Bins.of(means2d, depths, radii, WIDTH, HEIGHT)
    return bins, packed_rows(
        bins, means2d, conics, opacities.numpy(), extents, np.zeros((count, 3), np.float32)
    )


def test_what_is_seen_lies_in_what_is_reached() -> None:
    bins, packed = packed_scene()
    found = {0: 0, LEFT: 0, RIGHT: 0, BOTH: 0}
    for tile in range(len(bins.starts) - 1):
        left, top = TILE_SIZE * (tile % bins.tiles_x), TILE_SIZE * (tile // bins.tiles_x)
        rows = min(TILE_SIZE, HEIGHT - top)
        dy, dx = np.mgrid[top : top + rows, left : left + TILE_SIZE] + 0.5
        for rank in bins.ranks[bins.starts[tile] : bins.starts[tile + 1]]:
            row = packed[rank, : LOG_OPACITY + 1].astype(float)
            x, y = dx - row[X], dy - row[Y]
            power = row[A] * x * x + row[B] * x * y + row[C] * y * y + row[LOG_OPACITY]
            seen = power >= np.log2(ALPHA_MIN)
            first, end, halves = reach(packed, np.int64(rank), left, top, rows)
            found[int(halves)] += 1
            inside = np.zeros_like(seen)
            columns = slice(0 if halves & LEFT else 8, 16 if halves & RIGHT else 8)
            inside[2 * first : 2 * end, columns] = True
            assert not (seen & ~inside).any()
            assert halves == 0 or end - first <= 1 + rows // 2
    assert min(found.values()) > 20


def test_a_tile_has_a_place_for_each_pixel_and_a_vector_for_two_rows_of_eight() -> None:
    places = np.array([[pixel(j, i) for i in range(TILE_SIZE)] for j in range(TILE_SIZE)])
    assert sorted(places.ravel()) == list(range(TILE_SIZE**2))
    for vector in range(16):
        rows, columns = np.nonzero(places // 16 == vector)
        assert sorted(set(rows)) == [2 * (vector // 2), 2 * (vector // 2) + 1]
        assert sorted(set(columns)) == list(range(8 * (vector % 2), 8 * (vector % 2) + 8))
