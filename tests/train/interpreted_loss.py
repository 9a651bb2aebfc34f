"""The CUDA colour loss in Triton's interpreter, on the CPU: TRITON_INTERPRET=1 python -m THIS FILE.

Writes the outcome of every case into FILE; run by `on_triton.interpreted`.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

BLOCK = 64  # narrower than some cases' rows, and a divisor of none


@dataclass(frozen=True)
class Case:
    """What a loss is computed of; targets by their types."""

    size: tuple[int, int]
    targets: tuple[torch.dtype, ...] = (torch.float32,)
    weights: tuple[float, ...] = (1.0,)
    mixes: tuple[float, ...] = (0.2,)
    counted: float | None = None  # share of the pixels in the mask
    views: bool = False  # of wider tensors, with other strides
    has_nan: bool = False

    def inputs(self) -> tuple[Tensor, list[Tensor], Tensor | None]:
        """Rendered image, targets and mask."""
        generator = torch.Generator().manual_seed(7)
        height, width = self.size

        def image() -> Tensor:
            if self.views:
                return torch.rand(width, height, 4, generator=generator).transpose(0, 1)[..., :3]
            return torch.rand(height, width, 3, generator=generator)

        rendered, targets = image(), []
        for dtype in self.targets:
            target = image()
            targets.append(target.to(dtype) if dtype.is_floating_point else (target * 255).to(dtype))
        if self.has_nan:
            rendered[height // 2, width // 2, 1] = torch.nan
        if self.counted is None:
            return rendered, targets, None
        mask = self.counted > torch.rand(width, height, generator=generator).T
        return rendered, targets, mask if self.views else mask.contiguous()


BOTH = (torch.float32, torch.uint8)
CASES = {
    "a photo": Case((12, 14), (torch.uint8,)),
    "two blocks": Case((2, 33), mixes=(0.6,)),
    "two targets, masked": Case((7, 23), BOTH, (1.0, 0.5), (0.2, 1.0), counted=0.5),
    "one pixel": Case((1, 1), weights=(2.0,), mixes=(0.4,)),
    "L1 alone": Case((5, 3), BOTH, (1.0, 0.7), (0.0, 0.0)),
    "D-SSIM alone": Case((3, 5), (torch.uint8,), mixes=(1.0,)),
    "half precision": Case((3, 4), (torch.float16,)),
    "views": Case((4, 5), BOTH, (1.0, 0.5), (0.2, 0.3), counted=0.7, views=True),
    "empty mask": Case((2, 3), BOTH, (1.0, 0.5), (0.2, 0.3), counted=0.0),
    "NaN": Case((3, 3), has_nan=True),
}


def outcome(case: Case) -> dict[str, Tensor]:
    """Total, l1 and dssim of a case, the total without gradient, and the gradient of 3 times the total."""
    from gaussians.train import ssim_triton

    rendered, targets, mask = case.inputs()
    arguments = (targets, case.weights, case.mixes, mask)
    frozen = ssim_triton.TritonColorLoss.apply(rendered, *arguments)[0]
    total, l1, dssim = ssim_triton.TritonColorLoss.apply(rendered.requires_grad_(), *arguments)
    assert not any(value.requires_grad for value in (frozen, l1, dssim))
    (3 * total).backward()
    assert rendered.grad is not None
    values = {"total": total, "l1": l1, "dssim": dssim, "frozen": frozen, "gradient": rendered.grad}
    return {name: value.detach() for name, value in values.items()}


def main(path: Path) -> None:
    """Write the outcomes of all cases."""
    import triton.language as tl  # pyright: ignore[reportMissingImports] - Linux only

    from gaussians.train import ssim_triton

    ssim_triton.BLOCK = tl.constexpr(BLOCK)
    ssim_triton.probe(torch.device("cpu"))
    torch.save({name: outcome(case) for name, case in CASES.items()}, path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
