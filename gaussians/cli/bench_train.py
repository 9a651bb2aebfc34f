"""`bench train`: real training steps, and where their time goes."""

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator
from statistics import mean
from typing import Any

import torch

from gaussians.cli.bench_gsplat import beside_gsplat
from gaussians.cli.peaks import PARAMETER_BYTES, copy_ms, median_ms, waiting
from gaussians.distill.presets import recipe
from gaussians.raster import rasterize_stored
from gaussians.raster.cpu import stored
from gaussians.raster.cpu.functions import Bins
from gaussians.scene import Scene
from gaussians.train import direct, renderer
from gaussians.train.free_space import FreeSpace
from gaussians.train.fused_loss import Fused
from gaussians.train.initial import gaussians_from_points
from gaussians.train.objective import PhotoObjective
from gaussians.train.optimisation import Optimisation
from gaussians.train.parameters import Parameters
from gaussians.train.refine import DensifyRefinement

WARM_UP, STEPS = 100, 200  # steps before the first measurement, and in each of the two

# The seams between the parts of a step. Where one lies within another, each has its own time only: forward is
# what rasterizing takes beyond projection and binning. On the CPU, steps go straight from what images say of
# each Gaussian to the next parameters: backward is blending's, optimizer has the gradients of the rest.
_Seams = tuple[tuple[Any, str, str], ...]
_LONG_WAY: _Seams = (
    (renderer, "rasterize_stored", "forward"),
    (PhotoObjective, "__call__", "loss"),
    (torch.Tensor, "backward", "backward"),
    (Parameters, "step", "optimizer"),
)
_DIRECT: _Seams = (
    (direct, "show", "projection"),
    (direct, "draw", "forward"),
    (PhotoObjective, "colors", "loss"),
    (Fused, "of", "loss"),
    (direct, "unblend", "backward"),
    (direct, "descend", "optimizer"),
)
_EITHER: _Seams = (
    (stored, "project_forward", "projection"),
    (stored, "harmonics_forward", "projection"),
    (Bins, "of", "sort_and_binning"),
    (DensifyRefinement, "before_backward", "refine"),
    (DensifyRefinement, "after_step", "refine"),
)
_SEAMS = _EITHER + _LONG_WAY + _DIRECT
OTHER = "other"
RASTERIZED = 20  # renders and gradients beside the steps that are timed


def bench_train(
    scene: Scene, device: torch.device, bandwidth: float, warm_up: int = WARM_UP, steps: int = STEPS
) -> dict[str, Any]:
    """Train the preview recipe's vanilla teacher: steps a second, and mean ms of each part of a step.

    Beside them the ms that copying the Gaussians takes, and a step's ratio to rasterizing alone: a render by
    `rasterize_stored` and its gradients, before and after the steps whose parts are timed.
    On a GPU also what a step without growth takes then, by us and by gsplat.

    The rate is taken without the clocks of the parts, which on a GPU have to wait for it: there the parts are
    those of steps that are not repeated as graphs.

    Args:
        scene: to train on.
        device: where.
        bandwidth: of copying memory there, see `peaks`.
        warm_up: steps before.
        steps: in each of both measurements.
    """
    optimise = recipe("preview").teachers.optimise
    training = Optimisation(
        gaussians_from_points(scene.points, optimise, extent=scene.extent, device=device),
        scene.train,
        optimise,
        extent=scene.extent,
        background=scene.background,
        seed=0,
        stream="vanilla",
        device=device,
        free=FreeSpace.of([view.camera for view in scene.train], scene.points.xyz, optimise.clearance),
    )
    wait = waiting(device)
    _train(training, warm_up)
    wait()
    began = time.perf_counter()
    _train(training, steps)
    wait()
    seconds = time.perf_counter() - began
    if device.type == "cuda":
        training.shortcut = None
    rasterizing = [_rasterizing_ms(training, scene, device)]
    parts = _parts_ms(training, steps, wait)
    rasterizing.append(_rasterizing_ms(training, scene, device))
    camera = scene.train[0].camera
    beside = {}
    if device.type == "cuda":
        beside["beside_gsplat"] = beside_gsplat(training.gaussians(), scene.train, scene.extent, device)
    return beside | {
        "scene": scene.name,
        "width": camera.width,
        "height": camera.height,
        "gaussians": len(training),
        "steps_per_second": steps / seconds,
        "parts_ms": parts,
        "rasterizing_ms": mean(rasterizing),
        "step_to_rasterization": sum(parts.values()) / mean(rasterizing),
        "copy_ms": copy_ms(PARAMETER_BYTES * len(training), bandwidth),
    }


class Stopwatch:
    """Seconds by part; what is timed within something else counts for itself alone.

    Attributes:
        seconds: by part.
    """

    def __init__(self, wait: Callable[[], None] = lambda: None) -> None:
        self.seconds = dict.fromkeys((*(part for _, _, part in _SEAMS), OTHER), 0.0)
        self._wait = wait  # for what is still under way when a function returns
        self._running: list[str] = []
        self._since = 0.0

    def time(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function; while it runs, time counts for `part`."""

        def timed(*args: Any, **settings: Any) -> Any:
            self._settle()
            self._running.append(part)
            try:
                return function(*args, **settings)
            finally:
                self._settle()
                self._running.pop()

        return timed

    def _settle(self) -> None:
        """Book the time since the last change on the part that was running."""
        self._wait()
        now = time.perf_counter()
        if self._running:
            self.seconds[self._running[-1]] += now - self._since
        self._since = now


def _parts_ms(training: Optimisation, steps: int, wait: Callable[[], None]) -> dict[str, float]:
    """Mean ms of each part of so many steps."""
    watch = Stopwatch(wait)
    with contextlib.ExitStack() as stack:
        for owner, name, part in _SEAMS:
            stack.enter_context(_timed(owner, name, part, watch))
        watch.time(OTHER, lambda: _train(training, steps))()
    return {part: 1e3 * total / steps for part, total in watch.seconds.items()}


def _rasterizing_ms(training: Optimisation, scene: Scene, device: torch.device) -> float:
    """Median ms of rendering a training view and of its gradients, of the model as it is now."""
    gaussians = training.live.map(lambda tensor: tensor.detach().clone().requires_grad_())
    background = torch.tensor([scene.background], device=device)
    cameras = itertools.cycle([view.camera.tensors(device) for view in scene.train])
    used = list(gaussians.tensors().values())

    def render() -> None:
        settings = {"sh_degree": gaussians.sh_degree, "backgrounds": background, "trusted": True}
        image, _, _ = rasterize_stored(gaussians, **next(cameras), **settings)
        torch.autograd.grad(image, used, torch.ones_like(image), allow_unused=True)  # shN without bands
        waiting(device)()

    return median_ms(render, RASTERIZED)


def _train(training: Optimisation, steps: int) -> None:
    for _ in training.steps(until=training.step + steps):
        pass


@contextlib.contextmanager
def _timed(owner: Any, name: str, part: str, watch: Stopwatch) -> Iterator[None]:
    """Within: the function `name` of a class or module is timed."""
    before = vars(owner).get(name, getattr(owner, name))
    timed = watch.time(part, getattr(owner, name))
    bound = isinstance(before, staticmethod | classmethod)  # its attribute takes no self
    setattr(owner, name, staticmethod(timed) if bound else timed)
    try:
        yield
    finally:
        setattr(owner, name, before)
