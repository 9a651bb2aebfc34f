"""What happens in a step beside the optimisation itself: what disturbs it, and what is told of it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

if TYPE_CHECKING:
    from gaussians.train.optimisation import Optimisation


class Variation(Protocol):
    """What makes a teacher another than the vanilla one."""

    def opacities(self, opacities: Tensor, step: int, generator: torch.Generator) -> Tensor:
        """The opacities [N] to render training step `step` with; differentiable in `opacities`."""
        ...

    def disturbs(self, step: int) -> bool:
        """Whether `opacities` changes any in training step `step`."""
        ...

    def after_backward(self, optimisation: "Optimisation", step: int, generator: torch.Generator) -> None:
        """Called after the backward pass and Adam of `step`, before refinement; may edit parameters in place.

        The statistics of `optimisation.mean_gradients()` are those up to the step before.
        """
        ...


@dataclass(frozen=True)
class StepStats:
    """What one training step did.

    Attributes:
        step: steps done, this one included.
        view: index of the training view; of several, the first.
        terms: weighted loss terms by name, means over the views; None but every `log_every` steps, as reading
            them waits for a GPU.
        count: Gaussians after the step.
        seconds: the step took, on the host's clock.
    """

    step: int
    view: int
    terms: dict[str, float] | None
    count: int
    seconds: float
