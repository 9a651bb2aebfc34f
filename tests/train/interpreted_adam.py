"""The CUDA kernel of selective Adam in Triton's interpreter: TRITON_INTERPRET=1 python -m THIS FILE.

Writes the outcome of every case into FILE; run by `on_triton.interpreted`.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

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
    "step 600, where the series ends": Case((30, 3), 600),
    "step 30 000": Case((30, 3), 30_000),
    "step 10 million": Case((30, 3), 10_000_000),
    "all visible": Case((40, 3), 7, share=1.0),
    "none visible": Case((40, 3), 7, share=0.0),
    "NaN where not visible": Case((40, 3), 7, has_nan=True),
    "no rows": Case((0, 3)),
}
RATE, BETAS, EPS = 1.0, (0.9, 0.999), 1e-15  # steps as large as values, so that their errors show


def outcome(case: Case) -> list[Tensor]:
    """Parameter, mean and mean square after the step."""
    from gaussians.train.adam_triton import update_rows

    arrays, visible = case.inputs()
    update_rows(tuple(arrays), torch.tensor(float(case.count)), visible, RATE, BETAS, EPS)
    return [arrays[0], *arrays[2:]]


def main(path: Path) -> None:
    """Write the outcomes of all cases."""
    import triton.language as tl  # pyright: ignore[reportMissingImports] - Linux only

    from gaussians.train import adam_triton

    adam_triton.BLOCK = tl.constexpr(BLOCK)
    adam_triton.probe(torch.device("cpu"))
    torch.save({name: outcome(case) for name, case in CASES.items()}, path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
