"""Fused L1 and SSIM on CUDA: both means, and the gradient image of the weighted loss, in four passes.

Formulas and layout are those of ssim_kernels: images are rows of interleaved floats [H, 3 W]; each blur of
the separable window is a pass along rows and one across them, which is fused with what consumes it. A program
takes a piece of one row.

Nothing here waits for the GPU: how many pixels count stays there, and weights are kernel arguments. Sums are
made in a fixed order, without atomics, so that results repeat to the bit. Import where Triton is installed
only: torch brings it on Linux.
"""

# pyright: reportMissingImports=false
# (Triton exists for Linux only.)

from collections.abc import Sequence
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from gaussians.train import blur_kernels, ssim_lane_kernels

BLOCK = tl.constexpr(256)  # floats of a row that a program takes
# Else Triton would compile each kernel anew for sizes of 1 and for multiples of 16.
_SIZES = ("height", "width")
_TAPS = tl.constexpr(2 * blur_kernels.RADIUS + 1)
_RADIUS = tl.constexpr(blur_kernels.RADIUS)
_STATISTICS = tl.constexpr(ssim_lane_kernels.STATISTICS)
_WINDOW = tl.constexpr(tuple(blur_kernels.gaussian_window().tolist()))
_C1 = tl.constexpr(float(ssim_lane_kernels.C1))
_C2 = tl.constexpr(float(ssim_lane_kernels.C2))


