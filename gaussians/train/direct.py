"""Steps on the CPU without autograd: render, loss, gradients and Adam one after another, on arrays.

Where the colour loss is the whole loss, as in nearly all steps, nothing is left for autograd to find out.
What it costs, together with tensors made and looked up on the way, is the same whatever the model: a tenth
of a student's step on two cores, and more of it the more cores there are, all but one of which wait
meanwhile. Nor need gradients be written to memory where nobody else looks at them: they go straight into
Adam. The numbers are those of the long way, to the bit.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from gaussians.raster.checks import FiniteCheck
from gaussians.raster.cpu.functions import Array
from gaussians.raster.cpu.stored import FEWEST, CentreGradients, Drawn, Shot, Shown, draw, show, unblend
from gaussians.train.adam import BoundAdam
from gaussians.train.coarse import Cameras
from gaussians.train.descent_kernels import descend
from gaussians.train.fused_loss import Fused
from gaussians.train.objective import ColorTargets
from gaussians.train.parameters import Parameters
from gaussians.train.recipe import Optimise
from gaussians.train.refine import Refinement
from gaussians.train.shortcut import LOOKS_EVERY, Outcome, Sight

# As many Gaussians are held on to between steps. With more, their memory is looked up anew in each: where a
# refinement replaces them, those before would else stay beside them.
_FEW = 50_000


def can_go_direct(recipe: Optimise, device: torch.device, backend: str) -> bool:
    """Whether steps are of the kind that `Direct` knows."""
    return device.type == "cpu" and backend in ("auto", "cpu") and recipe.is_plain


class Direct:
    """Takes the steps of an optimisation on the CPU.

    Args:
        parameters: of the optimisation.
        cameras: of its views.
        background: [3] behind the Gaussians.
        refinement: asked for absolute gradients, and told of each render before its gradient.
    """

    def __init__(
        self, parameters: Parameters, cameras: Cameras, background: Tensor, refinement: Refinement | None
    ) -> None:
        self._parameters, self._cameras = parameters, cameras
        self._backgrounds, self._refinement = background[None], refinement
        self._bound: _Bound | None = None

    def is_ready(self, step: int) -> bool:
        """Whether there are as many Gaussians as kernels take at a time."""
        return len(self._parameters) >= FEWEST

    def step(
        self, step: int, sight: Sight, targets: ColorTargets, rates: Mapping[str, float], logs: bool
    ) -> Outcome | None:
        """See `Shortcut`; None: the loss is not finite, which the long way tells.

        Raises:
            SplatError: a value of Gaussians or camera is not finite, in a step that looks for it.
            ValueError: targets of another size than the camera's.
        """
        refinement, bound = self._refinement, self._found(sight.degree)
        sees = self._cameras.tensors(sight.view, sight.binning)
        shot = Shot.of(
            len(self._parameters), **sees, backgrounds=self._backgrounds, sh_degree=sight.degree,
            absgrad=refinement is not None and refinement.absgrad, differentiable=True,
        )  # fmt: skip
        looks = logs or (step + 1) % LOOKS_EVERY == 0
        if looks:
            FiniteCheck(
                {"viewmats": sees["viewmats"], "Ks": sees["Ks"], "backgrounds": self._backgrounds}
            ).finish()
        shown = show(bound.stored, shot, looks)
        drawn = draw(shown, shot)
        loss = Fused.of(drawn.image, targets.images, targets.weights, targets.mixes, targets.mask)
        values = loss.values() if logs else None
        if values is not None and not math.isfinite(values.total):
            return None
        meta = shot.meta()
        if refinement is not None:
            shot.means2d.requires_grad_()  # as those who ask for its gradient expect
            refinement.before_backward(meta)
        self._parameters.set_rates(rates)
        self._descend(bound.adam, shown, shot, drawn, unblend(shot, drawn, loss.gradient))
        if len(self._parameters) > _FEW:
            self._bound = None
        return Outcome(values, meta)

    def _descend(self, adam: BoundAdam, shown: Shown, shot: Shot, drawn: Drawn, moments: Array) -> None:
        """From what images say to the next parameters; tells the shot, too."""
        bins, by_centres = drawn.bins, CentreGradients.of(shot)
        descend(
            bins.threads, bins.visible, bins.spans, moments, shot.frame, shot.centre, shot.degree,
            shown.scales, shown.opacities, shot.conics[0].numpy(), shot.radii[0].numpy(), drawn.colors,
            *by_centres.arrays(), shown.means, shown.quats, shown.sh0, shown.shN, adam.params, adam.firsts,
            adam.seconds, adam.begin_step(),
        )  # fmt: skip
        by_centres.tell(shot)

    def _found(self, degree: int) -> "_Bound":
        """Where the parameters lie now; those of higher bands stay while none of these is in use."""
        bound = self._bound
        if bound is None or bound.has_bands != (degree > 0) or not self._parameters.are(bound.held):
            still = () if degree > 0 else ("shN",)
            adam = BoundAdam(
                [None if name in still else self._parameters.adam(name) for name in Shown._fields]
            )
            stored = tuple(self._parameters.tensors[name].detach() for name in Shown._fields)
            self._bound = bound = _Bound(degree > 0, stored, adam, self._parameters.held())
        return bound


class _Bound(NamedTuple):
    """Parameters for as long as their tensors stay, in the order of `Shown`.

    Attributes:
        has_bands: of harmonics beyond the constant.
        stored: without gradients.
        adam: of those that move.
        held: what must have stayed.
    """

    has_bands: bool
    stored: tuple[Tensor, ...]
    adam: BoundAdam
    held: tuple[Tensor, ...]
