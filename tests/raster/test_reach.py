"""Which tiles a Gaussian is dealt to: all in which it is drawn, and none far from that."""

import math
from typing import Any

import numba
import numpy as np
import pytest
import torch

from gaussians.raster.cpu.functions import Bins, Blend, Lens, Project
from gaussians.raster.cpu.layout import SLOT, TILE, WHO

WIDTH, HEIGHT = 333, 217  # no whole number of tiles
COUNT = 3000
LIMITS = (0.01, 1e10, 0.3)
EVERYWHERE = np.full(COUNT, 1e30, np.float32)  # so opaque that none of its box's tiles is left out
CLEARLY = 2**-0.06  # of 1/255: less than this and a tile has to be left out


@pytest.fixture(scope="module")
def projected() -> dict[str, np.ndarray]:
    """Gaussians of all shapes and sizes, thin ones across many tiles among them."""
    generator = torch.Generator().manual_seed(3)
    means = torch.rand(COUNT, 3, generator=generator) * 3 - 1.5 + torch.tensor([0.0, 0.0, 3.0])
    quats = torch.randn(COUNT, 4, generator=generator)
    scales = torch.exp(torch.empty(COUNT, 3).uniform_(math.log(1e-3), math.log(0.7), generator=generator))
    opacities = torch.rand(COUNT, generator=generator)
    K = torch.tensor([[[300.0, 0.0, WIDTH / 2], [0.0, 300.0, HEIGHT / 2], [0.0, 0.0, 1.0]]])
    lens = Lens.of(torch.eye(4)[None], K, WIDTH, HEIGHT, LIMITS)
    fields: Any = Project.apply(means, quats, scales, opacities, lens)
    names = ("means2d", "conics", "depths", "radii")
    found = {name: field[0].numpy() for name, field in zip(names, fields, strict=True)}
    return {**found, "opacities": opacities.numpy()}


def bins_of(projected: dict[str, np.ndarray], opacities: np.ndarray) -> Bins:
    outlines = projected["means2d"], projected["conics"], opacities
    return Bins.of(*outlines, projected["depths"], projected["radii"], WIDTH, HEIGHT)


def tiles_of(bins: Bins) -> set[tuple[int, int]]:
    """(Gaussian, tile) of all lists."""
    tiles = np.repeat(np.arange(len(bins.starts) - 1), np.diff(bins.starts))
    return set(zip(bins.visible[bins.members[:, WHO]].tolist(), tiles.tolist(), strict=True))


