"""Adam on CUDA: one kernel for all parameters, which moves all rows or the visible ones only.

The numbers are those of adam_kernels. Nothing here waits for the GPU: which rows are visible stays there.
One launch instead of one a parameter, as launches are what steps of a small model spend their time with.
Import where Triton is installed only: torch brings it on Linux.
"""

# pyright: reportMissingImports=false, reportCallIssue=false
# (Triton exists for Linux only, and the length of a launch's arguments is not to be inferred.)

from collections.abc import Sequence
from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCK = tl.constexpr(1024)  # numbers that a program takes


class Update(NamedTuple):
    """A parameter's part in a step.

    Attributes:
        param, gradient, mean, square: [N, ...] float32 and contiguous, of one shape.
        step_size: the learning rate over the first moment's bias correction.
        correction: one over the root of the second moment's.
    """

    param: Tensor
    gradient: Tensor
    mean: Tensor
    square: Tensor
    step_size: float
    correction: float


def update(
    updates: Sequence[Update],
    visible: Tensor | None,
    betas: tuple[float, float],
    eps: float,
    factors: Tensor | None = None,
) -> None:
    """Move parameters, means and mean squares in place, those of all `updates` in one launch.

    Args:
        updates: of parameters with as many rows on one device.
        visible: [N] bool on that device, rows to update; None: all.
        betas, eps: Adam's.
        factors: [P, 2] float32 on that device, step size and correction of each update, to be read when the
            launch is carried out; None: those of the updates.
    """
    rows = len(updates[0].param)
    if rows == 0:
        return
    widths = tuple(one.param.numel() // rows for one in updates)
    blocks = sum(-(-rows * width // BLOCK.value) for width in widths)
    with torch.cuda.device_of(updates[0].param):  # Triton launches on the current one
        adam[(blocks,)](
            *(tuple(column) for column in zip(*updates, strict=True)),
            None if visible is None else visible.contiguous().view(torch.uint8),
            factors,
            *(1 - betas[0], betas[1], 1 - betas[1], eps),
            rows,
            widths=widths,  # pyright: ignore[reportArgumentType] - Triton makes it constexpr
        )


def probe(device: torch.device) -> None:
    """Compile and run the kernel on a number; raises whatever Triton, compilers and drivers do."""
    numbers = torch.zeros(4, 1, device=device)
    updates, seen = [Update(*numbers.unbind(), 0.1, 1.0)], torch.ones(1, dtype=torch.bool, device=device)
    for visible, factors in ((None, None), (seen, None), (None, numbers.new_ones(1, 2))):
        update(updates, visible, (0.9, 0.999), 1e-15, factors)


# Else Triton would compile it anew for a single row and for multiples of 16. A kernel's argument can't be
# called `params`: Triton 3.7's launch has a variable of that name.
@triton.jit(do_not_specialize=("rows",))
def adam(
    values, gradients, means, squares, step_sizes, corrections, visible, factors, rate1, beta2, rate2, eps,
    rows, widths: tl.constexpr,
):  # fmt: skip
    """A block of the flat arrays of one parameter, whose rows have so many numbers."""
    block = tl.program_id(0)
    first = 0  # block of the parameter at hand
    for i in tl.static_range(len(values)):  # pyright: ignore[reportGeneralTypeIssues] - Triton unrolls it
        blocks = tl.cdiv(rows.to(tl.int64) * widths[i], BLOCK)  # 32 bits end at 47 million Gaussians
        if (block >= first) & (block < first + blocks):
            at = (block - first).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
            moves = at < rows.to(tl.int64) * widths[i]
            if visible is not None:
                moves = tl.load(visible + at // widths[i], mask=moves, other=0) != 0
            g = tl.load(gradients[i] + at, mask=moves, other=0)
            m = tl.load(means[i] + at, mask=moves, other=0)
            v = tl.load(squares[i] + at, mask=moves, other=0)
            p = tl.load(values[i] + at, mask=moves, other=0)
            step_size, correction = step_sizes[i], corrections[i]
            if factors is not None:
                step_size, correction = tl.load(factors + 2 * i), tl.load(factors + (2 * i + 1))
            m += rate1 * (g - m)
            v = beta2 * v + rate2 * g * g
            tl.store(means[i] + at, m, mask=moves)
            tl.store(squares[i] + at, v, mask=moves)
            tl.store(values[i] + at, p - step_size * m / (tl.sqrt(v) * correction + eps), mask=moves)
        first += blocks