class TritonColorLoss(torch.autograd.Function):
    """`color_losses` for float32 on CUDA: (total, l1, dssim), of which only the total has a gradient.

    The forward keeps the gradient image, so that the backward only scales it.
    """

    @staticmethod
    def forward(
        ctx: Any,
        rendered: Tensor,
        targets: Sequence[Tensor],
        weights: Sequence[float],
        mixes: Sequence[float],
        mask: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """As `color_losses`, with a share of D-SSIM for each target."""
        height, width, _ = rendered.shape
        # The kernels make means where it is known of how many; else sums, and the GPU counts.
        share = 1 / (3 * height * width) if mask is None else 1.0
        # Floats, as Triton would compile a kernel anew for the whole number 1.
        by_l1 = tuple(float(share * weight * (1 - mix)) for weight, mix in zip(weights, mixes, strict=True))
        by_dssim = tuple(float(share * weight * mix) for weight, mix in zip(weights, mixes, strict=True))
        with torch.cuda.device_of(rendered):  # Triton launches on the current one
            sums, gradient = _sums_and_gradient(
                rendered.detach().contiguous(),
                tuple(target.detach().contiguous() for target in targets),
                None if mask is None else mask.contiguous().view(torch.uint8),
                (by_l1, by_dssim),
                share,
                ctx.needs_input_grad[0],
            )
        ctx.count = None
        if mask is not None:
            ctx.count = (3 * mask.sum()).clamp(min=1)  # as sums over no pixel are 0
            sums = sums / ctx.count
        if gradient is not None:
            ctx.save_for_backward(gradient)
        total, l1, dssim = sums.split([1, len(targets), len(targets)])
        ctx.mark_non_differentiable(l1, dssim)
        return total[0], l1, dssim

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        """The kept gradient image, scaled."""
        (gradient,) = ctx.saved_tensors
        slope = grad_outputs[0] if ctx.count is None else grad_outputs[0] / ctx.count
        return gradient * slope, None, None, None, None


def probe(device: torch.device) -> None:
    """Compile and run all kernels on a pixel; raises whatever Triton, compilers and drivers do."""
    pixel = torch.zeros(1, 1, 3, device=device)
    photo, mask = pixel.to(torch.uint8), torch.ones(1, 1, dtype=torch.uint8, device=device)
    with torch.cuda.device_of(pixel):
        for counted in (None, mask):
            _sums_and_gradient(pixel, (photo,), counted, ((1.0,), (1.0,)), 1.0, wants_gradient=True)


def _sums_and_gradient(
    rendered: Tensor,
    targets: tuple[Tensor, ...],
    counted: Tensor | None,
    weights: tuple[tuple[float, ...], tuple[float, ...]],
    share: float,
    wants_gradient: bool,
) -> tuple[Tensor, Tensor | None]:
    """Run the passes.

    Args:
        rendered: [H, W, 3] float32.
        targets: T of [H, W, 3], float or uint8.
        counted: [H, W] uint8, not 0 where the pixel counts; None: everywhere.
        weights: ([T], [T]) of each target's Σ|x - y|, and of its Σ(1 - SSIM).
        share: of these sums that is returned; not of the weighted one.
        wants_gradient: of the rendered image.

    Returns:
        [1 + 2 T] the weighted sum of all, Σ|x - y| of each target, Σ(1 - SSIM) of each, both times the share;
        and [H, W, 3] the gradient of the first, None if it isn't wanted.
    """
    height, width, _ = rendered.shape
    blocks = -(-3 * width // BLOCK.value)
    grid, size = (height, blocks), (height, width)
    planes = rendered.new_empty(len(targets), ssim_lane_kernels.STATISTICS, height, 3 * width)
    partials = rendered.new_empty(1 + 2 * len(targets), height * blocks)
    blur_statistics[grid](rendered, targets, counted, planes, *size)
    slopes = rendered.new_empty(2 + len(targets), height, 3 * width) if wants_gradient else None
    compare[grid](rendered, targets, counted, planes, *weights, share, slopes, partials, *size)
    if slopes is None:
        return partials.sum(dim=1), None
    blurred, gradient = torch.empty_like(slopes), torch.empty_like(rendered)
    blur_rows[(len(slopes) * height, blocks)](slopes, blurred, width)
    gradient_image[grid](rendered, targets, counted, blurred, weights[0], gradient, *size)
    return partials.sum(dim=1), gradient


@triton.jit
def _columns():
    """The floats of a row that this program takes."""
    return tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)


@triton.jit
def _at(planes, index, y, columns, height, width):
    """Where floats of a plane's row lie. `y` has 64 bits: all planes may have more than 2³¹ floats."""
    return planes + (index * height + y) * (3 * width) + columns


@triton.jit
def _target(target, y, columns, inside, width):
    """Values of a target's row as float32: 8 bits are 255ths."""
    value = tl.load(target + y * (3 * width) + columns, mask=inside, other=0)
    return value.to(tl.float32) / 255 if value.dtype.is_int() else value.to(tl.float32)


@triton.jit
def _counts(counted, y, columns, inside, width):
    """Whether the pixels of these floats count."""
    return tl.load(counted + y * width + columns // 3, mask=inside, other=0) != 0


@triton.jit
def _blurred(planes, index, y, columns, inside, height, width):
    """A plane's row blurred across rows; zeros beyond the image."""
    total = tl.zeros(columns.shape, tl.float32)
    for k in tl.static_range(_TAPS):
        row = y + (k - _RADIUS)
        there = inside & (row >= 0) & (row < height)
        total += _WINDOW[k] * tl.load(_at(planes, index, row, columns, height, width), mask=there, other=0)
    return total


@triton.jit(do_not_specialize=_SIZES)
def blur_statistics(rendered, targets, counted, planes, height, width):
    """Pass 1: μ, ν, q and r of each target, blurred along rows, into `planes` [T, 4, H, 3 W]."""
    y, columns = tl.program_id(0).to(tl.int64), _columns()
    inside = columns < 3 * width
    for t in tl.static_range(len(targets)):
        mu = tl.zeros([BLOCK], tl.float32)
        nu, q, r = mu, mu, mu
        for k in tl.static_range(_TAPS):
            at = columns + 3 * (k - _RADIUS)
            there = (at >= 0) & (at < 3 * width)
            target = _target(targets[t], y, at, there, width)
            image = tl.load(_at(rendered, 0, y, at, height, width), mask=there, other=0)
            if counted is not None:
                image = tl.where(_counts(counted, y, at, there, width), image, target)
            mu += _WINDOW[k] * image
            nu += _WINDOW[k] * target
            q += _WINDOW[k] * (image * image + target * target)
            r += _WINDOW[k] * (image * target)
        tl.store(_at(planes, t * _STATISTICS, y, columns, height, width), mu, mask=inside)
        tl.store(_at(planes, t * _STATISTICS + 1, y, columns, height, width), nu, mask=inside)
        tl.store(_at(planes, t * _STATISTICS + 2, y, columns, height, width), q, mask=inside)
        tl.store(_at(planes, t * _STATISTICS + 3, y, columns, height, width), r, mask=inside)


@triton.jit(do_not_specialize=_SIZES)
def compare(rendered, targets, counted, planes, by_l1, by_dssim, share, slopes, partials, height, width):
    """Pass 2: this program's part of each sum, into `partials` [1 + 2 T, programs]; and SSIM's slopes.

    The weighted slopes go into `slopes` [2 + T, H, 3 W], where there is one: by μ, by q, by r of each target.
    """
    y, columns = tl.program_id(0).to(tl.int64), _columns()
    inside = columns < 3 * width
    counts = inside
    if counted is not None:
        counts = _counts(counted, y, columns, inside, width)
    part = partials + y * tl.num_programs(1) + tl.program_id(1)
    parts = tl.num_programs(0) * tl.num_programs(1)
    image = tl.load(_at(rendered, 0, y, columns, height, width), mask=inside, other=0)
    total = tl.zeros([BLOCK], tl.float32)
    by_mu, by_q = total, total
    for t in tl.static_range(len(targets)):
        mu = _blurred(planes, t * _STATISTICS, y, columns, inside, height, width)
        nu = _blurred(planes, t * _STATISTICS + 1, y, columns, inside, height, width)
        q = _blurred(planes, t * _STATISTICS + 2, y, columns, inside, height, width)
        r = _blurred(planes, t * _STATISTICS + 3, y, columns, inside, height, width)
        means, both = mu * mu + nu * nu, mu * nu
        n1, n2 = 2 * both + _C1, 2 * (r - both) + _C2
        d1, d2 = means + _C1, q - means + _C2
        over = 1 / (d1 * d2)
        ssim = n1 * n2 * over
        distance = tl.abs(image - _target(targets[t], y, columns, inside, width))
        distance, unlikeness = tl.where(counts, distance, 0), tl.where(counts, 1 - ssim, 0)
        total += by_l1[t] * distance + by_dssim[t] * unlikeness
        tl.store(part + (1 + t) * parts, tl.sum(distance) * share)
        tl.store(part + (1 + len(targets) + t) * parts, tl.sum(unlikeness) * share)
        if slopes is not None:
            scaled = tl.where(counts, -by_dssim[t] * over, 0)
            # 1/d₂ = d₁ over and 1/d₁ = d₂ over: one division for all.
            by_mu += 2 * scaled * (nu * (n2 - n1) + mu * ssim * (d1 - d2))
            by_q -= scaled * ssim * d1
            tl.store(_at(slopes, 2 + t, y, columns, height, width), 2 * scaled * n1, mask=inside)
    tl.store(part, tl.sum(total))
    if slopes is not None:
        tl.store(_at(slopes, 0, y, columns, height, width), by_mu, mask=inside)
        tl.store(_at(slopes, 1, y, columns, height, width), by_q, mask=inside)


@triton.jit(do_not_specialize=_SIZES[1:])
def blur_rows(planes, blurred, width):
    """Pass 3: the rows of all planes, [rows, 3 W], blurred along themselves."""
    y, columns = tl.program_id(0).to(tl.int64), _columns()
    inside = columns < 3 * width
    total = tl.zeros([BLOCK], tl.float32)
    for k in tl.static_range(_TAPS):
        at = columns + 3 * (k - _RADIUS)
        there = (at >= 0) & (at < 3 * width)
        total += _WINDOW[k] * tl.load(planes + y * (3 * width) + at, mask=there, other=0)
    tl.store(blurred + y * (3 * width) + columns, total, mask=inside)


@triton.jit(do_not_specialize=_SIZES)
def gradient_image(rendered, targets, counted, slopes, by_l1, gradient, height, width):
    """Pass 4: the weighted sum's gradient by the rendered image, from slopes that are blurred along rows."""
    y, columns = tl.program_id(0).to(tl.int64), _columns()
    inside = columns < 3 * width
    image = tl.load(_at(rendered, 0, y, columns, height, width), mask=inside, other=0)
    total = _blurred(slopes, 0, y, columns, inside, height, width)
    total += 2 * image * _blurred(slopes, 1, y, columns, inside, height, width)
    for t in tl.static_range(len(targets)):
        target = _target(targets[t], y, columns, inside, width)
        by_r = _blurred(slopes, 2 + t, y, columns, inside, height, width)
        sign = (image > target).to(tl.float32) - (image < target).to(tl.float32)
        total += target * by_r + by_l1[t] * sign
    if counted is not None:
        total = tl.where(_counts(counted, y, columns, inside, width), total, 0)
    tl.store(_at(gradient, 0, y, columns, height, width), total, mask=inside)
