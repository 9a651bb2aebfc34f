"""Float64 oracle, second half: from ellipses in the image to each Gaussian's share of each pixel.

Plain PyTorch, differentiable by autograd, for tests only. The facts are numbered in `reference.py`.
"""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gaussians.raster.constants import ALPHA_MAX, ALPHA_MIN, TILE_SIZE, TRANSMITTANCE_MIN
from gaussians.raster.reference_projection import Projection

PIXELS_AT_ONCE = 4096  # bounds memory: a handful of [N, 4096] arrays


class Blend(NamedTuple):
    """How M Gaussians, front to back, share P pixels.

    Attributes:
        order: [M] which Gaussians.
        weights: [M, P] alpha T, 0 where not drawn.
        transmittance: [P] what is left behind the last.
        margin: [P] see `reference.margins`.
    """

    order: Tensor
    weights: Tensor
    transmittance: Tensor
    margin: Tensor


def blends(
    projection: Projection, spread: Tensor, opacities: Tensor, camera: int, width: int, height: int
) -> list[Blend]:
    """Facts 8 to 10 for one camera: blends of all pixels, row by row, `PIXELS_AT_ONCE` in each.

    Args:
        projection: of the Gaussians, for all cameras.
        spread: [C, N, H W, 2] its centres, as `spread_over_pixels` gives them.
        opacities: [N].
        camera: which of them.
        width, height: pixels.
    """
    radii, depths = projection.radii[camera], projection.depths[camera]
    visible = (radii[:, 0] > 0).nonzero().flatten()
    order = visible[torch.argsort(depths[visible].detach(), stable=True)]
    rows, columns = torch.meshgrid(
        torch.arange(height, device=depths.device), torch.arange(width, device=depths.device), indexing="ij"
    )
    pixels = torch.stack([columns.flatten(), rows.flatten()], dim=-1).to(depths.dtype) + 0.5
    conics, ranked = projection.conics[camera, order], spread[camera, order]
    tiles = _in_tiles(projection.means2d[camera, order], radii[order], pixels)
    blended = []
    for chunk in torch.arange(len(pixels), device=depths.device).split(PIXELS_AT_ONCE):
        delta = ranked[:, chunk] - pixels[chunk]
        dx, dy = delta.unbind(-1)
        xx, xy, yy = conics[:, None, :].unbind(-1)
        sigma = 0.5 * (xx * dx * dx + yy * dy * dy) + xy * dx * dy
        blended.append(_blend(order, sigma, opacities[order], tiles[:, chunk]))
    return blended


def _blend(order: Tensor, sigma: Tensor, opacities: Tensor, tiles: Tensor) -> Blend:
    """Fact 10: σ [M, P], opacities [M], whether the tiles allow it [M, P]."""
    raw = opacities[:, None] * torch.exp(-sigma)
    alpha = raw.clamp(max=ALPHA_MAX)
    seen = (sigma >= 0) & (alpha >= ALPHA_MIN) & tiles
    # Transmittance only falls, so the first crossing also excludes all that comes behind it.
    after = torch.cumprod(torch.where(seen, 1 - alpha, 1.0), dim=0).detach()
    drawn = seen & (after > TRANSMITTANCE_MIN)
    alpha = torch.where(drawn, alpha, 0.0)
    before = torch.cat([alpha.new_ones(1, alpha.shape[1]), torch.cumprod(1 - alpha, dim=0)])
    jumps = [
        torch.where(tiles, (raw / ALPHA_MIN - 1).abs(), math.inf),
        torch.where(seen, (raw / ALPHA_MAX - 1).abs(), math.inf),
        torch.where(seen, (after / TRANSMITTANCE_MIN - 1).abs(), math.inf),
        raw.new_full((1, raw.shape[1]), math.inf),
    ]
    margin = torch.cat(jumps).amin(dim=0).detach()
    return Blend(order, alpha * before[:-1], before[-1], margin)


def _in_tiles(means2d: Tensor, radii: Tensor, pixels: Tensor) -> Tensor:
    """[M, P] whether the pixel lies in a tile that the Gaussian's box overlaps (fact 8)."""
    first = torch.floor((means2d.detach() - radii) / TILE_SIZE)[:, None, :]
    last = torch.ceil((means2d.detach() + radii) / TILE_SIZE)[:, None, :]
    tile = torch.floor(pixels / TILE_SIZE)[None, :, :]
    return ((first <= tile) & (tile < last)).all(dim=-1)


class _SpreadOverPixels(torch.autograd.Function):
    """A copy of the 2-D centres for each pixel, whose gradients are summed as they are and absolutely."""

    @staticmethod
    def forward(ctx: Any, means2d: Tensor, pixels: int) -> Tensor:
        ctx.means2d = means2d
        return means2d[:, :, None, :].expand(-1, -1, pixels, -1)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        ctx.means2d.absgrad = grads[0].abs().sum(dim=2)
        return grads[0].sum(dim=2), None


def spread_over_pixels(means2d: Tensor, pixels: int, absgrad: bool) -> Tensor:
    """[C, N, P, 2] the centres [C, N, 2], repeated; with `absgrad` backward passes do fact 14."""
    if absgrad:
        return _SpreadOverPixels.apply(means2d, pixels)  # pyright: ignore[reportReturnType] # untyped in torch
    return means2d[:, :, None, :].expand(-1, -1, pixels, -1)
