"""Colours of spherical harmonics on CUDA, from two tensors of coefficients, with gradients: a launch each.

As fact 12 of `reference` has it. What gsplat's own way to the same colours does beside: put coefficients into
one tensor and take their gradient apart, invert a matrix, for which the host waits, and seven small launches.
Import where Triton is installed only: torch brings it on Linux.
"""

# pyright: reportMissingImports=false
# (Triton exists for Linux only.)

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK = tl.constexpr(128)  # Gaussians that a program takes
# Beside a tensor they stand on the right, else the interpreter makes constants of tensors.
_C0 = tl.constexpr(0.2820947917738781)
_C1 = tl.constexpr(0.48860251190292)
_C2 = tl.constexpr(1.0925484305920792)
_C3 = tl.constexpr(0.5900435899266435)
_C4 = tl.constexpr(1.445305721320277)


class Harmonics(torch.autograd.Function):
    """[C, N, 3] colours, not below 0; 0 for what a camera does not see, which has no gradient.

    Rows of the coefficients may lie apart; within a row, and all else, tensors are contiguous and float32.
    """

    @staticmethod
    def forward(
        ctx: Any, means: Tensor, first: Tensor, others: Tensor, viewmats: Tensor, radii: Tensor, degree: int
    ) -> Tensor:
        """Of centres [N, 3], coefficients [N, 1, 3] and [N, K - 1, 3], cameras [C, 4, 4], radii [C, N, 2]."""
        colors = means.new_empty(len(viewmats), len(means), 3)
        with torch.cuda.device_of(means):  # Triton launches on the current one
            view_colors[_grid(means, len(viewmats))](
                means, first, others, viewmats, radii, colors, len(means), first.stride(0), others.stride(0),
                degree=degree,  # pyright: ignore[reportArgumentType] - Triton makes it constexpr
            )  # fmt: skip
        ctx.save_for_backward(means, first, others, viewmats, radii, colors)
        ctx.degree = degree
        return colors

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        """By centres and coefficients."""
        means, first, others, viewmats, radii, colors = ctx.saved_tensors
        v_colors = grad_outputs[0].contiguous()
        v_means = torch.empty_like(means)
        v_first, v_others = (torch.empty(part.shape, device=means.device) for part in (first, others))
        with torch.cuda.device_of(means):
            for camera in range(len(viewmats)):
                gradient[_grid(means)](
                    means, first, others, viewmats[camera], radii[camera], colors[camera], v_colors[camera],
                    v_means, v_first, v_others, len(means), first.stride(0), others.stride(0),
                    degree=ctx.degree,
                    width=others.shape[1],
                    adds=camera > 0,  # pyright: ignore[reportArgumentType] - Triton makes them constexpr
                )  # fmt: skip
        return v_means, v_first, v_others, None, None, None


def probe(device: torch.device) -> None:
    """Compile and run the kernels on a Gaussian; raises whatever Triton, compilers and drivers do."""
    first = torch.zeros(1, 1, 3, device=device, requires_grad=True)
    others, radii = (
        torch.zeros(1, 15, 3, device=device),
        torch.ones(1, 1, 2, dtype=torch.int32, device=device),
    )
    viewmats = torch.eye(4, device=device)[None]
    colors = Harmonics.apply(torch.ones(1, 3, device=device), first, others, viewmats, radii, 3)
    torch.autograd.grad(colors.sum(), first)


