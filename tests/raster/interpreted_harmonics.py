"""The CUDA kernels of harmonics in Triton's interpreter: TRITON_INTERPRET=1 python -m THIS MODULE FILE.

Writes the outcome of every case into FILE; run by `on_triton.interpreted`.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

BLOCK = 16  # a divisor of no case's Gaussians


@dataclass(frozen=True)
class Case:
    """What is seen, and by how many cameras."""

    degree: int
    bands: int = 3  # of the stored coefficients
    n: int = 21
    cameras: int = 1
    whole: bool = False  # views of one tensor
    zoom: float = 1.0  # of the world, by the cameras

    def inputs(self) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Centres, both coefficients, cameras, radii, and the gradient of the colours."""
        generator = torch.Generator().manual_seed(self.degree)
        coefficients = torch.randn(self.n, (self.bands + 1) ** 2, 3, generator=generator)
        first, others = coefficients[:, :1], coefficients[:, 1:]
        if not self.whole:
            first, others = first.contiguous(), others.contiguous()
        turns, _ = torch.linalg.qr(torch.randn(self.cameras, 3, 3, generator=generator))
        viewmats = torch.eye(4).repeat(self.cameras, 1, 1)
        viewmats[:, :3, :3] = self.zoom * turns
        viewmats[:, :3, 3] = torch.randn(self.cameras, 3, generator=generator)
        radii = torch.randint(0, 4, (self.cameras, self.n, 2), generator=generator, dtype=torch.int32)
        means = torch.randn(self.n, 3, generator=generator)
        v_colors = torch.randn(self.cameras, self.n, 3, generator=generator)
        return means, first, others, viewmats, radii, v_colors


CASES = {
    "constant": Case(0, bands=0),
    "constant of more": Case(0),
    "first degree": Case(1, bands=1),
    "second degree of three": Case(2),
    "third degree": Case(3),
    "two cameras": Case(3, cameras=2),
    "one tensor": Case(3, whole=True),
    "one tensor, two cameras": Case(1, whole=True, cameras=2),
    "a camera that scales": Case(2, zoom=2.5),
    "one Gaussian": Case(3, n=1, cameras=3),
}


def outcome(case: Case) -> list[Tensor]:
    """Colours, and their gradients by centres and by both coefficients."""
    from gaussians.raster.harmonics_triton import Harmonics

    *leaves, viewmats, radii, v_colors = case.inputs()
    leaves = [leaf.detach().requires_grad_() for leaf in leaves]  # of the same strides
    colors = Harmonics.apply(*leaves, viewmats, radii, case.degree)
    return [colors.detach(), *torch.autograd.grad(colors, leaves, v_colors)]


def main(path: Path) -> None:
    """Write the outcomes of all cases."""
    import triton.language as tl  # pyright: ignore[reportMissingImports] - Linux only

    from gaussians.raster import harmonics_triton

    harmonics_triton.BLOCK = tl.constexpr(BLOCK)
    harmonics_triton.probe(torch.device("cpu"))
    torch.save({name: outcome(case) for name, case in CASES.items()}, path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
