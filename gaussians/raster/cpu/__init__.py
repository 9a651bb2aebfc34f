"""The CPU backend: our own kernels, compiled by Numba for this machine's vector units.

Semantics and constants are those that gaussians/raster/reference.py numbers; float32 throughout.
"""

from typing import Any

import torch
from torch import Tensor

from gaussians.raster.checks import FiniteCheck, check_inputs
from gaussians.raster.constants import EXPECTED_DEPTH_ALPHA_MIN
from gaussians.raster.cpu.channels import blended_channels
from gaussians.raster.cpu.functions import Bins, Blend, Lens, Project, array
from gaussians.raster.cpu.importance import blend_weights, removal_effects
from gaussians.raster.cpu.stored import FEWEST, Shot, Stored, meta_of

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
    view_colors, background = blended_channels(
        means, colors, depths, radii, lens, sh_degree=sh_degree, backgrounds=backgrounds, mode=render_mode
    )
    view_opacities = opacities.expand(cameras, n)
    bins = _binned(means2d, conics, view_opacities, depths, radii, width, height)
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
    return render, alphas, meta_of(means2d, conics, depths, radii, view_opacities, width, height)


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
    parameters = (means, quats, log_scales, logit_opacities, sh0, shN)
    contiguous = all(tensor.is_contiguous() for tensor in parameters)
    if len(means) < FEWEST or len(viewmats) != 1 or not contiguous:
        return None
    shot = Shot.of(
        len(means), viewmats, Ks, width, height, backgrounds=backgrounds, sh_degree=sh_degree,
        absgrad=absgrad, differentiable=torch.is_grad_enabled(),
    )  # fmt: skip
    image, alpha = Stored.apply(*parameters, shot, not trusted)  # pyright: ignore[reportGeneralTypeIssues] - as above
    if image.requires_grad:
        shot.means2d.requires_grad_()
    return image, alpha, shot.meta()


__all__ = ["blend_weights", "rasterize", "rasterize_stored", "removal_effects"]


def _binned(
    means2d: Tensor, conics: Tensor, opacities: Tensor, depths: Tensor, radii: Tensor, width: int, height: int
) -> list[Bins]:
    """Each camera's visible Gaussians, dealt to tiles; the tensors are [C, N, ...]."""
    seen = [tensor.detach() for tensor in (means2d, conics, opacities, depths, radii)]
    return [
        Bins.of(*(array(tensor[c]) for tensor in seen), width=width, height=height)
        for c in range(len(means2d))
    ]