def most_alpha(projected: dict[str, np.ndarray], gaussian: int, tile: int) -> tuple[float, float]:
    """The most that a Gaussian's alpha is at a tile's pixels, and in the rectangle of their centres."""
    columns = -(-WIDTH // TILE)
    left, top = TILE * (tile % columns) + 0.5, TILE * (tile // columns) + 0.5
    x, y = projected["means2d"][gaussian].astype(np.float64)
    a, b, c = projected["conics"][gaussian].astype(np.float64)

    def alpha(dx: np.ndarray, dy: np.ndarray) -> float:
        power = -0.5 * (a * dx * dx + c * dy * dy) - b * dx * dy
        return float(projected["opacities"][gaussian] * np.exp(power).max())

    steps = np.arange(TILE, dtype=np.float64)
    at_pixels = alpha(left - x + steps[None], top - y + steps[:, None])
    # The largest in a rectangle lies at the centre, or at the best point of an edge that faces it.
    near_x, near_y = np.clip(x, left, left + TILE - 1) - x, np.clip(y, top, top + TILE - 1) - y
    along_y = np.clip(-b / c * near_x, top - y, top - y + TILE - 1)
    along_x = np.clip(-b / a * near_y, left - x, left - x + TILE - 1)
    within = max(alpha(near_x, along_y), alpha(along_x, near_y))
    return at_pixels, within


def test_all_tiles_that_are_drawn_in_and_no_others(projected: dict[str, np.ndarray]) -> None:
    kept = tiles_of(bins_of(projected, projected["opacities"]))
    boxed = tiles_of(bins_of(projected, EVERYWHERE))
    assert kept < boxed
    dropped = boxed - kept
    assert 0.1 < len(dropped) / len(boxed) < 0.6  # there is something to tell apart
    for gaussian, tile in dropped:
        at_pixels, within = most_alpha(projected, gaussian, tile)
        assert at_pixels <= within * (1 + 1e-9)
        assert at_pixels < 1 / 255
    for gaussian, tile in kept:
        assert most_alpha(projected, gaussian, tile)[1] > CLEARLY / 255


def test_to_the_bit_as_with_all_tiles(projected: dict[str, np.ndarray]) -> None:
    def blended(opacities: np.ndarray) -> list[torch.Tensor]:
        bins = bins_of(projected, opacities)
        colors = torch.rand(1, COUNT, 3, generator=torch.Generator().manual_seed(1))
        fields = [torch.from_numpy(projected[name])[None] for name in ("means2d", "conics")]
        fields = [field.clone().requires_grad_() for field in (*fields, colors)]
        opacity = torch.from_numpy(projected["opacities"])[None].clone().requires_grad_()
        arguments = [*fields, opacity, torch.full((1, 3), 0.4), [bins], (WIDTH, HEIGHT), False, True]
        image, alpha = Blend.apply(*arguments)  # pyright: ignore[reportGeneralTypeIssues] - torch's stubs don't type apply
        slope = torch.rand(image.shape, generator=torch.Generator().manual_seed(2))
        gradients = torch.autograd.grad((image * slope).sum() + alpha.square().sum(), [*fields, opacity])
        return [image.detach(), alpha.detach(), *gradients]

    for ours, all_tiles in zip(blended(projected["opacities"]), blended(EVERYWHERE), strict=True):
        assert torch.equal(ours, all_tiles)


@pytest.mark.parametrize("threads", [1, 2])
def test_slots_are_each_ones_own_whoever_deals(projected: dict[str, np.ndarray], threads: int) -> None:
    before = numba.get_num_threads()
    try:
        numba.set_num_threads(min(threads, before))
        bins = bins_of(projected, projected["opacities"])
    finally:
        numba.set_num_threads(before)
    assert tiles_of(bins) == tiles_of(bins_of(projected, projected["opacities"]))
    who, slots = bins.members[:, WHO], bins.members[:, SLOT]
    assert len(np.unique(slots)) == len(slots)
    assert slots.max() < bins.room
    assert (slots >= bins.spans[who, 0]).all()
    assert (slots < bins.spans[who, 1]).all()
    assert (bins.spans[:, 1] - bins.spans[:, 0]).sum() == len(slots)


def test_lists_go_from_near_to_far(projected: dict[str, np.ndarray]) -> None:
    bins = bins_of(projected, projected["opacities"])
    depths = projected["depths"][bins.visible[bins.members[:, WHO]]]
    for begin, end in zip(bins.starts, bins.starts[1:], strict=False):
        assert (np.diff(depths[begin:end]) >= 0).all()


def test_a_long_row_of_tiles() -> None:
    """More than the sixteen tiles that are looked at in one go, thin and slanted."""
    a, b, c = np.linalg.inv(np.array([[4000.0, 3990.0], [3990.0, 4000.0]]))[[0, 0, 1], [0, 1, 1]]
    projected = {
        "means2d": np.array([[160.0, 100.0]], np.float32),
        "conics": np.array([[a, b, c]], np.float32),
        "opacities": np.array([0.9], np.float32),
        "depths": np.ones(1, np.float32),
        "radii": np.full((1, 2), 215, np.int32),
    }
    kept = {tile for _, tile in tiles_of(bins_of(projected, projected["opacities"]))}
    assert kept == {tile for tile in range(21 * 14) if most_alpha(projected, 0, tile)[1] > 1 / 255}
    assert len(kept) < 60


def test_nothing_visible(projected: dict[str, np.ndarray]) -> None:
    bins = bins_of({**projected, "radii": np.zeros_like(projected["radii"])}, projected["opacities"])
    assert len(bins.members) == len(bins.spans) == bins.starts[-1] == 0
