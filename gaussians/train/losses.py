"""The colour loss of 3DGS: (1 - w) L1 + w (1 - SSIM), against one target or several at once.

SSIM is that of Wang et al. 2004 with the 11 x 11 Gaussian window, σ = 1.5, C₁ = 0.01², C₂ = 0.03², images
padded with zeros, averaged over pixels and channels. In float32 value and gradient come from one run of fused
kernels, on the CPU (ssim_kernels) and on CUDA where there is Triton (ssim_triton); elsewhere, and as the
oracle of the tests, from plain PyTorch. On CUDA no way waits for the GPU.
"""

import functools
from collections.abc import Sequence

import torch
from torch import Tensor

from gaussians.train.fused_loss import FusedColorLoss
from gaussians.train.plain_loss import ColorLoss, check_shapes, plain_color_losses
from gaussians.triton_kernels import triton_kernels


def color_loss(
    rendered: Tensor, target: Tensor, ssim_weight: float = 0.2, mask: Tensor | None = None
) -> ColorLoss:
    """The loss against one target; see `color_losses`."""
    loss = color_losses(rendered, [target], [1.0], ssim_weight, mask)
    return ColorLoss(loss.total, loss.l1[0], loss.dssim[0])


def color_losses(
    rendered: Tensor,
    targets: Sequence[Tensor],
    weights: Sequence[float],
    ssim_weight: float | Sequence[float] = 0.2,
    mask: Tensor | None = None,
) -> ColorLoss:
    """Σ weight ((1 - ssim_weight) L1 + ssim_weight (1 - SSIM)) over several targets of one rendered image.

    Pixels outside the mask count in no mean and get no gradient: there, the rendered image is taken to be the
    target. With no pixel left everything is 0.

    Args:
        rendered: [H, W, 3] float; its gradient is that of `total`.
        targets: T of [H, W, 3], float in [0, 1] or uint8.
        weights: of each target.
        ssim_weight: share of D-SSIM, 0 to 1; of all targets or of each.
        mask: [H, W] bool, True where the pixel counts; None: everywhere.

    Raises:
        ValueError: shapes that do not fit together.
    """
    mixes = [ssim_weight] * len(targets) if isinstance(ssim_weight, int | float) else list(ssim_weight)
    fused = _fused_loss(rendered.device) if rendered.dtype == torch.float32 else None
    if fused is not FusedColorLoss:  # which looks for itself
        check_shapes(rendered, targets, weights, mask)
    if fused is None:
        return plain_color_losses(rendered, targets, weights, mixes, mask)
    total, l1, dssim = fused.apply(rendered, targets, weights, mixes, mask)
    return ColorLoss(total, l1, dssim)


@functools.cache
def _fused_loss(device: torch.device) -> type[torch.autograd.Function] | None:
    """The fused kernels for a device; None where there are none."""
    if device.type == "cpu":
        return FusedColorLoss
    kernels = triton_kernels("gaussians.train.ssim_triton", device, "colour loss without its fused kernels")
    return None if kernels is None else kernels.TritonColorLoss