def _grid(means: Tensor, cameras: int = 1) -> tuple[int, int]:
    return -(-len(means) // BLOCK.value), cameras


@triton.jit
def _direction(means, viewmat, at, inside):
    """From the camera's centre to the means: of length 1, and one over the length there was."""
    a, b, c, t0 = tl.load(viewmat), tl.load(viewmat + 1), tl.load(viewmat + 2), tl.load(viewmat + 3)
    d, e, f, t1 = tl.load(viewmat + 4), tl.load(viewmat + 5), tl.load(viewmat + 6), tl.load(viewmat + 7)
    g, h, i, t2 = tl.load(viewmat + 8), tl.load(viewmat + 9), tl.load(viewmat + 10), tl.load(viewmat + 11)
    # The centre is -A⁻¹ t, by A's cofactors, whatever A is.
    p, q, r = e * i - f * h, f * g - d * i, d * h - e * g
    over = 1 / (a * p + b * q + c * r)
    x = tl.load(means + 3 * at, mask=inside, other=0)
    y = tl.load(means + 3 * at + 1, mask=inside, other=0)
    z = tl.load(means + 3 * at + 2, mask=inside, other=0)
    x += over * (p * t0 + (c * h - b * i) * t1 + (b * f - c * e) * t2)
    y += over * (q * t0 + (a * i - c * g) * t1 + (c * d - a * f) * t2)
    z += over * (r * t0 + (b * g - a * h) * t1 + (a * e - b * d) * t2)
    shortening = tl.rsqrt(tl.maximum(x * x + y * y + z * z, 1e-24))
    return x * shortening, y * shortening, z * shortening, shortening


@triton.jit
def _seen(radii, row, inside):
    wide = tl.load(radii + 2 * row, mask=inside, other=0) > 0
    return wide & (tl.load(radii + 2 * row + 1, mask=inside, other=0) > 0)


@triton.jit
def _basis(k: tl.constexpr, x, y, z):
    """The k-th basis function, from 1 on, at a unit vector (Sloan, JCGT 2(2), 2013)."""
    if k == 1:
        return y * -_C1
    elif k == 2:
        return z * _C1
    elif k == 3:
        return x * -_C1
    elif k == 4:
        return x * y * _C2
    elif k == 5:
        return y * z * -_C2
    elif k == 6:
        return 0.9461746957575601 * z * z - 0.3153915652525201
    elif k == 7:
        return x * z * -_C2
    elif k == 8:
        return (x * x - y * y) * (0.5 * _C2)
    elif k == 9:
        return y * (3 * x * x - y * y) * -_C3
    elif k == 10:
        return x * y * z * (2 * _C4)
    elif k == 11:
        return (0.4570457994644658 - 2.285228997322329 * z * z) * y
    elif k == 12:
        return z * (1.865881662950577 * z * z - 1.119528997770346)
    elif k == 13:
        return (0.4570457994644658 - 2.285228997322329 * z * z) * x
    elif k == 14:
        return z * (x * x - y * y) * _C4
    else:
        return x * (x * x - 3 * y * y) * -_C3


@triton.jit
def _slope(k: tl.constexpr, x, y, z):
    """The gradient of `_basis` by x, y and z."""
    none = 0 * x
    if k == 1:
        return none, none - _C1, none
    elif k == 2:
        return none, none, none + _C1
    elif k == 3:
        return none - _C1, none, none
    elif k == 4:
        return y * _C2, x * _C2, none
    elif k == 5:
        return none, z * -_C2, y * -_C2
    elif k == 6:
        return none, none, 1.8923493915151202 * z
    elif k == 7:
        return z * -_C2, none, x * -_C2
    elif k == 8:
        return x * _C2, y * -_C2, none
    elif k == 9:
        return x * y * (-6 * _C3), (x * x - y * y) * (-3 * _C3), none
    elif k == 10:
        return y * z * (2 * _C4), x * z * (2 * _C4), x * y * (2 * _C4)
    elif k == 11:
        return none, 0.4570457994644658 - 2.285228997322329 * z * z, -4.570457994644658 * y * z
    elif k == 12:
        return none, none, 5.597644988851731 * z * z - 1.119528997770346
    elif k == 13:
        return 0.4570457994644658 - 2.285228997322329 * z * z, none, -4.570457994644658 * x * z
    elif k == 14:
        return x * z * (2 * _C4), y * z * (-2 * _C4), (x * x - y * y) * _C4
    else:
        return (x * x - y * y) * (-3 * _C3), x * y * (6 * _C3), none


# Else Triton would compile it anew for a single Gaussian and for multiples of 16.
@triton.jit(do_not_specialize=("n",))
def view_colors(
    means, first, others, viewmats, radii, colors, n, first_stride, others_stride, degree: tl.constexpr
):
    """A block of Gaussians as one camera sees them."""
    at, camera = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK), tl.program_id(1)
    inside = at < n
    row = camera.to(tl.int64) * n + at
    seen = _seen(radii, row, inside)
    x, y, z, _ = _direction(means, viewmats + 16 * camera, at, seen)
    start = first + at.to(tl.int64) * first_stride
    red = 0.5 + tl.load(start, mask=seen, other=0) * _C0
    green = 0.5 + tl.load(start + 1, mask=seen, other=0) * _C0
    blue = 0.5 + tl.load(start + 2, mask=seen, other=0) * _C0
    start = others + at.to(tl.int64) * others_stride
    for k in tl.static_range(1, (degree + 1) * (degree + 1)):
        basis = _basis(k, x, y, z)
        red += basis * tl.load(start + (3 * k - 3), mask=seen, other=0)
        green += basis * tl.load(start + (3 * k - 2), mask=seen, other=0)
        blue += basis * tl.load(start + (3 * k - 1), mask=seen, other=0)
    tl.store(colors + 3 * row, tl.where(seen, tl.maximum(red, 0), 0), mask=inside)
    tl.store(colors + 3 * row + 1, tl.where(seen, tl.maximum(green, 0), 0), mask=inside)
    tl.store(colors + 3 * row + 2, tl.where(seen, tl.maximum(blue, 0), 0), mask=inside)


