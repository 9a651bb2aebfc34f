"""The colour loss of 3DGS: (1 - w) L1 + w (1 - SSIM), against one target or several at once.

SSIM is that of Wang et al. 2004 with the 11 x 11 Gaussian window, σ = 1.5, C₁ = 0.01², C₂ = 0.03², images
padded with zeros, averaged over pixels and channels. In float32 value and gradient come from one run of fused
kernels, on the CPU (ssim_kernels) and on CUDA where there is Triton (ssim_triton); elsewhere, and as the
oracle of the tests, from plain PyTorch. On CUDA no way waits for the GPU.
"""

import functools
import math
import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own custom
from torch import Tensor

from gaussians.kernels import workers
from gaussians.train import blur_kernels
from gaussians.train import ssim_kernels as kernels
from gaussians.train.binning_kernels import as_floats
from gaussians.triton_kernels import triton_kernels

_NO_MASK = np.empty((0, 0), np.float32)


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
    if fused is not _FusedColorLoss:  # which looks for itself
        _check_shapes(rendered, targets, weights, mask)
    if fused is None:
        return plain_color_losses(rendered, targets, weights, mixes, mask)
    total, l1, dssim = fused.apply(rendered, targets, weights, mixes, mask)
    return ColorLoss(total, l1, dssim)


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


@functools.cache
def _fused_loss(device: torch.device) -> type[torch.autograd.Function] | None:
    """The fused kernels for a device; None where there are none."""
    if device.type == "cpu":
        return _FusedColorLoss
    kernels = triton_kernels("gaussians.train.ssim_triton", device, "colour loss without its fused kernels")
    return None if kernels is None else kernels.TritonColorLoss


