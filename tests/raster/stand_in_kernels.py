"""gsplat's compiled module, played on the CPU, after the CUDA sources; blending is in stand_in_blending.py.

With this in the place of `gsplat.cuda._backend._C`, gsplat's own Python runs from `rasterization` down. What
gsplat leaves uninitialised is NaN here. Projection and harmonics come from gsplat's own PyTorch versions.
"""

import math
from typing import Any

import numpy as np
import torch
from gsplat.cuda._torch_impl import (
    _fully_fused_projection,
    _quat_scale_to_covar_preci,
    _spherical_harmonics,
)
from torch import Tensor

from .stand_in_blending import (
    ALPHA_MIN,
    check,
    rasterize_to_indices_3dgs,
    rasterize_to_pixels_3dgs_bwd,
    rasterize_to_pixels_3dgs_fwd,
)

__all__ = ["rasterize_to_indices_3dgs", "rasterize_to_pixels_3dgs_bwd", "rasterize_to_pixels_3dgs_fwd"]

# gsplat asks for the camera model under both names.
CameraModelType = None
PINHOLE = 0


def _project(means: Tensor, quats: Tensor, scales: Tensor, viewmats: Tensor, Ks: Tensor, *rest: Any) -> Any:
    covars, _ = _quat_scale_to_covar_preci(quats, scales, compute_preci=False)
    assert covars is not None
    width, height, eps2d = rest
    return _fully_fused_projection(means, covars, viewmats, Ks, width, height, eps2d)[1:4]


def _box(mean2d: Any, depth: float, conic: Any, opacity: float, size: tuple[int, int], planes: Any) -> Any:
    """The opacity-aware half-sizes, or (0, 0)."""
    xx, xy, yy = (float(entry) for entry in conic)
    det = xx * yy - xy * xy
    if not (planes[0] <= depth <= planes[1] and det > 0 and opacity >= ALPHA_MIN):
        return 0, 0
    extend = min(3.33, math.sqrt(2 * math.log(opacity * 255)))
    radii = [math.ceil(extend * math.sqrt(variance / det)) for variance in (yy, xx)]
    for centre, radius, pixels in zip(mean2d.tolist(), radii, size, strict=True):
        if centre + radius <= 0 or centre - radius >= pixels:
            return 0, 0
    return tuple(radii)


def projection_ewa_3dgs_fused_fwd(
    means: Tensor, covars: None, quats: Tensor, scales: Tensor, opacities: Tensor, viewmats: Tensor,
    Ks: Tensor, width: int, height: int, eps2d: float, near: float, far: float, radius_clip: float,
    compensates: bool, model: Any,
) -> tuple[Tensor, Tensor, Tensor, Tensor, None]:  # fmt: skip
    assert covars is None
    assert radius_clip == 0
    assert (compensates, model) == (False, PINHOLE)
    check(torch.float32, means, quats, scales, opacities, viewmats, Ks)
    means2d, depths, conics = _project(means, quats, scales, viewmats, Ks, width, height, eps2d)
    radii = torch.zeros(*depths.shape, 2, dtype=torch.int32)
    for index in np.ndindex(*depths.shape):
        opacity = float(opacities[index[-1]])
        radii[index] = torch.tensor(
            _box(means2d[index], float(depths[index]), conics[index], opacity, (width, height), (near, far))
        )
    culled = (radii == 0).any(dim=-1)
    for garbage in (means2d, depths, conics):
        garbage[culled] = math.nan
    means2d, depths, conics = (tensor.contiguous() for tensor in (means2d, depths, conics))
    return radii, means2d, depths, conics, None


def projection_ewa_3dgs_fused_bwd(
    means: Tensor, covars: None, quats: Tensor, scales: Tensor, viewmats: Tensor, Ks: Tensor,
    width: int, height: int, eps2d: float, model: Any, radii: Tensor, conics: Tensor, compensations: None,
    v_means2d: Tensor, v_depths: Tensor, v_conics: Tensor, v_compensations: None, viewmats_grad: bool,
) -> tuple[Tensor | None, ...]:  # fmt: skip
    check(torch.float32, means, quats, scales, viewmats, Ks, conics, v_means2d, v_depths, v_conics)
    check(torch.int32, radii)
    visible = (radii > 0).all(dim=-1)
    with torch.enable_grad():
        leaves = [tensor.detach().requires_grad_() for tensor in (means, quats, scales)]
        outputs = _project(*leaves, viewmats, Ks, width, height, eps2d)
        v_mean, v_quat, v_scale = torch.autograd.grad(
            [output[visible] for output in outputs],
            leaves,
            [v[visible] for v in (v_means2d, v_depths, v_conics)],
        )
    assert not viewmats_grad
    return v_mean, None, v_quat, v_scale, None


