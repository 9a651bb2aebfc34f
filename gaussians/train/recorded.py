"""Steps as CUDA graphs: what a step asks of the GPU is recorded once, and then asked for as a whole.

A step of a compact model keeps an H100 busy for half a millisecond and its host for several, with a hundred
launches that are the same in each step. Recorded are steps that minimise the colour loss alone, of a set of
Gaussians that has stayed for a while and is not large. All else goes step by step as ever; everything, with a
warning, where recording fails.

The numbers are those of steps that are not recorded, but for one case: a recording has room for half as many
intersections again as the views had that were counted before. What needs more lacks its farthest Gaussians;
that is noticed when the loss is next logged, or NaN looked for, and the step recorded anew with more room.
"""

import warnings
from collections.abc import Mapping

import torch
from torch import Tensor

from gaussians.raster import cuda, cuda_room
from gaussians.train.adam import is_fused
from gaussians.train.coarse import Cameras
from gaussians.train.objective import ColorTargets
from gaussians.train.parameters import Parameters
from gaussians.train.recipe import Optimise
from gaussians.train.recording import Kind, Recording
from gaussians.train.refine import Refinement
from gaussians.train.shortcut import LOOKS_EVERY, Outcome, Sight

PATIENCE = 20
"""Steps that the set of Gaussians has to stay before recording, which costs as much time as ten steps do."""
_MOST = 4  # recordings at a time: of different sizes of views, or weights of losses
_SURVEYED = 24  # views whose intersections are counted
_MARGIN = 1.5
# Intersections. On an H100 a step with room for 1.7 million took 3.33 ms recorded and 3.58 not, with room for
# 2.9 million 5.60 and 5.32: then the GPU is busy anyway, and gsplat sorts less.
_MOST_ROOM = 2_000_000


def can_record(recipe: Optimise, device: torch.device, backend: str) -> bool:
    """Whether steps are of the kind that a recorder knows, and there are kernels for it."""
    return device.type == "cuda" and backend in ("auto", "cuda") and recipe.is_plain and is_fused(device)


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
        self._recordings: dict[Kind, Recording] = {}
        self._met: set[Kind] = set()  # weights that change in every step are not worth it
        self._refused: set[Kind] = set()
        # Recordings share their memory, which is there for as long as one of them is: hence the last one.
        self._last: Recording | None = None
        self._stream = _recording_stream(background.device)
        self._margin = _MARGIN
        self._works = True

    def is_ready(self, step: int) -> bool:
        """Whether the Gaussians have stayed for long enough, and this is no step that looks for NaN."""
        if not self._parameters.are(self._held):
            self._held, self._since = self._parameters.held(), step
            for known in (self._recordings, self._met, self._refused):
                known.clear()
        looks = (step + 1) % LOOKS_EVERY == 0
        if looks:
            self.check()  # a step that looks for NaN waits for the GPU anyway
        return self._works and step - self._since >= PATIENCE and not looks

    def step(
        self, step: int, sight: Sight, targets: ColorTargets, rates: Mapping[str, float], logs: bool
    ) -> Outcome | None:
        """See `Shortcut`; None: it can't be recorded."""
        view, binning, degree = sight
        camera = self._cameras.tensors(view, binning)
        types = tuple(image.dtype for image in targets.images)
        kind = Kind(
            camera["width"], camera["height"], degree, targets.weights, targets.mixes, types,
            targets.mask is not None,
        )  # fmt: skip
        try:
            recording = self._recordings.get(kind) or self._begun(kind, binning, targets)
            if recording is None:
                return None
            self._parameters.set_rates(rates)
            recording.tell(camera, targets)
            outcome = recording.run()
        except Exception as error:  # whatever drivers and compilers raise, the way out is the same
            self._works = False
            self._recordings.clear()
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            warnings.warn(f"steps are not recorded, and so slower: {reason}", stacklevel=2)
            for tensor in self._parameters.tensors.values():
                tensor.grad = None
            return None
        if logs:
            self.check()
        return outcome

    def check(self) -> None:
        """Forget recordings whose room a step has outgrown. Waits for the GPU."""
        if any(recording.is_outgrown() for recording in self._recordings.values()):
            self._margin *= _MARGIN
            self._recordings.clear()

    def _begun(self, kind: Kind, binning: int, targets: ColorTargets) -> "Recording | None":
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
        recording = Recording(
            kind, self._parameters, self._background, self._refinement, targets, room, self._stream, before
        )
        self._recordings[kind] = self._last = recording
        return recording

    @torch.no_grad()
    def _room(self, kind: Kind, binning: int) -> int:
        """Intersections to have room for, by those of some views."""
        gaussians = self._parameters.gaussians()
        shown = (gaussians.means, gaussians.quats, gaussians.scales, gaussians.opacities)
        cameras = self._cameras.some(_SURVEYED, binning, kind.width, kind.height)
        counts = [cuda.intersection_count(*shown, **camera) for camera in cameras]
        return 4096 + int(self._margin * int(torch.stack(counts).max()))


def _recording_stream(device: torch.device) -> torch.cuda.Stream | None:
    """Where steps are recorded; what is recorded keeps the priority that it is asked for with."""
    if device.type != "cuda":
        return None
    return torch.cuda.Stream(device, priority=torch.cuda.current_stream(device).priority)
