"""The colour loss of 3DGS in plain PyTorch: what it is, and the oracle of the tests."""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own custom
from torch import Tensor

from gaussians.train import blur_kernels


class ColorLoss(NamedTuple):
    """A colour loss and what it is made of.

    Attributes:
        total: [] the weighted sum; the only part that has a gradient.
        l1: [T] mean absolute difference to each target; for `color_loss` [].
        dssim: [T] 1 - mean SSIM to each target, 0 to 2; for `color_loss` [].
    """

    total: Tensor
    l1: Tensor
    dssim: Tensor


def ssim(rendered: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """[] mean SSIM in plain PyTorch, differentiable, in the type of `rendered`; 1 where nothing counts."""
    target = _as_float(target, rendered.dtype)
    if mask is not None:
        rendered = torch.where(mask[..., None], rendered, target)
    x, y = (image.permute(2, 0, 1)[:, None] for image in (rendered, target))  # [3, 1, H, W]
    mu, nu = _blur(x), _blur(y)
    variances = _blur(x * x) - mu * mu + _blur(y * y) - nu * nu
    covariance = _blur(x * y) - mu * nu
    c1, c2 = 0.01**2, 0.03**2
    similarity = (2 * mu * nu + c1) * (2 * covariance + c2)
    similarity = similarity / ((mu * mu + nu * nu + c1) * (variances + c2))
    if mask is None:
        return similarity.mean()
    count = 3 * mask.sum()
    mean = (similarity * mask).sum() / count.clamp(min=1)
    return torch.where(count > 0, mean, torch.ones_like(mean))


def plain_color_losses(
    rendered: Tensor,
    targets: Sequence[Tensor],
    weights: Sequence[float],
    mixes: Sequence[float],
    mask: Tensor | None,
) -> ColorLoss:
    """As `color_losses`, on any device and in any precision, by autograd."""
    total = rendered.new_zeros(())
    l1s, dssims = [], []
    for target, weight, mix in zip(targets, weights, mixes, strict=True):
        photo = _as_float(target, rendered.dtype)
        # Selected and not multiplied: what lies outside may be NaN.
        seen = rendered if mask is None else torch.where(mask[..., None], rendered, photo)
        count = rendered.numel() if mask is None else (3 * mask.sum()).clamp(min=1)
        l1 = (seen - photo).abs().sum() / count
        dssim = 1 - ssim(rendered, target, mask)
        total = total + weight * ((1 - mix) * l1 + mix * dssim)
        l1s.append(l1.detach())
        dssims.append(dssim.detach())
    return ColorLoss(total, torch.stack(l1s), torch.stack(dssims))


def check_shapes(
    rendered: Tensor | np.ndarray, targets: Sequence[Tensor], weights: Sequence[float], mask: Tensor | None
) -> None:
    """Raise ValueError where shapes do not fit together; arguments as for `color_losses`."""
    shapes = [tuple(target.shape) for target in targets]
    if rendered.ndim != 3 or rendered.shape[-1] != 3 or any(shape != rendered.shape for shape in shapes):
        raise ValueError(f"images must all be [H, W, 3]: rendered {tuple(rendered.shape)}, targets {shapes}")
    if not targets or len(weights) != len(targets):
        raise ValueError(f"{len(weights)} weights for {len(targets)} targets")
    if mask is not None and mask.shape != rendered.shape[:2]:
        raise ValueError(f"mask {tuple(mask.shape)} does not fit the image {tuple(rendered.shape)}")


def _blur(planes: Tensor) -> Tensor:
    """[C, 1, H, W] blurred by the SSIM window, zeros beyond the border."""
    window = _window(planes.dtype, planes.device)
    rows = F.conv2d(planes, window.view(1, 1, 1, -1), padding=(0, blur_kernels.RADIUS))
    return F.conv2d(rows, window.view(1, 1, -1, 1), padding=(blur_kernels.RADIUS, 0))


@functools.cache  # as a copy to a GPU would be waited for
def _window(dtype: torch.dtype, device: torch.device) -> Tensor:
    """[11] the SSIM window, as tensor."""
    return torch.as_tensor(blur_kernels.gaussian_window(), dtype=dtype, device=device)


def _as_float(image: Tensor, dtype: torch.dtype) -> Tensor:
    return image.to(dtype) if image.is_floating_point() else image.to(dtype) / 255
