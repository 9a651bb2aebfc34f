"""Which tiles a Gaussian is dealt to: all in which it is drawn, and none far from that."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from gaussians.raster.cpu.binning import fill_tiles, reached_tiles, tile_rectangles
from gaussians.raster.cpu.depth_sort import FEW, depth_order, visible_indices
from gaussians.raster.cpu.functions import Bins, Blend, Lens, Project
from gaussians.raster.cpu.lanes import LANES
from gaussians.raster.cpu.layout import SLOT, TILE, WHO

WIDTH, HEIGHT = 333, 217  # no whole number of tiles
LARGE = 1920, 1080
COUNT = 3000
LIMITS = (0.01, 1e10, 0.3)
CLEARLY = 2**-0.06  # of 1/255: less than this and a tile has to be left out


def projected(
    scales: tuple[float, float], size: tuple[int, int], count: int = COUNT, thin: bool = False
) -> dict[str, Any]:
    """Gaussians of all shapes, their axes from the one to the other of `scales`; or needles so long."""
    generator = torch.Generator().manual_seed(3)
    means = torch.rand(count, 3, generator=generator) * 3 - 1.5 + torch.tensor([0.0, 0.0, 3.0])
    quats = torch.randn(count, 4, generator=generator)
    lowest, highest = map(math.log, scales)
    axes = torch.exp(torch.empty(count, 3).uniform_(lowest, highest, generator=generator))
    if thin:
        axes[:, 1:] = 1e-4
    opacities = torch.rand(count, generator=generator)
    width, height = size
    K = torch.tensor([[[0.9 * width, 0.0, width / 2], [0.0, 0.9 * width, height / 2], [0.0, 0.0, 1.0]]])
    lens = Lens.of(torch.eye(4)[None], K, width, height, LIMITS)
    fields: Any = Project.apply(means, quats, axes, opacities, lens)
    names = ("means2d", "conics", "depths", "radii")
    found: dict[str, Any] = {name: field[0].numpy() for name, field in zip(names, fields, strict=True)}
    return {**found, "opacities": opacities.numpy(), "size": size}


@pytest.fixture(scope="module")
def cloud() -> dict[str, Any]:
    return projected((1e-3, 0.7), (WIDTH, HEIGHT))


def bins_of(scene: dict[str, Any], boxes: bool = False) -> Bins:
    """With `boxes` in all tiles of each box: by outlines that are flat."""
    conics = (
        np.tile(np.array([1e-20, 0, 1e-20], np.float32), (len(scene["conics"]), 1))
        if boxes
        else scene["conics"]
    )
    opacities = np.ones_like(scene["opacities"]) if boxes else scene["opacities"]
    return Bins.of(scene["means2d"], conics, opacities, scene["depths"], scene["radii"], *scene["size"])


def tiles_of(bins: Bins) -> set[tuple[int, int]]:
    """(Gaussian, tile) of all lists, each of which is there once."""
    tiles = np.repeat(np.arange(len(bins.starts) - 1), np.diff(bins.starts))
    found = set(zip(bins.visible[bins.members[:, WHO]].tolist(), tiles.tolist(), strict=True))
    assert len(found) == len(bins.members)
    return found


def most_alpha(scene: dict[str, Any], gaussian: int, tile: int) -> tuple[float, float]:
    """The most that a Gaussian's alpha is at a tile's pixels, and in the rectangle of their centres."""
    columns = -(-scene["size"][0] // TILE)
    left, top = TILE * (tile % columns) + 0.5, TILE * (tile // columns) + 0.5
    x, y = scene["means2d"][gaussian].astype(np.float64)
    a, b, c = scene["conics"][gaussian].astype(np.float64)

    def alpha(dx: np.ndarray, dy: np.ndarray) -> float:
        power = -0.5 * (a * dx * dx + c * dy * dy) - b * dx * dy
        return float(scene["opacities"][gaussian] * np.exp(power).max())

    steps = np.arange(TILE, dtype=np.float64)
    at_pixels = alpha(left - x + steps[None], top - y + steps[:, None])
    # The largest in a rectangle lies at the centre, or at the best point of an edge that faces it.
    near_x, near_y = np.clip(x, left, left + TILE - 1) - x, np.clip(y, top, top + TILE - 1) - y
    along_y = np.clip(-b / c * near_x, top - y, top - y + TILE - 1)
    along_x = np.clip(-b / a * near_y, left - x, left - x + TILE - 1)
    within = max(alpha(near_x, along_y), alpha(along_x, near_y))
    return at_pixels, within


def test_all_tiles_that_are_drawn_in_and_no_others(cloud: dict[str, Any]) -> None:
    boxes = bins_of(cloud, boxes=True)
    kept, boxed = tiles_of(bins_of(cloud)), tiles_of(boxes)
    x, y = cloud["means2d"][boxes.visible].T
    rx, ry = cloud["radii"][boxes.visible].T
    wide = (np.ceil((x + rx) / TILE).clip(0, 21) - np.floor((x - rx) / TILE).clip(0, 21)).astype(int)
    tall = (np.ceil((y + ry) / TILE).clip(0, 14) - np.floor((y - ry) / TILE).clip(0, 14)).astype(int)
    assert len(boxed) == (wide * tall).sum()
    assert kept < boxed
    dropped = boxed - kept
    assert 0.1 < len(dropped) / len(boxed) < 0.6  # there is something to tell apart
    for gaussian, tile in dropped:
        at_pixels, within = most_alpha(cloud, gaussian, tile)
        assert at_pixels <= within * (1 + 1e-9)
        assert at_pixels < 1 / 255
    for gaussian, tile in kept:
        assert most_alpha(cloud, gaussian, tile)[1] > CLEARLY / 255


@pytest.mark.parametrize(
    "scene",
    [
        pytest.param(((1e-3, 0.7), (WIDTH, HEIGHT), COUNT), id="cloud"),
        pytest.param(((0.25, 1.3), LARGE, 2000, True), id="needles of hundreds of pixels"),
    ],
)
def test_to_the_bit_as_in_whole_boxes(scene: tuple[Any, ...]) -> None:
    fields = projected(*scene)

    def blended(bins: Bins) -> list[torch.Tensor]:
        names, generator = ("means2d", "conics"), torch.Generator().manual_seed(1)
        means2d, conics = (torch.from_numpy(fields[name])[None].clone() for name in names)
        opacity = torch.from_numpy(fields["opacities"])[None].clone()
        colors = torch.rand(1, len(opacity[0]), 3, generator=generator)
        leaves = [leaf.requires_grad_() for leaf in (means2d, conics, colors, opacity)]
        arguments = [*leaves, torch.full((1, 3), 0.4), [bins], fields["size"], False, True]
        image, alpha = Blend.apply(*arguments)  # pyright: ignore[reportGeneralTypeIssues] - torch's stubs don't type apply
        slope = torch.rand(image.shape, generator=generator)
        gradients = torch.autograd.grad((image * slope).sum() + alpha.square().sum(), leaves)
        return [image.detach(), alpha.detach(), *gradients]

    culled, whole = bins_of(fields), bins_of(fields, boxes=True)
    assert len(culled.members) < 0.8 * len(whole.members)
    for ours, boxed in zip(blended(culled), blended(whole), strict=True):
        assert torch.equal(ours, boxed)


@pytest.mark.parametrize("workers", [1, 2, 3, 7, 5000])
def test_whoever_deals_keeps_to_places_of_its_own(cloud: dict[str, Any], workers: int) -> None:
    bins, guard = bins_of(cloud), -7
    visible, (width, height) = bins.visible, (-(-side // TILE) for side in cloud["size"])
    rectangles, offsets = np.empty((len(visible), 4), np.int32), np.empty(len(visible) + 1, np.int64)
    tile_rectangles(visible, cloud["means2d"], cloud["radii"], width, height, rectangles, offsets)
    tiles = np.full(offsets[-1] + LANES * workers + 99, guard, np.int32)
    spans = np.empty((len(visible), 2), np.int32)
    outlines = cloud["means2d"], cloud["conics"], cloud["opacities"]
    reached_tiles(visible, *outlines, rectangles, offsets, width, workers, tiles, spans)
    assert (tiles[-99:] == guard).all()
    starts, members = np.empty_like(bins.starts), np.empty_like(bins.members)
    order = depth_order(cloud["depths"], visible, workers)
    fill_tiles(order, tiles, spans, workers, starts, members)
    assert np.array_equal(starts, bins.starts)
    assert np.array_equal(members[:, WHO], bins.members[:, WHO])
    who, slots = members[:, WHO], members[:, SLOT]
    assert len(np.unique(slots)) == len(slots)
    assert ((slots >= spans[who, 0]) & (slots < spans[who, 1])).all()
    assert np.array_equal(tiles[slots], np.repeat(np.arange(width * height), np.diff(starts)))


def test_lists_go_from_near_to_far(cloud: dict[str, Any]) -> None:
    bins = bins_of(cloud)
    depths = cloud["depths"][bins.visible[bins.members[:, WHO]]]
    for begin, end in zip(bins.starts, bins.starts[1:], strict=False):
        assert (np.diff(depths[begin:end]) >= 0).all()


def test_a_long_row_of_tiles() -> None:
    """More than the sixteen tiles that are looked at in one go, thin and slanted."""
    a, b, c = np.linalg.inv(np.array([[4000.0, 3990.0], [3990.0, 4000.0]]))[[0, 0, 1], [0, 1, 1]]
    scene = {
        "means2d": np.array([[160.0, 100.0]], np.float32),
        "conics": np.array([[a, b, c]], np.float32),
        "opacities": np.array([0.9], np.float32),
        "depths": np.ones(1, np.float32),
        "radii": np.full((1, 2), 215, np.int32),
        "size": (WIDTH, HEIGHT),
    }
    kept = {tile for _, tile in tiles_of(bins_of(scene))}
    assert kept == {tile for tile in range(21 * 14) if most_alpha(scene, 0, tile)[1] > 1 / 255}
    assert len(kept) < 60


def test_nothing_visible(cloud: dict[str, Any]) -> None:
    bins = bins_of({**cloud, "radii": np.zeros_like(cloud["radii"])})
    assert len(bins.members) == len(bins.spans) == bins.starts[-1] == 0


def test_more_than_can_be_counted_is_out_of_memory() -> None:
    width, height = 1920, 1080
    count = 2**31 // (-(-width // TILE) * -(-height // TILE)) + 1  # each of which covers the whole image
    scene = {
        "means2d": np.full((count, 2), 500, np.float32),
        "conics": np.tile(np.array([1e-9, 0, 1e-9], np.float32), (count, 1)),
        "opacities": np.ones(count, np.float32),
        "depths": np.ones(count, np.float32),
        "radii": np.full((count, 2), 5000, np.int32),
        "size": (width, height),
    }
    with pytest.raises(MemoryError, match="scales are too large"):
        bins_of(scene)


@pytest.mark.parametrize("workers", [1, 2, 3, 7, 5000])
@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("count", [1000, FEW + 1])
def test_the_visible_and_their_order(workers: int, share: float, count: int) -> None:
    generator = np.random.default_rng(5)
    radii = np.repeat((generator.random(count) < share).astype(np.int32)[:, None], 2, axis=1)
    depths = generator.integers(1, 50, count).astype(np.float32)  # many are as far as others
    visible = visible_indices(radii, workers)
    assert visible.tolist() == np.flatnonzero(radii[:, 0]).tolist()
    order = depth_order(depths, visible, workers)
    assert order.tolist() == np.argsort(depths[visible], kind="stable").tolist()
