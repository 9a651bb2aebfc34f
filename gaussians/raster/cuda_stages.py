"""A render on CUDA in three nodes of autograd, over gsplat's compiled kernels and our harmonics.

The kernels, their order and their arguments are those of `gsplat.rasterization`, and so are the results. Its
Python takes longer than a GPU takes for a step of a compact model: it waits for the inverse of a matrix, puts
coefficients into one tensor, checks every shape anew and makes ten nodes. Up to 32 channels of colour come
here; packed renders and depths go gsplat's way.
"""

import functools
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gaussians.raster.constants import TILE_SIZE
from gaussians.raster.cuda_room import intersections
from gaussians.triton_kernels import triton_kernels

CHANNELS = (1, 2, 3, 4, 5, 8, 9, 16, 17, 32)
"""Numbers of channels that gsplat has kernels for, as far as one pass takes them."""


class Settings(NamedTuple):
    """What a render is told beside tensors.

    Attributes:
        width, height: pixels.
        near_plane, far_plane: depths outside are culled.
        eps2d: px² added to the 2-D covariance's diagonal.
        absgrad: also sum absolute 2-D gradients.
    """

    width: int
    height: int
    near_plane: float = 0.01
    far_plane: float = 1e10
    eps2d: float = 0.3
    absgrad: bool = False