class Fused(NamedTuple):
    """The colour loss on the CPU, by kernels that give its gradient at once.

    Attributes:
        gradient: [H, W, 3] that of the total by the rendered image.
        distances, similarities: [P, T, H] sums of |rendered - target| and of SSIM, by patches side by side,
            target and row.
        weights, mixes: [T] of each target.
        all_in_all: numbers of the image that count.
    """

    gradient: np.ndarray
    distances: np.ndarray
    similarities: np.ndarray
    weights: Sequence[float]
    mixes: Sequence[float]
    all_in_all: int

    @classmethod
    def of(
        cls,
        rendered: np.ndarray,
        targets: Sequence[Tensor],
        weights: Sequence[float],
        mixes: Sequence[float],
        mask: Tensor | None,
    ) -> "Fused":
        """Of a contiguous float32 image [H, W, 3]; else as for `color_losses`, with a mix for each target.

        Raises:
            ValueError: shapes that do not fit together.
        """
        _check_shapes(rendered, targets, weights, mask)
        height, width, _ = rendered.shape
        if 3 * width < kernels.NARROWEST:
            return cls._of_narrow(rendered, targets, weights, mixes, mask)
        image = rendered.reshape(height, 3 * width)
        stacked = _stacked_targets(targets, height, width)
        counted, count = _expanded_mask(mask, height, width)
        by_l1, by_ssim = _kernel_weights(tuple(weights), tuple(mixes), count)
        threads, columns = workers(), kernels.patch_columns(3 * width)
        across = -(-3 * width // columns)
        rows = kernels.patch_rows(max(height, 1), across, threads)
        distances, similarities = np.empty((2, across, len(targets), height), np.float32)
        gradient = torch.empty(height, width, 3).numpy()
        kernels.color_gradient(
            threads, rows, columns, image, stacked, counted, by_ssim, by_l1,
            gradient.reshape(height, 3 * width), distances, similarities,
        )  # fmt: skip
        return cls(gradient, distances, similarities, weights, mixes, count)

    @classmethod
    def _of_narrow(
        cls,
        rendered: np.ndarray,
        targets: Sequence[Tensor],
        weights: Sequence[float],
        mixes: Sequence[float],
        mask: Tensor | None,
    ) -> "Fused":
        """Of an image too narrow for the kernels: with zeros beside it, which its border is taken for."""
        height, width, _ = rendered.shape
        more = kernels.NARROWEST // 3 - width
        image = np.pad(rendered, ((0, 0), (0, more), (0, 0)))
        counted = torch.ones(height, width, dtype=torch.bool) if mask is None else mask
        fused = cls.of(
            image, [F.pad(target, (0, 0, 0, more)) for target in targets], weights, mixes,
            F.pad(counted, (0, more)),
        )  # fmt: skip
        return fused._replace(gradient=np.ascontiguousarray(fused.gradient[:, :width]))

    def values(self) -> ColorLoss:
        """The loss itself, without gradients."""
        l1 = self.distances.sum(axis=(0, 2), dtype=np.float64) / max(self.all_in_all, 1)
        dssim = np.zeros(len(l1))
        if self.all_in_all:
            dssim = 1 - self.similarities.sum(axis=(0, 2), dtype=np.float64) / self.all_in_all
        mixes = np.asarray(self.mixes, np.float64)
        total = float(np.dot(self.weights, (1 - mixes) * l1 + mixes * dssim))
        return ColorLoss(*(torch.tensor(value, dtype=torch.float32) for value in (total, l1, dssim)))


class _FusedColorLoss(torch.autograd.Function):
    """The kernels' loss; the forward keeps the gradient image, so that the backward only scales it."""

    @staticmethod
    def forward(
        ctx: Any,
        rendered: Tensor,
        targets: Sequence[Tensor],
        weights: Sequence[float],
        mixes: Sequence[float],
        mask: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        image = rendered.detach().contiguous().numpy()
        fused = Fused.of(image, targets, weights, mixes, mask)
        if ctx.needs_input_grad[0]:
            ctx.save_for_backward(torch.from_numpy(fused.gradient))
        total, l1, dssim = fused.values()
        ctx.mark_non_differentiable(l1, dssim)
        return total, l1, dssim

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors
        factor = float(grad_outputs[0])
        return gradient if factor == 1 else gradient * factor, None, None, None, None


class _Workspace(threading.local):
    """Float32 arrays kept from step to step, one set per thread; each grows to the largest asked for.

    Kernels may read somewhat beyond their ends.
    """

    def __init__(self) -> None:
        self._memory: dict[str, np.ndarray] = {}

    def array(self, name: str, *shape: int) -> np.ndarray:
        """An uninitialised array that is valid until the same name is asked for again."""
        size = math.prod(shape)
        if name not in self._memory or self._memory[name].size < size + kernels.BEYOND:
            self._memory[name] = np.empty(size + kernels.BEYOND, np.float32)
        return self._memory[name][:size].reshape(shape)


_workspace = _Workspace()


def _stacked_targets(targets: Sequence[Tensor], height: int, width: int) -> np.ndarray:
    """[T, H, 3 W] the targets, uint8 where all are, else float32; a single one is not copied."""
    first = targets[0]
    if len(targets) == 1 and first.dtype in (torch.uint8, torch.float32) and first.is_contiguous():
        return first.detach().numpy().reshape(1, height, 3 * width)
    if all(target.dtype == torch.uint8 for target in targets):
        stacked = np.stack([target.numpy() for target in targets])
        return stacked.reshape(len(targets), height, 3 * width)
    stacked = _workspace.array("targets", len(targets), height, 3 * width)
    for row, target in zip(stacked, targets, strict=True):
        if target.dtype == torch.uint8 and target.is_contiguous():
            as_floats(target.numpy().reshape(height, -1), row)
        else:
            floats = torch.from_numpy(row).view(height, width, 3).copy_(target)
            if not target.is_floating_point():
                floats.div_(255)
    return stacked


@functools.lru_cache(maxsize=64)
def _kernel_weights(
    weights: tuple[float, ...], mixes: tuple[float, ...], count: int
) -> tuple[np.ndarray, np.ndarray]:
    """[T] float32 of each target's L1 and SSIM. These are sums, so what their means divide by is in here."""
    share, mix = np.asarray(weights, np.float64) / max(count, 1), np.asarray(mixes, np.float64)
    return ((1 - mix) * share).astype(np.float32), (-mix * share).astype(np.float32)


def _expanded_mask(mask: Tensor | None, height: int, width: int) -> tuple[np.ndarray, int]:
    """The mask as [H, 3 W] float32, of no rows if there is none, and how many floats of the image count."""
    if mask is None:
        return _NO_MASK, 3 * height * width
    counted = _workspace.array("counted", height, width, 3)
    torch.from_numpy(counted).copy_(mask[..., None].expand(-1, -1, 3))
    return counted.reshape(height, 3 * width), 3 * int(mask.sum())


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


def _check_shapes(
    rendered: Tensor | np.ndarray, targets: Sequence[Tensor], weights: Sequence[float], mask: Tensor | None
) -> None:
    shapes = [tuple(target.shape) for target in targets]
    if rendered.ndim != 3 or rendered.shape[-1] != 3 or any(shape != rendered.shape for shape in shapes):
        raise ValueError(f"images must all be [H, W, 3]: rendered {tuple(rendered.shape)}, targets {shapes}")
    if not targets or len(weights) != len(targets):
        raise ValueError(f"{len(weights)} weights for {len(targets)} targets")
    if mask is not None and mask.shape != rendered.shape[:2]:
        raise ValueError(f"mask {tuple(mask.shape)} does not fit the image {tuple(rendered.shape)}")
