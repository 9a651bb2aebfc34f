"""gsplat's compiled module, played on the CPU: loops over single pixels, after the CUDA sources.

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

# gsplat asks for the camera model under both names.
CameraModelType = None
PINHOLE = 0

_F = np.float32
_ALPHA_MIN = _F(1) / _F(255)


def _project(means: Tensor, quats: Tensor, scales: Tensor, viewmats: Tensor, Ks: Tensor, *rest: Any) -> Any:
    covars, _ = _quat_scale_to_covar_preci(quats, scales, compute_preci=False)
    assert covars is not None
    width, height, eps2d = rest
    return _fully_fused_projection(means, covars, viewmats, Ks, width, height, eps2d)[1:4]


def _box(mean2d: Any, depth: float, conic: Any, opacity: float, size: tuple[int, int], planes: Any) -> Any:
    """The opacity-aware half-sizes, or (0, 0)."""
    xx, xy, yy = (float(entry) for entry in conic)
    det = xx * yy - xy * xy
    if not (planes[0] <= depth <= planes[1] and det > 0 and opacity >= _ALPHA_MIN):
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
    _check(torch.float32, means, quats, scales, opacities, viewmats, Ks)
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
    _check(torch.float32, means, quats, scales, viewmats, Ks, conics, v_means2d, v_depths, v_conics)
    _check(torch.int32, radii)
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
    _check(torch.float32, dirs, coeffs)
    _check(torch.bool, masks)
    return torch.where(masks[..., None], _spherical_harmonics(degree, dirs, coeffs), math.nan)


def spherical_harmonics_bwd(
    bases: int, degree: int, dirs: Tensor, coeffs: Tensor, masks: Tensor, v_colors: Tensor, v_dirs_too: bool
) -> tuple[Tensor, Tensor | None]:
    _check(torch.float32, dirs, coeffs, v_colors)
    _check(torch.bool, masks)
    with torch.enable_grad():
        leaves = [tensor.detach().requires_grad_() for tensor in (dirs, coeffs)]
        colors = _spherical_harmonics(degree, *leaves)
        v_dirs, v_coeffs = torch.autograd.grad((colors * v_colors)[masks].sum(), leaves, allow_unused=True)
    return v_coeffs, torch.zeros_like(dirs) if v_dirs is None else v_dirs


def intersect_tile(
    means2d: Tensor, radii: Tensor, depths: Tensor, image_ids: Tensor | None, gaussian_ids: Tensor | None,
    images: int, size: int, tile_width: int, tile_height: int, sort: bool, segmented: bool,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    _check(torch.float32, means2d, depths)
    _check(torch.int32, radii)
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
    _check(torch.int64, isect_ids)
    offsets = torch.searchsorted(isect_ids, torch.arange(images * tile_height * tile_width))
    return offsets.to(torch.int32).reshape(images, tile_height, tile_width)


def _pixels(offsets: Tensor, ids: Tensor, width: int, height: int, size: int) -> Any:
    """(image, row, column, Gaussians front to back as positions in `ids`) of every pixel."""
    images, tile_height, tile_width = offsets.shape[-3:]
    ends = [*offsets.flatten().tolist()[1:], len(ids)]
    starts = offsets.flatten().tolist()
    for image, i, j in np.ndindex(images, height, width):
        tile = (image * tile_height + i // size) * tile_width + j // size
        yield image, i, j, range(starts[tile], ends[tile])


def _alpha(mean2d: Any, conic: Any, opacity: Any, i: int, j: int) -> tuple[Any, Any, Any, Any, bool]:
    """dx, dy, e^-σ, alpha, and whether it is drawn at all."""
    dx, dy = mean2d[0] - _F(j + 0.5), mean2d[1] - _F(i + 0.5)
    sigma = _F(0.5) * (conic[0] * dx * dx + conic[2] * dy * dy) + conic[1] * dx * dy
    falloff = np.exp(-sigma)
    alpha = min(_F(0.999), opacity * falloff)
    return dx, dy, falloff, alpha, bool(sigma >= 0 and alpha >= _ALPHA_MIN)


def _drawn(arrays: Any, ids: Any, positions: range, i: int, j: int) -> tuple[list[int], Any]:
    """Positions of the Gaussians that a pixel draws, and the transmittance behind them."""
    drawn, T = [], _F(1)
    for position in positions:
        g = ids[position]
        *_, alpha, seen = _alpha(arrays[0][g], arrays[1][g], arrays[2][g], i, j)
        if not seen:
            continue
        if T * (_F(1) - alpha) <= _F(1e-4):
            break
        T = T * (_F(1) - alpha)
        drawn.append(position)
    return drawn, T


def _arrays(*tensors: Tensor) -> list[np.ndarray]:
    _check(torch.float32, *tensors)
    widths = (2, 3, 1, tensors[-1].shape[-1])
    return [t.detach().numpy().reshape(-1, w) for t, w in zip(tensors, widths, strict=False)]


def rasterize_to_pixels_3dgs_fwd(
    means2d: Tensor, conics: Tensor, colors: Tensor, opacities: Tensor, backgrounds: Tensor | None,
    masks: Tensor | None, width: int, height: int, size: int, offsets: Tensor, flatten_ids: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    _check_tiles(backgrounds, masks, offsets, flatten_ids, height, size)
    *arrays, values = _arrays(means2d, conics, opacities, colors)
    arrays[2] = arrays[2][:, 0]
    images, ids = offsets.shape[0], flatten_ids.numpy()
    render = np.zeros((images, height, width, values.shape[1]), np.float32)
    alphas = np.zeros((images, height, width, 1), np.float32)
    last = np.zeros((images, height, width), np.int32)
    for image, i, j, positions in _pixels(offsets, flatten_ids, width, height, size):
        drawn, _ = _drawn(arrays, ids, positions, i, j)
        T = _F(1)
        for position in drawn:
            g = ids[position]
            alpha = _alpha(arrays[0][g], arrays[1][g], arrays[2][g], i, j)[3]
            render[image, i, j] += values[g] * (alpha * T)
            T = T * (_F(1) - alpha)
            last[image, i, j] = position
        alphas[image, i, j] = 1 - T
        if backgrounds is not None:
            render[image, i, j] += T * backgrounds[image].detach().numpy()
    return torch.from_numpy(render), torch.from_numpy(alphas), torch.from_numpy(last)


def rasterize_to_pixels_3dgs_bwd(
    means2d: Tensor, conics: Tensor, colors: Tensor, opacities: Tensor, backgrounds: Tensor | None,
    masks: Tensor | None, width: int, height: int, size: int, offsets: Tensor, flatten_ids: Tensor,
    alphas: Tensor, last: Tensor, v_render: Tensor, v_alphas: Tensor, absgrad: bool,
) -> tuple[Tensor | None, ...]:  # fmt: skip
    _check_tiles(backgrounds, masks, offsets, flatten_ids, height, size)
    _check(torch.float32, alphas, v_render, v_alphas)
    _check(torch.int32, last)
    *arrays, values = _arrays(means2d, conics, opacities, colors)
    arrays[2] = arrays[2][:, 0]
    ids = flatten_ids.numpy()
    v_means2d, v_abs, v_conics, v_values = (np.zeros_like(arrays[k]) for k in (0, 0, 1, 1))
    v_values, v_opacities = np.zeros_like(values), np.zeros_like(arrays[2])
    for image, i, j, positions in _pixels(offsets, flatten_ids, width, height, size):
        drawn, T = _drawn(arrays, ids, positions, i, j)
        v_pixel, v_last = v_render[image, i, j].numpy(), v_alphas[image, i, j, 0].item()
        if backgrounds is not None:
            v_last -= float(backgrounds[image].detach().numpy() @ v_pixel)
        T_last, behind = T, np.zeros_like(v_pixel)
        for position in reversed(drawn):
            g = ids[position]
            dx, dy, falloff, alpha, _ = _alpha(arrays[0][g], arrays[1][g], arrays[2][g], i, j)
            T = T / (1 - alpha)
            v_values[g] += alpha * T * v_pixel
            v_alpha = (values[g] * T - behind / (1 - alpha)) @ v_pixel + T_last / (1 - alpha) * v_last
            behind += values[g] * alpha * T
            if arrays[2][g] * falloff <= _F(0.999):
                v_sigma = -arrays[2][g] * falloff * v_alpha
                a, b, c = arrays[1][g]
                v_xy = np.array([v_sigma * (a * dx + b * dy), v_sigma * (b * dx + c * dy)])
                v_means2d[g] += v_xy
                v_abs[g] += np.abs(v_xy)
                v_conics[g] += v_sigma * np.array([0.5 * dx * dx, dx * dy, 0.5 * dy * dy])
                v_opacities[g] += falloff * v_alpha
    gradients = [
        torch.from_numpy(v).reshape(like.shape)
        for v, like in (
            (v_means2d, means2d), (v_conics, conics), (v_values, colors), (v_opacities, opacities)
        )
    ]  # fmt: skip
    return torch.from_numpy(v_abs).reshape(means2d.shape) if absgrad else None, *gradients


def rasterize_to_indices_3dgs(
    first: int, last: int, transmittances: Tensor, means2d: Tensor, conics: Tensor, opacities: Tensor,
    width: int, height: int, size: int, offsets: Tensor, flatten_ids: Tensor,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    assert first == 0
    assert 2**20 < last < 2**32
    assert bool((transmittances == 1).all())
    _check(torch.float32, transmittances)
    _check(torch.int32, offsets, flatten_ids)
    arrays = _arrays(means2d, conics, opacities)
    arrays[2] = arrays[2][:, 0]
    pairs = [
        (flatten_ids[position].item() % means2d.shape[-2], (image * height + i) * width + j)
        for image, i, j, positions in _pixels(offsets, flatten_ids, width, height, size)
        for position in _drawn(arrays, flatten_ids.numpy(), positions, i, j)[0]
    ]
    gaussians, pixels = zip(*pairs, strict=True) if pairs else ((), ())
    return torch.tensor(gaussians, dtype=torch.int64), torch.tensor(pixels, dtype=torch.int64)


def _check_tiles(
    backgrounds: Tensor | None, masks: Tensor | None, offsets: Tensor, flatten_ids: Tensor,
    height: int, size: int,
) -> None:  # fmt: skip
    """Only tiles below the image may be left out; where there are such, they must be."""
    _check(torch.int32, offsets, flatten_ids)
    if backgrounds is not None:
        _check(torch.float32, backgrounds)
    rows = torch.arange(offsets.shape[-2])[None, :, None].expand(offsets.shape)
    inside = rows * size < height
    if masks is None:
        assert bool(inside.all())
    else:
        _check(torch.bool, masks)
        assert torch.equal(masks, inside)


def _check(dtype: torch.dtype, *tensors: Tensor) -> None:
    """What gsplat's CHECK_INPUT, and the types of its kernels' pointers, ask of tensors."""
    for tensor in tensors:
        assert tensor.dtype == dtype
        assert tensor.is_contiguous()