def render(
    kernels: Any,
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    colors: Tensor | tuple[Tensor, Tensor],
    viewmats: Tensor,
    Ks: Tensor,
    sh_degree: int | None,
    backgrounds: Tensor | None,
    settings: Settings,
    room: int | None = None,
) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """Image, alpha and meta dictionary, as `gaussians.raster.rasterize` returns them.

    Args:
        kernels: gsplat's compiled module.
        means, quats, scales, opacities, colors, viewmats, Ks, sh_degree, backgrounds: as there; checked.
        settings: of the render.
        room: for so many intersections of Gaussians and tiles, of one camera; then nothing waits for the GPU,
            and meta["total"] is the count of those there are. None: for all.
    """
    means, viewmats = means.contiguous(), viewmats.contiguous()
    radii, means2d, depths, conics = _Project.apply(
        kernels,
        means,
        quats.contiguous(),
        scales.contiguous(),
        opacities,
        viewmats,
        Ks.contiguous(),
        settings,
    )
    if sh_degree is not None:
        colors = _view_colors(means, colors, viewmats, radii, sh_degree)
    columns, rows = -(-settings.width // TILE_SIZE), -(-settings.height // TILE_SIZE)
    cameras = len(viewmats)
    inside = None
    with torch.no_grad():
        if room is None:
            tiles_per_gauss, isect_ids, flatten_ids = kernels.intersect_tile(
                means2d, radii, depths, None, None, cameras, TILE_SIZE, columns, rows, True, False
            )
            offsets = kernels.intersect_offset(isect_ids, cameras, columns, rows)
            found = {"tiles_per_gauss": tiles_per_gauss, "isect_ids": isect_ids}
        else:
            offsets, flatten_ids, inside, total = intersections(means2d, radii, depths, columns, rows, room)
            found = {"total": total}
    image, alpha = _Blend.apply(
        kernels, means2d, conics, colors, opacities, backgrounds, inside, offsets, flatten_ids, settings
    )
    return image, alpha, {
        "radii": radii,
        "means2d": means2d,
        "depths": depths,
        "conics": conics,
        "opacities": opacities.expand(cameras, -1),
        **found,
        "flatten_ids": flatten_ids,
        "isect_offsets": offsets,
        "width": settings.width,
        "height": settings.height,
        "tile_size": TILE_SIZE,
        "tile_width": columns,
        "tile_height": rows,
        "n_cameras": cameras,
        "gaussian_ids": None,
        "camera_ids": None,
    }  # fmt: skip


def project(
    kernels: Any,
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    viewmats: Tensor,
    Ks: Tensor,
    settings: Settings,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Radii [C, N, 2], centres [C, N, 2], depths [C, N] and conics [C, N, 3], without gradients."""
    radii, means2d, depths, conics, _ = kernels.projection_ewa_3dgs_fused_fwd(
        means, None, quats, scales, opacities.contiguous(), viewmats, Ks, settings.width, settings.height,
        settings.eps2d, settings.near_plane, settings.far_plane, 0.0, False, kernels.PINHOLE,
    )  # fmt: skip
    return radii, means2d, depths, conics


class _Project(torch.autograd.Function):
    """`project` with gradients; none by opacities."""

    @staticmethod
    def forward(
        ctx: Any,
        kernels: Any,
        means: Tensor,
        quats: Tensor,
        scales: Tensor,
        opacities: Tensor,
        viewmats: Tensor,
        Ks: Tensor,
        settings: Settings,
    ) -> tuple[Tensor, ...]:
        radii, means2d, depths, conics = project(
            kernels, means, quats, scales, opacities, viewmats, Ks, settings
        )
        ctx.save_for_backward(means, quats, scales, viewmats, Ks, radii, conics)
        ctx.kernels, ctx.settings = kernels, settings
        ctx.mark_non_differentiable(radii)
        ctx.set_materialize_grads(False)
        return radii, means2d, depths, conics

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor | None) -> tuple[Tensor | None, ...]:
        means, quats, scales, viewmats, Ks, radii, conics = ctx.saved_tensors
        v_means2d, v_depths, v_conics = (
            conics.new_zeros(*radii.shape[:2], *wide) if v is None else v.contiguous()
            for v, wide in zip(grad_outputs[1:], ((2,), (), (3,)), strict=True)
        )
        v_means, _, v_quats, v_scales, _ = ctx.kernels.projection_ewa_3dgs_fused_bwd(
            means, None, quats, scales, viewmats, Ks, ctx.settings.width, ctx.settings.height,
            ctx.settings.eps2d, ctx.kernels.PINHOLE, radii, conics, None,
            v_means2d, v_depths, v_conics, None, False,
        )  # fmt: skip
        return None, v_means, v_quats, v_scales, None, None, None, None


class _Blend(torch.autograd.Function):
    """Image [C, H, W, D] and alpha [C, H, W, 1]; opacities [N], colours [N, D] are those of all cameras."""

    @staticmethod
    def forward(
        ctx: Any,
        kernels: Any,
        means2d: Tensor,
        conics: Tensor,
        colors: Tensor,
        opacities: Tensor,
        backgrounds: Tensor | None,
        inside: Tensor | None,
        offsets: Tensor,
        flatten_ids: Tensor,
        settings: Settings,
    ) -> tuple[Tensor, Tensor]:
        cameras = len(means2d)
        spread = opacities.expand(cameras, -1).contiguous()
        seen = (colors if colors.dim() == 3 else colors.expand(cameras, -1, -1)).contiguous()
        behind = None if backgrounds is None else backgrounds.contiguous()
        drawn = (means2d, conics, seen, spread, behind, inside)
        image, alpha, last = kernels.rasterize_to_pixels_3dgs_fwd(
            *drawn, settings.width, settings.height, TILE_SIZE, offsets, flatten_ids
        )
        ctx.save_for_backward(*drawn, offsets, flatten_ids, alpha, last)
        ctx.kernels, ctx.settings, ctx.colors_of_all = kernels, settings, colors.dim() == 2
        ctx.set_materialize_grads(False)
        return image, alpha

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor | None) -> tuple[Tensor | None, ...]:
        *drawn, offsets, flatten_ids, alpha, last = ctx.saved_tensors
        means2d, _, colors, *_ = drawn
        v_image, v_alpha = grad_outputs
        v_alpha = torch.zeros_like(alpha) if v_alpha is None else v_alpha.contiguous()
        v_image = (
            alpha.new_zeros(*alpha.shape[:3], colors.shape[-1]) if v_image is None else v_image.contiguous()
        )
        settings = ctx.settings
        v_absolute, v_means2d, v_conics, v_colors, v_opacities = ctx.kernels.rasterize_to_pixels_3dgs_bwd(
            *drawn, settings.width, settings.height, TILE_SIZE,
            offsets, flatten_ids, alpha, last, v_image, v_alpha, settings.absgrad,
        )  # fmt: skip
        if settings.absgrad:
            means2d.absgrad = v_absolute
        v_backgrounds = (v_image * (1 - alpha)).sum(dim=(1, 2)) if ctx.needs_input_grad[5] else None
        if ctx.colors_of_all:
            v_colors = _over_cameras(v_colors)
        return None, v_means2d, v_conics, v_colors, _over_cameras(v_opacities), v_backgrounds, *[None] * 4


def _over_cameras(gradient: Tensor) -> Tensor:
    """The sum over the first of its dimensions; of a single camera without a copy."""
    return gradient[0] if len(gradient) == 1 else gradient.sum(dim=0)


def _view_colors(
    means: Tensor, colors: Tensor | tuple[Tensor, Tensor], viewmats: Tensor, radii: Tensor, degree: int
) -> Tensor:
    """[C, N, 3] colours of harmonics; of what a camera does not see, anything."""
    fused = _harmonics(means.device)
    if fused is None:
        return _gsplats_colors(means, colors, viewmats, radii, degree)
    first, others = (colors[:, :1], colors[:, 1:]) if isinstance(colors, Tensor) else colors
    return fused.Harmonics.apply(means, _rows_apart(first), _rows_apart(others), viewmats, radii, degree)


def _rows_apart(coefficients: Tensor) -> Tensor:
    """The same, of rows [K, 3] that are contiguous each."""
    return coefficients if coefficients.stride()[1:] == (3, 1) else coefficients.contiguous()


def _gsplats_colors(
    means: Tensor, colors: Tensor | tuple[Tensor, Tensor], viewmats: Tensor, radii: Tensor, degree: int
) -> Tensor:
    """The same by gsplat's kernels."""
    from gsplat import spherical_harmonics

    whole = colors if isinstance(colors, Tensor) else torch.cat(colors, dim=1)
    centres = _centres(viewmats)[:, None]
    seen = (radii > 0).all(dim=-1)
    spread = whole.expand(len(viewmats), -1, -1, -1)
    return (spherical_harmonics(degree, means - centres, spread, masks=seen) + 0.5).clamp_min(0)


def _centres(viewmats: Tensor) -> Tensor:
    """[C, 3] where cameras [C, 4, 4] are, -A⁻¹ t, by the cofactors of A, whatever A is.

    Not by torch.linalg, whose inverse waits for the GPU, or can't be recorded in a CUDA graph.
    """
    rows, shifts = viewmats[:, :3, :3], viewmats[:, :3, 3:]
    cofactors = torch.linalg.cross(rows.roll(-1, dims=1), rows.roll(-2, dims=1))
    determinants = (rows[:, 0] * cofactors[:, 0]).sum(dim=-1, keepdim=True)
    return -(shifts * cofactors).sum(dim=1) / determinants


@functools.cache
def _harmonics(device: torch.device) -> ModuleType | None:
    """The fused kernels for a GPU; None where there are none."""
    return triton_kernels(
        "gaussians.raster.harmonics_triton", device, "colours by gsplat's kernels instead of one of our own"
    )