def projection_ewa_3dgs_packed_fwd(means: Tensor, *arguments: Any) -> tuple[Tensor | None, ...]:
    *whole, _ = projection_ewa_3dgs_fused_fwd(means, *arguments)
    visible = (whole[0] > 0).all(dim=-1)
    cameras, gaussians = torch.where(visible)
    packed = [values[visible] for values in whole]
    return torch.zeros(0), torch.zeros_like(cameras), cameras, gaussians, *packed, None


def projection_ewa_3dgs_packed_bwd(
    means: Tensor, covars: None, quats: Tensor, scales: Tensor, viewmats: Tensor, Ks: Tensor,
    width: int, height: int, eps2d: float, model: Any, batches: Tensor, cameras: Tensor, gaussians: Tensor,
    conics: Tensor, compensations: None, v_means2d: Tensor, v_depths: Tensor, v_conics: Tensor, *rest: Any,
) -> tuple[Tensor | None, ...]:  # fmt: skip
    def unpack(values: Tensor) -> Tensor:
        full = values.new_zeros(len(viewmats), len(means), *values.shape[1:])
        return full.index_put((cameras, gaussians), values)

    radii = unpack(torch.ones(len(cameras), 2, dtype=torch.int32))
    return projection_ewa_3dgs_fused_bwd(
        means, covars, quats, scales, viewmats, Ks, width, height, eps2d, model, radii, conics, compensations,
        unpack(v_means2d), unpack(v_depths), unpack(v_conics), None, rest[1],
    )  # fmt: skip


def spherical_harmonics_fwd(degree: int, dirs: Tensor, coeffs: Tensor, masks: Tensor) -> Tensor:
    check(torch.float32, dirs, coeffs)
    check(torch.bool, masks)
    return torch.where(masks[..., None], _spherical_harmonics(degree, dirs, coeffs), math.nan)


def spherical_harmonics_bwd(
    bases: int, degree: int, dirs: Tensor, coeffs: Tensor, masks: Tensor, v_colors: Tensor, v_dirs_too: bool
) -> tuple[Tensor, Tensor | None]:
    check(torch.float32, dirs, coeffs, v_colors)
    check(torch.bool, masks)
    with torch.enable_grad():
        leaves = [tensor.detach().requires_grad_() for tensor in (dirs, coeffs)]
        colors = _spherical_harmonics(degree, *leaves)
        v_dirs, v_coeffs = torch.autograd.grad((colors * v_colors)[masks].sum(), leaves, allow_unused=True)
    return v_coeffs, torch.zeros_like(dirs) if v_dirs is None else v_dirs


def intersect_tile(
    means2d: Tensor, radii: Tensor, depths: Tensor, image_ids: Tensor | None, gaussian_ids: Tensor | None,
    images: int, size: int, tile_width: int, tile_height: int, sort: bool, segmented: bool,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    check(torch.float32, means2d, depths)
    check(torch.int32, radii)
    n = means2d.shape[-2]
    found = []
    for flat, (centre, radius) in enumerate(
        zip(means2d.reshape(-1, 2).tolist(), radii.reshape(-1, 2).tolist(), strict=True)
    ):
        if min(radius) <= 0:
            continue
        image = flat // n if image_ids is None else int(image_ids[flat])
        (x0, x1), (y0, y1) = (
            (
                min(max(0, math.floor((c - r) / size)), tiles),
                min(max(0, math.ceil((c + r) / size)), tiles),
            )
            for c, r, tiles in zip(centre, radius, (tile_width, tile_height), strict=True)
        )
        depth = float(depths.reshape(-1)[flat])
        found += [(image, y * tile_width + x, depth, flat) for y in range(y0, y1) for x in range(x0, x1)]
    found.sort()
    # The order is all that gsplat's Python reads from the ids.
    ids = torch.tensor([image * tile_width * tile_height + tile for image, tile, _, _ in found])
    flatten_ids = torch.tensor([flat for *_, flat in found], dtype=torch.int32)
    return torch.zeros_like(depths, dtype=torch.int32), ids.long(), flatten_ids


def intersect_offset(isect_ids: Tensor, images: int, tile_width: int, tile_height: int) -> Tensor:
    check(torch.int64, isect_ids)
    offsets = torch.searchsorted(isect_ids, torch.arange(images * tile_height * tile_width))
    return offsets.to(torch.int32).reshape(images, tile_height, tile_width)
