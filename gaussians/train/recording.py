"""One step as a CUDA graph: what it is made of, how it is recorded and repeated. When: see `recorded`."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gaussians.raster import cuda
from gaussians.train.adam import FusedAdam, count_step, next_factors, step_by
from gaussians.train.capture import capturing
from gaussians.train.objective import ColorTargets
from gaussians.train.parameters import Parameters
from gaussians.train.plain_loss import ColorLoss
from gaussians.train.refine import Refinement
from gaussians.train.shortcut import Outcome


class Kind(NamedTuple):
    """What is built into a recording beside the Gaussians themselves."""

    width: int
    height: int
    degree: int
    weights: tuple[float, ...]
    mixes: tuple[float, ...]
    types: tuple[torch.dtype, ...]
    masked: bool


class Recording:
    """A step that can be repeated: the first time it is taken as it is, the second time recorded.

    It uses the memory of the one `before` it, if any, which was on the same `stream` (None: there is no GPU).
    As each step begins with what lies elsewhere, recordings may follow one another in any order, if what one
    came to is looked at before the next.
    """

    def __init__(
        self,
        kind: Kind,
        parameters: Parameters,
        background: Tensor,
        refinement: Refinement | None,
        targets: ColorTargets,
        room: int,
        stream: torch.cuda.Stream | None,
        before: "Recording | None",
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
        self._stream = stream
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
    def keeper(self) -> "Recording | None":
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
                with capturing(graph, pool, self._factors.device):
                    outcome = self._step()
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
        loss = self._targets.loss(image.squeeze(0))
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


def _without_history(means2d: Tensor) -> Tensor:
    """The centres with their gradients, which keep no graph of autograd alive."""
    kept = means2d.detach()
    kept.grad = means2d.grad if means2d.retains_grad else None
    if hasattr(means2d, "absgrad"):
        kept.absgrad = means2d.absgrad  # pyright: ignore[reportAttributeAccessIssue] - gsplat's name
    return kept
