"""`bench raster`: the CPU rasterizer alone, part by part, and against what the machine could do at best."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gaussians.cli.evaluations import evaluations
from gaussians.cli.peaks import PARAMETER_BYTES, RUNS, copy_ms, median_ms
from gaussians.cli.workload import Workload
from gaussians.kernels import workers
from gaussians.raster.cpu.blend import forward_kernel
from gaussians.raster.cpu.functions import Bins, Blend, Lens, Project, empty_light, packed_rows
from gaussians.raster.cpu.lanes import has_wide_tables
from gaussians.raster.cpu.layout import PACKED

LIMITS = (0.01, 1e10, 0.3)  # near, far, eps2d: rasterize's defaults
# Vector instructions of the forward kernel on 4 x 4 pixels, without loads and stores, see block_lanes.py:
# exponent 5, 2^x 9 or 11, clamp and threshold 2, weight and transmittance 2, stop 1, colours 3.
FORWARD_INSTRUCTIONS = 22 if has_wide_tables() else 24


def bench_raster(workload: Workload, copy_bandwidth: float, fma_rate: float) -> dict[str, Any]:
    """Medians in ms, and what they mean, as JSON values.

    forward_ms is everything from sorted Gaussians to the image, backward_ms everything from the image's
    gradient to those of the projected Gaussians; projection (and its gradient) and binning are beside them.

    Args:
        workload: what to render.
        copy_bandwidth: bytes a second, see `peaks`.
        fma_rate: multiply-adds a second.
    """
    width, height = workload.camera.width, workload.camera.height
    (means2d, conics, depths, radii), times = _projected(workload)
    seen = (means2d[0].numpy(), conics[0].numpy(), workload.opacities, depths[0].numpy(), radii[0].numpy())
    times["binning_ms"] = median_ms(lambda: Bins.of(*seen, width, height))
    bins = Bins.of(*seen, width, height)
    colors, opacities = torch.from_numpy(workload.colors)[None], torch.from_numpy(workload.opacities)[None]
    times |= _blended([means2d, conics, colors, opacities], bins, (width, height))
    packed = [tensor[0].numpy() for tensor in (means2d, conics, opacities, colors)]
    count = _evaluations(bins, packed_rows(bins, *packed), (width, height))
    seconds, core_ns = 1e-3 * times["forward_ms"], 1e6 * workers()
    return {
        "gaussians": len(workload.means),
        "width": width,
        "height": height,
        "visible": len(bins.visible),
        "intersections": len(bins.members),
        "threads": workers(),
        "runs": RUNS,
        **times,
        "copy_ms": copy_ms(PARAMETER_BYTES * len(workload.means), copy_bandwidth),
        "evaluations": count,
        "ns_per_evaluation_core": core_ns * times["forward_ms"] / count,
        "backward_evaluations": count,
        "backward_ns_per_evaluation_core": core_ns * times["backward_ms"] / count,
        "share_of_fma_peak": count * FORWARD_INSTRUCTIONS / (seconds * fma_rate),
        "share_of_copy_bandwidth": _traffic(bins, width * height) / (seconds * copy_bandwidth),
    }


def _projected(workload: Workload) -> tuple[list[Tensor], dict[str, float]]:
    """means2d, conics, depths and radii [1, N, ...], and how long they and their gradient take."""
    view = workload.camera.tensors()
    lens = Lens.of(view["viewmats"], view["Ks"], view["width"], view["height"], LIMITS)
    fields = (workload.means, workload.quats, workload.scales, workload.opacities)
    inputs = [torch.from_numpy(field).requires_grad_() for field in fields]
    arguments = [*inputs, lens]
    with torch.no_grad():
        forward_ms = median_ms(lambda: Project.apply(*arguments))
    projected: Any = Project.apply(*arguments)
    outputs, moved = projected[:3], inputs[:3]  # radii and opacities have no gradient
    slopes = [torch.rand_like(output) for output in outputs]
    backward_ms = median_ms(lambda: torch.autograd.grad(outputs, moved, slopes, retain_graph=True))
    times = {"projection_ms": forward_ms, "projection_backward_ms": backward_ms}
    return [tensor.detach() for tensor in projected], times


def _blended(fields: Sequence[Tensor], bins: Bins, size: tuple[int, int]) -> dict[str, float]:
    """How long the image of means2d, conics, colors and opacities takes, and their gradient."""
    inputs = [field.detach().requires_grad_() for field in fields]
    arguments = [*inputs, torch.zeros(1, 3), [bins], size, False]
    with torch.no_grad():
        forward_ms = median_ms(lambda: Blend.apply(*arguments, False))
    rendered: Any = Blend.apply(*arguments, True)
    slope = torch.rand_like(rendered[0])
    backward_ms = median_ms(lambda: torch.autograd.grad(rendered[0], inputs, slope, retain_graph=True))
    return {"forward_ms": forward_ms, "backward_ms": backward_ms}


def _evaluations(bins: Bins, packed: np.ndarray, size: tuple[int, int]) -> int:
    """Of the forward pass, and of the backward pass, see `evaluations`."""
    width, height = size
    image, alpha = np.empty((height, width, 3), np.float32), np.empty((height, width), np.float32)
    last = np.empty((height, width), np.int32)
    black = np.zeros(3, np.float32)
    forward_kernel(3)(packed, *bins.tiling(), black, image, alpha, last, *empty_light(bins, wanted=False))
    return evaluations(bins, packed, last)


def _traffic(bins: Bins, pixels: int) -> int:
    """Bytes that the forward pass cannot but move: packed Gaussians, the tiles' lists, and the image."""
    packed = 2 * len(bins.visible) * PACKED * np.dtype(np.float32).itemsize  # written and read
    return packed + bins.members.nbytes + pixels * (3 + 1 + 1) * 4  # colour, alpha, last
