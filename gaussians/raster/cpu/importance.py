"""The importance of Gaussians: how much of the images each makes, and how they would change without it.

One forward and one backward pass over each camera's tiles give both, summed for each Gaussian.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from gaussians.raster.checks import check_inputs, check_pixel_weights
from gaussians.raster.cpu.blend import backward_kernel, forward_kernel
from gaussians.raster.cpu.by_gaussian import gather
from gaussians.raster.cpu.channels import blended_channels
from gaussians.raster.cpu.functions import Bins, Lens, Project, array, empty_light, empty_moments, packed_rows


@torch.no_grad()
def blend_weights(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    viewmats: Tensor,
    Ks: Tensor,
    width: int,
    height: int,
    *,
    near_plane: float = 0.01,
    far_plane: float = 1e10,
    eps2d: float = 0.3,
    pixel_weights: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """See `gaussians.raster.blend_weights`."""
    check_inputs(
        means, quats, scales, opacities, None, viewmats, Ks, width, height,
        near_plane=near_plane, far_plane=far_plane, eps2d=eps2d,
    )  # fmt: skip
    check_pixel_weights(pixel_weights, viewmats, width, height)
    lens = Lens.of(viewmats, Ks, width, height, (near_plane, far_plane, eps2d))
    projected = Project.apply(means, quats, scales, opacities, lens)
    cameras, n = len(viewmats), len(means)
    colors, backgrounds = torch.zeros(cameras, n, 3), torch.zeros(cameras, 3)
    weights, counts, _ = _drawn(projected, opacities, colors, backgrounds, pixel_weights, width, height)
    return weights, counts


@torch.no_grad()
def removal_effects(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    colors: Tensor | tuple[Tensor, Tensor],
    viewmats: Tensor,
    Ks: Tensor,
    width: int,
    height: int,
    *,
    near_plane: float = 0.01,
    far_plane: float = 1e10,
    eps2d: float = 0.3,
    sh_degree: int | None = None,
    backgrounds: Tensor | None = None,
    pixel_weights: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """See `gaussians.raster.removal_effects`; exact, and `generator` is not used."""
    check_inputs(
        means, quats, scales, opacities, colors, viewmats, Ks, width, height,
        near_plane=near_plane, far_plane=far_plane, eps2d=eps2d,
        sh_degree=sh_degree, backgrounds=backgrounds,
    )  # fmt: skip
    check_pixel_weights(pixel_weights, viewmats, width, height)
    lens = Lens.of(viewmats, Ks, width, height, (near_plane, far_plane, eps2d))
    projected = Project.apply(means, quats, scales, opacities, lens)
    _, _, depths, radii = projected  # pyright: ignore[reportGeneralTypeIssues] - torch's stubs don't type apply
    view_colors, background = blended_channels(
        means, colors, depths, radii, lens, sh_degree=sh_degree, backgrounds=backgrounds, mode="RGB"
    )
    return _drawn(projected, opacities, view_colors, background, pixel_weights, width, height)[2]


def _drawn(
    projected: Any,
    opacities: Tensor,
    colors: Tensor,
    backgrounds: Tensor,
    pixel_weights: Tensor | None,
    width: int,
    height: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """[N] summed blend weight, [N] number of pixels drawn, [N] squared change without the Gaussian.

    Args:
        projected: means2d, conics, depths and radii.
        opacities [N], colors [C, N, 3], backgrounds [C, 3], pixel_weights [C, H, W] or None.
    """
    means2d, conics, depths, radii = (tensor.numpy() for tensor in projected)
    n, opacity, nothing = len(opacities), array(opacities), np.zeros(3, np.float32)
    # As "drawn" has it: what a pixel counts comes as alpha's gradient, what is behind as the image's.
    counted, behind = np.full((height, width), -1, np.float32), np.empty((height, width, 3), np.float32)
    image, alpha = np.empty((height, width, 3), np.float32), np.empty((height, width), np.float32)
    last = np.empty((height, width), np.int32)
    # What `gather` also adds up, and nobody asked for, goes to `unused`.
    unused = [np.empty((n, 2), np.float32), np.empty((n, 3), np.float32), np.empty(n, np.float32)]
    drawn, weights = np.zeros((n, 2), np.float32), np.zeros((n, 3), np.float32)
    of_camera = np.empty_like(drawn), np.empty_like(weights)
    for c in range(len(backgrounds)):
        if pixel_weights is not None:
            np.negative(array(pixel_weights[c]), out=counted)
        behind[:] = array(backgrounds[c])
        bins = Bins.of(means2d[c], conics[c], opacity, depths[c], radii[c], width, height)
        tiling = (
            packed_rows(bins, means2d[c], conics[c], opacity, array(colors[c])),
            *bins.tiling(),
            nothing,
        )
        light = empty_light(bins)
        forward_kernel(3)(*tiling, image, alpha, last, *light)
        moments = empty_moments(bins)
        backward_kernel(3, "drawn")(*tiling, last, *light, behind, counted, moments)
        gather(
            bins.visible, bins.spans, moments, bins.threads, conics[c], opacity,
            unused[0], of_camera[0], unused[1], unused[2], of_camera[1],
        )  # fmt: skip
        drawn += of_camera[0]
        weights += of_camera[1]
    weight, count, effect = (torch.from_numpy(sums.copy()) for sums in (weights[:, 0], *drawn.T))
    return weight, count, effect
