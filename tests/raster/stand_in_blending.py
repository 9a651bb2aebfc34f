"""Blending of gsplat's compiled module, played on the CPU, pixel by pixel, after the CUDA sources."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

_F = np.float32
ALPHA_MIN = _F(1) / _F(255)


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
    return dx, dy, falloff, alpha, bool(sigma >= 0 and alpha >= ALPHA_MIN)


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
    check(torch.float32, *tensors)
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
    check(torch.float32, alphas, v_render, v_alphas)
    check(torch.int32, last)
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
    check(torch.float32, transmittances)
    check(torch.int32, offsets, flatten_ids)
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
    check(torch.int32, offsets, flatten_ids)
    if backgrounds is not None:
        check(torch.float32, backgrounds)
    rows = torch.arange(offsets.shape[-2])[None, :, None].expand(offsets.shape)
    inside = rows * size < height
    if masks is None:
        assert bool(inside.all())
    else:
        check(torch.bool, masks)
        assert torch.equal(masks, inside)


def check(dtype: torch.dtype, *tensors: Tensor) -> None:
    """What gsplat's CHECK_INPUT, and the types of its kernels' pointers, ask of tensors."""
    for tensor in tensors:
        assert tensor.dtype == dtype
        assert tensor.is_contiguous()
