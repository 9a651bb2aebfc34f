"""How much each Gaussian matters to the training views, and which to keep for it."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from gaussians.camera import Camera
from gaussians.model import Gaussians
from gaussians.raster import blend_weights

MAX_VIEWS = 200  # looked at for one importance; beyond this, more views hardly change the order


@torch.no_grad()
def importance(
    gaussians: Gaussians,
    cameras: Sequence[Camera],
    kind: str = "weight",
    max_views: int = MAX_VIEWS,
    breathe: Callable[[], None] | None = None,
) -> Tensor:
    """[N] Σ over views of the blend weight α T summed over pixels (Fang & Wang 2024, Mini-Splatting, §4.2).

    Args:
        gaussians: N of them.
        cameras: of the training views; of more than `max_views`, as many are used, evenly spread.
        kind: "weight"; or "area": in each view divided by the number of pixels touched, so that a small
            or far Gaussian counts as a large one does (Mini-Splatting's outdoor variant).
        max_views: see cameras.
        breathe: called between views.

    Raises:
        SplatError: the Gaussians have NaN or infinity.
    """
    total = torch.zeros(len(gaussians), device=gaussians.device)
    for index in spread_views(len(cameras), max_views):
        weight, pixels = blend_weights(
            gaussians.means,
            gaussians.quats,
            gaussians.scales,
            gaussians.opacities,
            **cameras[index].tensors(gaussians.device),
        )
        total += weight / pixels.clamp(min=1) if kind == "area" else weight
        if breathe is not None:
            breathe()
    return total


def spread_views(count: int, most: int) -> list[int]:
    """Indices of at most `most` of `count` views, evenly spread, the first and the last among them."""
    return [int(index) for index in np.linspace(0, count - 1, min(count, most)).round()]


def highest(scores: Tensor, count: int) -> Tensor:
    """[N] mask of the `count` highest of `scores` [N]; of equal ones the earlier. All, if there are fewer."""
    kept = torch.zeros_like(scores, dtype=torch.bool)
    kept[torch.sort(scores, descending=True, stable=True).indices[:count]] = True
    return kept


def keep_mass(scores: Tensor, mass: float = 0.99) -> Tensor:
    """[N] mask of the fewest of the highest `scores` [N] that add up to `mass` of their sum.

    What has no importance at all goes even with a mass of 1.
    """
    ordered, order = torch.sort(scores.double(), descending=True, stable=True)
    before = ordered.cumsum(0) - ordered
    kept = torch.zeros_like(scores, dtype=torch.bool)
    kept[order] = (before < mass * ordered.sum()) & (ordered > 0)
    return kept


def importance_sample(scores: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """[N] mask of `count` drawn without replacement, each draw in proportion to `scores` [N] of the rest.

    What has no importance is never drawn: there may be fewer. Drawn by exponential clocks, the Gaussian of
    score s ringing at rate s, and the first `count` taken (Efraimidis & Spirakis 2006): this has no limit
    on N, where torch.multinomial ends at 2²⁴.

    Args:
        scores: not negative.
        count: to keep.
        generator: on the device of scores.
    """
    clocks = torch.empty_like(scores, dtype=torch.float64).exponential_(generator=generator) / scores.double()
    drawn = torch.zeros_like(scores, dtype=torch.bool)
    drawn[torch.sort(clocks, stable=True).indices[:count]] = True
    return drawn & (scores > 0)