@triton.jit
def _put(pointer, value, mask, adds: tl.constexpr):
    if adds:
        value += tl.load(pointer, mask=mask, other=0)
    tl.store(pointer, value, mask=mask)


@triton.jit
def _slope_of_color(colors, v_colors, at, seen):
    """None where the colour was held at 0."""
    v = tl.load(v_colors + at, mask=seen, other=0)
    return tl.where(tl.load(colors + at, mask=seen, other=0) > 0, v, 0)


@triton.jit(do_not_specialize=("n",))
def gradient(
    means, first, others, viewmat, radii, colors, v_colors, v_means, v_first, v_others,
    n, first_stride, others_stride, degree: tl.constexpr, width: tl.constexpr, adds: tl.constexpr,
):  # fmt: skip
    """A block of Gaussians' part of one camera, which `adds` to that of those before; all is written."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < n
    seen = _seen(radii, at, inside)
    x, y, z, shortening = _direction(means, viewmat, at, seen)
    red = _slope_of_color(colors, v_colors, 3 * at, seen)
    green = _slope_of_color(colors, v_colors, 3 * at + 1, seen)
    blue = _slope_of_color(colors, v_colors, 3 * at + 2, seen)
    _put(v_first + 3 * at, red * _C0, inside, adds)
    _put(v_first + 3 * at + 1, green * _C0, inside, adds)
    _put(v_first + 3 * at + 2, blue * _C0, inside, adds)
    start, end = others + at.to(tl.int64) * others_stride, v_others + at.to(tl.int64) * (3 * width)
    v_x = tl.zeros([BLOCK], tl.float32)
    v_y, v_z = v_x, v_x
    for k in tl.static_range(1, width + 1):
        if k < (degree + 1) * (degree + 1):
            basis = _basis(k, x, y, z)
            _put(end + (3 * k - 3), basis * red, inside, adds)
            _put(end + (3 * k - 2), basis * green, inside, adds)
            _put(end + (3 * k - 1), basis * blue, inside, adds)
            pull = red * tl.load(start + (3 * k - 3), mask=seen, other=0)
            pull += green * tl.load(start + (3 * k - 2), mask=seen, other=0)
            pull += blue * tl.load(start + (3 * k - 1), mask=seen, other=0)
            by_x, by_y, by_z = _slope(k, x, y, z)
            v_x += pull * by_x
            v_y += pull * by_y
            v_z += pull * by_z
        else:
            for channel in tl.static_range(3):
                _put(end + (3 * k - 3 + channel), tl.zeros([BLOCK], tl.float32), inside, adds)
    # Only what turns the direction counts, not what lengthens it.
    along = x * v_x + y * v_y + z * v_z
    _put(v_means + 3 * at, shortening * (v_x - along * x), inside, adds)
    _put(v_means + 3 * at + 1, shortening * (v_y - along * y), inside, adds)
    _put(v_means + 3 * at + 2, shortening * (v_z - along * z), inside, adds)
