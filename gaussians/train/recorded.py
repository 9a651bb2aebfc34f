"""Steps as CUDA graphs: what a step asks of the GPU is recorded once, and then asked for as a whole.

A step of a compact model keeps an H100 busy for half a millisecond and its host for several, with a hundred
launches that are the same in each step. Recorded are steps that minimise the colour loss alone, of a set of
Gaussians that has stayed for a while and is not large. All else goes step by step as ever; everything, with a
warning, where recording fails.

The numbers are those of steps that are not recorded, but for one case: a recording has room for half as many
intersections again as the views had that were counted before. What needs more lacks its farthest Gaussians;
that is noticed when the loss is next logged, and the step recorded anew with more room.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gaussians.raster import cuda, cuda_room
from gaussians.train.adam import FusedAdam, count_step, next_factors, step_by
from gaussians.train.coarse import Cameras
from gaussians.train.losses import ColorLoss
from gaussians.train.objective import ColorTargets
from gaussians.train.parameters import Parameters
from gaussians.train.refine import Refinement

LOOKS_EVERY = 100
"""Of so many steps one is not recorded: it looks for NaN in the Gaussians."""
PATIENCE = 20
"""Steps that the set of Gaussians has to stay before recording, which costs as much time as ten steps do."""
_MOST = 4  # recordings at a time: of different sizes of views, or weights of losses
_SURVEYED = 24  # views whose intersections are counted
_MARGIN = 1.5
# Intersections. On an H100 a step with room for 1.7 million took 3.33 ms recorded and 3.58 not, with room for
# 2.9 million 5.60 and 5.32: then the GPU is busy anyway, and gsplat sorts less.
_MOST_ROOM = 2_000_000


class Outcome(NamedTuple):
    """What a step came to, until the next one.

    Attributes:
        loss: the colour loss.
        meta: of the rasterizer, as far as refinements look at it.
    """

    loss: ColorLoss
    meta: dict[str, Any]


class _Kind(NamedTuple):
    """What is built into a recording beside the Gaussians themselves."""

    width: int
    height: int
    degree: int
    weights: tuple[float, ...]
    mixes: tuple[float, ...]
    types: tuple[torch.dtype, ...]
    masked: bool


class Recorder:
    """Records the steps of an optimisation and repeats them.

    Args:
        parameters: of the optimisation.
        cameras: of its views.
        background: [3] behind the Gaussians.
        refinement: asked for absolute gradients, and told of each recording before its backward pass.
    """

    def __init__(
        self, parameters: Parameters, cameras: Cameras, background: Tensor, refinement: Refinement | None
    ) -> None:
        self._parameters, self._cameras = parameters, cameras
        self._background, self._refinement = background, refinement
        self._held: tuple[Tensor, ...] = ()
        self._since = 0
        self._recordings: dict[_Kind, _Recording] = {}
        self._met: set[_Kind] = set()  # weights that change in every step are not worth it
        self._refused: set[_Kind] = set()
        # Recordings share their memory, which is there for as long as one of them is: hence the last one.
        self._last: _Recording | None = None
        self._margin = _MARGIN
        self._works = True

    def is_ready(self, step: int) -> bool:
        """Whether the Gaussians have stayed for long enough. To be asked once in every step."""
        held = tuple(_tensors(self._parameters))
        same = len(held) == len(self._held) and all(map(_is, held, self._held))
        if not same:
            self._held, self._since = held, step
            for known in (self._recordings, self._met, self._refused):
                known.clear()
        return self._works and step - self._since >= PATIENCE

    def step(
        self, view: int, binning: int, degree: int, targets: ColorTargets, rates: Mapping[str, float]
    ) -> Outcome | None:
        """Take a step, Adam included; None: it can't be recorded, and nothing was done.

        Args:
            view: whose camera is rendered, binned so.
            binning: pixels that are one, along each axis.
            degree: of the harmonics.
            targets: of the colours.
            rates: learning rates by name.
        """
        camera = self._cameras.tensors(view, binning)
        types = tuple(image.dtype for image in targets.images)
        kind = _Kind(
            camera["width"], camera["height"], degree, targets.weights, targets.mixes, types,
            targets.mask is not None,
        )  # fmt: skip
        try:
            recording = self._recordings.get(kind) or self._begun(kind, binning, targets)
            if recording is None:
                return None
            self._parameters.set_rates(rates)
            recording.tell(camera, targets)
            return recording.run()
        except Exception as error:  # whatever drivers and compilers raise, the way out is the same
            self._works = False
            self._recordings.clear()
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            warnings.warn(f"steps are not recorded, and so slower: {reason}", stacklevel=2)
            for tensor in self._parameters.tensors.values():
                tensor.grad = None
            return None

    def check(self) -> None:
        """Forget recordings whose room a step has outgrown. Waits for the GPU."""
        if any(recording.is_outgrown() for recording in self._recordings.values()):
            self._margin *= _MARGIN
            self._recordings.clear()

    def _begun(self, kind: _Kind, binning: int, targets: ColorTargets) -> "_Recording | None":
        if kind not in self._met or kind in self._refused:
            self._met.add(kind)
            return None
        room = _MOST_ROOM + 1
        if len(self._recordings) < _MOST and cuda_room.fits(kind.width, kind.height):
            room = self._room(kind, binning)
        if room > _MOST_ROOM:
            self._refused.add(kind)
            return None
        before = None if self._last is None else self._last.keeper
        recording = _Recording(
            kind, self._parameters, self._background, self._refinement, targets, room, before
        )
        self._recordings[kind] = self._last = recording
        return recording

    @torch.no_grad()
    def _room(self, kind: _Kind, binning: int) -> int:
        """Intersections to have room for, by those of some views."""
        gaussians = self._parameters.gaussians()
        shown = (gaussians.means, gaussians.quats, gaussians.scales, gaussians.opacities)
        cameras = self._cameras.some(_SURVEYED, binning, kind.width, kind.height)
        counts = [cuda.intersection_count(*shown, **camera) for camera in cameras]
        return 4096 + int(self._margin * int(torch.stack(counts).max()))


class _Recording:
    """A step that can be repeated: the first time it is taken as it is, the second time recorded.

    It uses the memory of the one `before` it, if any. As each step begins with what lies elsewhere,
    recordings may follow one another in any order, if what one came to is looked at before the next.
    """

    def __init__(
        self,
        kind: _Kind,
        parameters: Parameters,
        background: Tensor,
        refinement: Refinement | None,
        targets: ColorTargets,
        room: int,
        before: "_Recording | None",
    ) -> None:
        device = background.device
        self._kind, self._parameters, self._refinement = kind, parameters, refinement
        self._room, self._background = room, background[None].clone()
        # Recorded are addresses, so what changes from step to step is copied to where it was.
        self._viewmats, self._Ks = torch.empty(1, 4, 4, device=device), torch.empty(1, 3, 3, device=device)
        self._targets = ColorTargets(
            targets.names,
            tuple(torch.empty_like(image, memory_format=torch.contiguous_format) for image in targets.images),
            targets.weights,
            targets.mixes,
            None if targets.mask is None else torch.empty_like(targets.mask),
        )
        moving = [name for name in parameters.tensors if kind.degree > 0 or name != "shN"]
        self._optimizers: list[FusedAdam] = [parameters.adam(name) for name in moving]
        self._factors = torch.empty(len(moving), 2, device=device)
        self._most = torch.zeros((), dtype=torch.int32, device=device)
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._graph: torch.cuda.CUDAGraph | None = None
        self._before = before  # until this one is recorded, see `Recorder`
        self._outcome: Outcome | None = None

    def tell(self, camera: Mapping[str, Any], targets: ColorTargets) -> None:
        """What the next step shall look at."""
        self._viewmats.copy_(camera["viewmats"])
        self._Ks.copy_(camera["Ks"])
        for mine, image in zip(self._targets.images, targets.images, strict=True):
            mine.copy_(image)
        if self._targets.mask is not None and targets.mask is not None:
            self._targets.mask.copy_(targets.mask)

    def run(self) -> Outcome:
        """Take the step."""
        for optimizer in self._optimizers:
            optimizer.initialise()
        # From pageable memory, so that the next step may overwrite it at once.
        self._factors.copy_(torch.tensor(next_factors(self._optimizers)), non_blocking=True)
        outcome = self._repeated()
        count_step(self._optimizers)
        return outcome

    @property
    def keeper(self) -> "_Recording | None":
        """What keeps the memory that recordings share: this one, once it is recorded, or one before it."""
        return self if self._graph is not None else self._before

    def is_outgrown(self) -> bool:
        """Whether a step had more intersections than there is room for. Waits for the GPU."""
        return int(self._most) > self._room

    def _repeated(self) -> Outcome:
        """The step's outcome, by the graph once there is one."""
        if self._stream is None:
            return self._step()
        if self._graph is not None and self._outcome is not None:
            self._graph.replay()
            return self._outcome
        current = torch.cuda.current_stream(self._factors.device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            if self._outcome is None:  # loads and compiles what can't be loaded while recording
                self._outcome = self._step()
            else:
                graph = torch.cuda.CUDAGraph()
                before = None if self._before is None else self._before._graph
                pool = torch.cuda.graph_pool_handle() if before is None else before.pool()
                graph.capture_begin(pool, capture_error_mode="thread_local")
                try:
                    outcome = self._step()
                finally:
                    graph.capture_end()
                self._graph, self._outcome, self._before = graph, outcome, None
        current.wait_stream(self._stream)
        if self._graph is not None:
            self._graph.replay()
        return self._outcome

    def _step(self) -> Outcome:
        tensors, kind = self._parameters.tensors.values(), self._kind
        for tensor in tensors:
            tensor.grad = None
        gaussians = self._parameters.gaussians()
        image, _, meta = cuda.render_within(
            self._room,
            gaussians.means,
            gaussians.quats,
            gaussians.scales,
            gaussians.opacities,
            gaussians.sh0 if kind.degree == 0 else (gaussians.sh0, gaussians.shN),
            self._viewmats,
            self._Ks,
            kind.width,
            kind.height,
            sh_degree=kind.degree,
            backgrounds=self._background,
            absgrad=self._refinement is not None and self._refinement.absgrad,
        )
        if self._refinement is not None:
            self._refinement.before_backward(meta)
        loss = self._targets.loss(image[0])
        loss.total.backward()
        step_by(self._optimizers, self._factors)
        torch.maximum(self._most, meta["total"], out=self._most)
        for tensor in tensors:
            tensor.grad = None
        kept = {name: meta[name] for name in ("radii", "width", "height", "n_cameras")}
        return Outcome(
            ColorLoss(*(part.detach() for part in loss)),
            kept | {"means2d": _without_history(meta["means2d"])},
        )


def _tensors(parameters: Parameters) -> Sequence[Tensor]:
    """Whose addresses a recording holds: parameters, and the moments of those that have moved."""
    moments = []
    for name, tensor in parameters.tensors.items():
        state = parameters.optimizers[name].state.get(tensor, {})
        moments += [state[key] for key in ("exp_avg", "exp_avg_sq") if key in state]
    return [*parameters.tensors.values(), *moments]


def _without_history(means2d: Tensor) -> Tensor:
    """The centres with their gradients, which keep no graph of autograd alive."""
    kept = means2d.detach()
    kept.grad = means2d.grad if means2d.retains_grad else None
    if hasattr(means2d, "absgrad"):
        kept.absgrad = means2d.absgrad  # pyright: ignore[reportAttributeAccessIssue] - gsplat's name
    return kept


def _is(one: Tensor, other: Tensor) -> bool:
    return one is other
