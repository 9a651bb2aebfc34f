"""`bench scale`: what a training step and a preview cost against Gaussians and image size.

Every point is measured in a process of its own, so that its peak of memory is its own.
"""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from gaussians.camera import Camera
from gaussians.cli.peaks import PARAMETER_BYTES, copy_ms, median_ms, waiting
from gaussians.cli.workload import sized
from gaussians.kernels import workers
from gaussians.memory import peak_memory
from gaussians.model import SH_C0, Gaussians
from gaussians.raster import rasterize
from gaussians.scene.types import View
from gaussians.train.optimisation import Optimisation
from gaussians.train.recipe import Densify, Optimise

COUNTS = (10_000, 30_000, 100_000, 300_000, 1_000_000, 2_000_000)
SIZES = ((480, 270), (960, 540), (1920, 1080))
MANY = 300_000  # Gaussians at which sizes vary
RUNS = 5


@dataclass(frozen=True)
class Point:
    """What one process measures."""

    count: int
    width: int
    height: int
    device: str


def bench_scale(
    device: torch.device,
    bandwidth: float,
    counts: tuple[int, ...] = COUNTS,
    sizes: tuple[tuple[int, int], ...] = SIZES,
) -> list[dict[str, Any]]:
    """A line a point: gaussians, width, height, step_ms, preview_ms (medians), checkpoint_bytes, peak_bytes,
    and copy_ms, what copying the Gaussians takes.

    Counts vary at the largest size and sizes at 300 000 Gaussians; Gaussians shrink as they become more, as
    in training. SH of degree 3. The peak is that of the whole process, a checkpoint's copies included.

    Args:
        device: where.
        bandwidth: of copying memory there, see `peaks`.
        counts, sizes: to measure at; the largest size comes last.
    """
    points = [Point(count, *sizes[-1], device.type) for count in counts]
    points += [Point(MANY, *size, device.type) for size in sizes[:-1]]
    return [
        _apart(point) | {"copy_ms": copy_ms(PARAMETER_BYTES * point.count, bandwidth)} for point in points
    ]


def _apart(point: Point) -> dict[str, Any]:
    # Unlike multiprocessing's own pool, this one lets the process end by itself and doesn't kill it.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measured, point).result()


def measured(point: Point) -> dict[str, Any]:
    """A point's line, by this process."""
    device = torch.device(point.device)
    wait = waiting(device)
    workers()
    camera, training = _training(point, device)

    def step() -> None:
        next(training.steps(until=training.step + 1))
        wait()

    def preview() -> None:
        with torch.no_grad():
            rasterize(**training.model.render_args(), **camera.tensors(device))
        wait()

    line = {"gaussians": point.count, "width": point.width, "height": point.height}
    line |= {"step_ms": median_ms(step, RUNS), "preview_ms": median_ms(preview, RUNS)}
    checkpoint = sum(tensor.nbytes for tensor in training.state_dict().values())
    peak = torch.cuda.max_memory_allocated() if device.type == "cuda" else peak_memory()
    return line | {"checkpoint_bytes": checkpoint, "peak_bytes": peak}


def _training(point: Point, device: torch.device) -> tuple[Camera, Optimisation]:
    """An optimisation of so many Gaussians on one view of noise, which neither grow nor go."""
    work = sized(point.count, point.width, point.height)
    photo = np.random.default_rng(1).integers(0, 256, (point.height, point.width, 3), dtype=np.uint8)
    colors = torch.from_numpy(work.colors)
    gaussians = Gaussians(
        means=torch.from_numpy(work.means),
        quats=torch.from_numpy(work.quats),
        log_scales=torch.from_numpy(work.scales).log(),
        logit_opacities=torch.from_numpy(work.opacities).logit(),
        sh0=((colors - 0.5) / SH_C0)[:, None],
        shN=torch.zeros(len(colors), 15, 3),
    )
    recipe = Optimise(sh_every=0, densify=Densify(start=0, stop=0), log_every=1)
    training = Optimisation(
        gaussians, [View("photo", work.camera, photo)], recipe,
        extent=1.0, background=(0.0, 0.0, 0.0), seed=0, stream="scale", device=device,
    )  # fmt: skip
    return work.camera, training
