"""The CUDA kernel of Adam in Triton's interpreter: TRITON_INTERPRET=1 python -m THIS FILE.

Writes the outcome of every case into FILE; run by `on_triton.interpreted`.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

BLOCK = 64  # shorter than most cases, and a divisor of none


@dataclass(frozen=True)
class Case:
    """Rows of numbers, and the step to take: with all that Adam knows after `count` - 1 steps."""

    shape: tuple[int, ...]
    count: int = 1
    share: float = 0.6  # of visible rows
    has_nan: bool = False  # in a row that is not visible

    def inputs(self) -> tuple[list[Tensor], Tensor]:
        """Parameter, gradient, mean and mean square, over many orders of magnitude; and the visible rows."""
        generator = torch.Generator().manual_seed(self.count)
        param, gradient, mean, square = torch.randn(4, *self.shape, generator=generator)
        gradient *= 10.0 ** torch.randint(-9, 3, self.shape, generator=generator)
        visible = torch.rand(self.shape[0], generator=generator) < self.share
        if self.count == 1:
            mean, square = torch.zeros_like(mean), torch.zeros_like(square)
        if self.has_nan:
            gradient[~visible] = torch.nan
        return [param, gradient, mean, square.square()], visible


CASES = {
    "positions": Case((101, 3)),
    "rotations, step 2": Case((50, 4), 2),
    "opacities, step 30": Case((333,), 30),
    "harmonics, step 400": Case((21, 15, 3), 400),
    "step 600": Case((30, 3), 600),
    "step 30 000": Case((30, 3), 30_000),
    "step 10 million": Case((30, 3), 10_000_000),
    "all visible": Case((40, 3), 7, share=1.0),
    "none visible": Case((40, 3), 7, share=0.0),
    "NaN where not visible": Case((40, 3), 7, has_nan=True),
    "no rows": Case((0, 3)),
}
TOGETHER = [Case((75, 3), 4), Case((75, 15, 3), 2), Case((75,), 9), Case((75, 1, 3), 4)]
RATE, BETAS, EPS = 1.0, (0.9, 0.999), 1e-15  # steps as large as values, so that their errors show


def updates(cases: list[Case], arrays: list[list[Tensor]]) -> list[Any]:
    """The cases' parts in one step."""
    from gaussians.train.adam_triton import Update

    found = []
    for case, tensors in zip(cases, arrays, strict=True):
        factors = RATE / (1 - BETAS[0] ** case.count), (1 - BETAS[1] ** case.count) ** -0.5
        param, gradient, mean, square = tensors
        found.append(Update(param, gradient, mean, square, *factors))
    return found


def outcome(case: Case) -> list[Tensor]:
    """Parameter, mean and mean square after the step."""
    from gaussians.train.adam_triton import update

    arrays, visible = case.inputs()
    update(updates([case], [arrays]), visible if case.share < 1 else None, BETAS, EPS)
    return [arrays[0], *arrays[2:]]


def outcome_together() -> list[list[Tensor]]:
    """The same of all of `TOGETHER`, by one launch, with the visible rows of the first."""
    from gaussians.train.adam_triton import update

    inputs = [case.inputs() for case in TOGETHER]
    arrays = [tensors for tensors, _ in inputs]
    update(updates(TOGETHER, arrays), inputs[0][1], BETAS, EPS)
    return [[tensors[0], *tensors[2:]] for tensors in arrays]


def main(path: Path) -> None:
    """Write the outcomes of all cases."""
    import triton.language as tl  # pyright: ignore[reportMissingImports] - Linux only

    from gaussians.train import adam_triton

    adam_triton.BLOCK = tl.constexpr(BLOCK)
    adam_triton.probe(torch.device("cpu"))
    found: dict[str, Any] = {name: outcome(case) for name, case in CASES.items()}
    torch.save(found | {"together": outcome_together()}, path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
