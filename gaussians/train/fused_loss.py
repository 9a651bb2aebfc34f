"""The colour loss on the CPU: what the kernels of ssim_kernels need, and what they say, as a loss."""

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
from gaussians.train import ssim_kernels as kernels
from gaussians.train.plain_loss import ColorLoss, check_shapes

_NO_MASK = np.empty((0, 0), np.float32)


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
        check_shapes(rendered, targets, weights, mask)
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


class FusedColorLoss(torch.autograd.Function):
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
        """Total, L1 and D-SSIM, as `color_losses` has them, with a mix for each target."""
        image = rendered.detach().contiguous().numpy()
        fused = Fused.of(image, targets, weights, mixes, mask)
        if ctx.needs_input_grad[0]:
            ctx.save_for_backward(torch.from_numpy(fused.gradient))
        total, l1, dssim = fused.values()
        ctx.mark_non_differentiable(l1, dssim)
        return total, l1, dssim

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        """The image's gradient by that of the total."""
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
