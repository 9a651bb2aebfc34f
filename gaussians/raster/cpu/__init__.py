"""The CPU backend: our own kernels, compiled by Numba for this machine's vector units.

Semantics and constants are those that gaussians/raster/reference.py numbers; float32 throughout.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from gaussians.kernels import workers
from gaussians.raster.checks import FiniteCheck, check_inputs, check_pixel_weights
from gaussians.raster.constants import EXPECTED_DEPTH_ALPHA_MIN, TILE_SIZE
from gaussians.raster.cpu.blend import backward_kernel, forward_kernel
from gaussians.raster.cpu.by_gaussian import gather
from gaussians.raster.cpu.functions import (
    Bins,
    Blend,
    Harmonics,
    Lens,
    Project,
    array,
    empty_light,
    empty_moments,
    packed_rows,
)
from gaussians.raster.cpu.stored import FEWEST, Shot, Stored, seen_by

MAX_CHANNELS = 4  # blended in one pass; more take more passes


def rasterize(
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
    render_mode: str = "RGB",
    absgrad: bool = False,
    packed: bool = False,
    trusted: bool = False,
) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """See `gaussians.raster.rasterize`; `packed` is accepted and without effect here."""
    check_inputs(
        means, quats, scales, opacities, colors, viewmats, Ks, width, height,
        near_plane=near_plane, far_plane=far_plane, eps2d=eps2d,
        sh_degree=sh_degree, backgrounds=backgrounds, render_mode=render_mode, trusted=trusted,
    )  # fmt: skip
    cameras, n = len(viewmats), len(means)
    lens = Lens.of(viewmats, Ks, width, height, (near_plane, far_plane, eps2d))
    means2d, conics, depths, radii = Project.apply(means, quats, scales, opacities, lens)  # pyright: ignore[reportGeneralTypeIssues] - torch's stubs don't type apply
    view_colors, background = _channels(
        means, colors, depths, radii, lens, sh_degree=sh_degree, backgrounds=backgrounds, mode=render_mode
    )
    bins = [
        Bins.of(means2d[c].detach().numpy(), depths[c].detach().numpy(), radii[c].numpy(), width, height)
        for c in range(cameras)
    ]
    view_opacities = opacities.expand(cameras, n)
    if absgrad and view_colors.shape[-1] > MAX_CHANNELS:
        # Each pass would sum the absolute gradient of its own channels only.
        raise ValueError(f"absgrad: {view_colors.shape[-1]} channels, at most {MAX_CHANNELS} on the cpu")
    parts, alphas, differentiable = [], torch.empty(0), torch.is_grad_enabled()
    for begin in range(0, view_colors.shape[-1], MAX_CHANNELS):
        chunk, behind = (
            view_colors[..., begin : begin + MAX_CHANNELS],
            background[:, begin : begin + MAX_CHANNELS],
        )
        missing = max(0, 3 - chunk.shape[-1])
        if missing:
            chunk = torch.nn.functional.pad(chunk, (0, missing))
            behind = torch.nn.functional.pad(behind, (0, missing))
        image, alpha = Blend.apply(  # pyright: ignore[reportGeneralTypeIssues] - as above
            means2d, conics, chunk, view_opacities, behind, bins, (width, height), absgrad, differentiable
        )
        parts.append(image[..., : chunk.shape[-1] - missing])
        # Every pass makes the same alpha; its gradient must enter once.
        alphas = alpha if begin == 0 else alphas
    render = parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)
    if render_mode in ("ED", "RGB+ED"):
        depth = render[..., -1:] / alphas.clamp(min=EXPECTED_DEPTH_ALPHA_MIN)
        render = torch.cat([render[..., :-1], depth], dim=-1)
    return render, alphas, _meta(means2d, conics, depths, radii, view_opacities, width, height)


def rasterize_stored(
    means: Tensor,
    quats: Tensor,
    log_scales: Tensor,
    logit_opacities: Tensor,
    sh0: Tensor,
    shN: Tensor,
    viewmats: Tensor,
    Ks: Tensor,
    width: int,
    height: int,
    *,
    sh_degree: int,
    backgrounds: Tensor,
    absgrad: bool = False,
    trusted: bool = False,
) -> tuple[Tensor, Tensor, dict[str, Any]] | None:
    """See `gaussians.raster.rasterize_stored`; None for what only `rasterize` takes, as few Gaussians."""
    if not trusted:
        # Of values, those of the Gaussians are looked at when they are activated.
        check_inputs(
            means, quats, log_scales, logit_opacities, (sh0, shN), viewmats, Ks, width, height,
            sh_degree=sh_degree, backgrounds=backgrounds, trusted=True,
        )  # fmt: skip
        FiniteCheck({"viewmats": viewmats, "Ks": Ks, "backgrounds": backgrounds}).finish()
    parameters, n = (means, quats, log_scales, logit_opacities, sh0, shN), len(means)
    if n < FEWEST or len(viewmats) != 1 or not all(tensor.is_contiguous() for tensor in parameters):
        return None
    means2d, conics, depths, opacities = (torch.empty(1, n, *last) for last in ((2,), (3,), (), ()))
    radii = torch.empty(1, n, 2, dtype=torch.int32)
    shot = Shot(
        *seen_by(viewmats, Ks, width, height), array(backgrounds[0]), (width, height), sh_degree, absgrad,
        trusted, means2d, conics, depths, radii, opacities,
    )  # fmt: skip
    image, alpha = Stored.apply(*parameters, shot)  # pyright: ignore[reportGeneralTypeIssues] - as above
    if image.requires_grad:
        means2d.requires_grad_()
    return image, alpha, _meta(means2d, conics, depths, radii, opacities, width, height)


def _channels(
    means: Tensor,
    colors: Tensor | tuple[Tensor, Tensor],
    depths: Tensor,
    radii: Tensor,
    lens: Lens,
    *,
    sh_degree: int | None,
    backgrounds: Tensor | None,
    mode: str,
) -> tuple[Tensor, Tensor]:
    """What is blended, [C, N, D], and what lies behind it, [C, D]: colours, depth or both."""
    cameras, n = radii.shape[:2]
    channels: list[Tensor] = []
    behind: list[Tensor] = []
    if mode in ("RGB", "RGB+D", "RGB+ED"):
        if sh_degree is not None:
            parts = colors if isinstance(colors, tuple) else (colors[:, :1], colors[:, 1:])
            parts = tuple(part.contiguous() for part in parts)  # here once, not for each camera
            channels.append(Harmonics.apply(means, *parts, radii, lens.centres, sh_degree))  # pyright: ignore[reportArgumentType] - torch's stubs don't type apply
        else:
            assert isinstance(colors, Tensor), "as checked"
            channels.append(colors.expand(cameras, n, colors.shape[-1]))
        width = channels[0].shape[-1]
        behind.append(torch.zeros(cameras, width) if backgrounds is None else backgrounds)
    if mode != "RGB":
        channels.append(depths[..., None])
        behind.append(torch.zeros(cameras, 1))
    if len(channels) == 1:
        return channels[0], behind[0]
    return torch.cat(channels, dim=-1), torch.cat(behind, dim=-1)


def _meta(
    means2d: Tensor, conics: Tensor, depths: Tensor, radii: Tensor, opacities: Tensor, width: int, height: int
) -> dict[str, Any]:
    return {
        "means2d": means2d,
        "conics": conics,
        "depths": depths,
        "radii": radii,
        "opacities": opacities,
        "width": width,
        "height": height,
        "n_cameras": len(radii),
        "tile_size": TILE_SIZE,
        "tile_width": -(-width // TILE_SIZE),
        "tile_height": -(-height // TILE_SIZE),
        "gaussian_ids": None,
        "camera_ids": None,
    }


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
    _, _, depths, radii = projected  # pyright: ignore[reportGeneralTypeIssues] - as above
    view_colors, background = _channels(
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
        bins = Bins.of(means2d[c], depths[c], radii[c], width, height)
        tiling = (
            packed_rows(bins, means2d[c], conics[c], opacity, array(colors[c])),
            *bins.tiling(),
            nothing,
        )
        light = empty_light(bins)
        forward_kernel(3)(*tiling, image, alpha, last, *light)
        moments = empty_moments(len(bins.members))
        backward_kernel(3, "drawn")(*tiling, last, *light, behind, counted, bins.slots, moments)
        gather(
            bins.visible, bins.offsets, moments, workers(), conics[c], opacity,
            unused[0], of_camera[0], unused[1], unused[2], of_camera[1],
        )  # fmt: skip
        drawn += of_camera[0]
        weights += of_camera[1]
    weight, count, effect = (torch.from_numpy(sums.copy()) for sums in (weights[:, 0], *drawn.T))
    return weight, count, effect


__all__ = ["blend_weights", "rasterize", "rasterize_stored", "removal_effects", "workers"]
