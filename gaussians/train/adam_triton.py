"""Adam's update of the visible rows on CUDA: one kernel a parameter, that reads and writes these rows only.

The numbers are those of adam_kernels. Nothing here waits for the GPU: which rows are visible, and the step
count that the bias corrections follow from, stay there. Import where Triton is installed only: torch brings
it on Linux.
"""

# pyright: reportMissingImports=false
# (Triton exists for Linux only.)

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK = tl.constexpr(1024)  # numbers that a program takes
_TERMS = tl.constexpr(8)  # of the series of (e^x - 1) / x, after 1; for x > -0.5 the next is below 1e-9


def update_rows(
    arrays: tuple[Tensor, ...],
    step: Tensor,
    visible: Tensor,
    rate: float,
    betas: tuple[float, float],
    eps: float,
) -> None:
    """Update the visible rows of parameter, mean and mean square in place.

    Args:
        arrays: parameter, gradient, mean and mean square, each [N, ...] float32 and contiguous.
        step: [] float32, steps done with this one, on the same device.
        visible: [N] bool, likewise.
        rate: learning rate.
        betas: Adam's, above 0.
        eps: Adam's.
    """
    param, (beta1, beta2) = arrays[0], betas
    size = param.numel()
    with torch.cuda.device_of(param):  # Triton launches on the current one
        adam_rows[(triton.cdiv(size, BLOCK.value),)](
            *arrays,
            visible=visible.contiguous().view(torch.uint8),
            step=step,
            rate=float(rate),  # as Triton would compile the kernel anew for the whole number 1
            rate1=1 - beta1,
            beta2=beta2,
            rate2=1 - beta2,
            log_beta1=math.log(beta1),
            log_beta2=math.log(beta2),
            eps=float(eps),
            size=size,
            width=size // max(1, len(param)),  # pyright: ignore[reportArgumentType] - Triton makes it constexpr
        )


def probe(device: torch.device) -> None:
    """Compile and run the kernel on a number; raises whatever Triton, compilers and drivers do."""
    numbers = torch.zeros(4, 1, device=device)
    visible = torch.ones(1, dtype=torch.bool, device=device)
    update_rows(tuple(numbers), torch.ones((), device=device), visible, 0.1, (0.9, 0.999), 1e-15)


@triton.jit
def _missing(log_base, count):
    """1 - base^count, for a base below 1, right to float32's last digits also where the power is near 1."""
    x = log_base * count
    near = tl.maximum(x, -0.5)
    series = 1.0
    for k in tl.static_range(_TERMS):  # pyright: ignore[reportGeneralTypeIssues] - Triton unrolls it
        series = 1 + near * series / (_TERMS + 1 - k)
    return tl.where(x > -0.5, -near * series, 1 - tl.exp(x))


# Else Triton would compile it anew for sizes of 1 and for multiples of 16.
@triton.jit(do_not_specialize=("size",))
def adam_rows(
    param, gradient, mean, square, visible, step, rate, rate1, beta2, rate2, log_beta1, log_beta2, eps, size,
    width: tl.constexpr,
):  # fmt: skip
    """A block of the flat arrays, whose rows have `width` numbers."""
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    seen = tl.load(visible + at // width, mask=at < size, other=0) != 0
    g = tl.load(gradient + at, mask=seen, other=0)
    m = tl.load(mean + at, mask=seen, other=0)
    v = tl.load(square + at, mask=seen, other=0)
    p = tl.load(param + at, mask=seen, other=0)
    count = tl.load(step)
    step_size = rate / _missing(log_beta1, count)
    correction = 1 / tl.sqrt(_missing(log_beta2, count))
    m += rate1 * (g - m)
    v = beta2 * v + rate2 * g * g
    tl.store(mean + at, m, mask=seen)
    tl.store(square + at, v, mask=seen)
    tl.store(param + at, p - step_size * m / (tl.sqrt(v) * correction + eps), mask=seen)
