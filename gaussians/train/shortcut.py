"""Steps by a shorter way than render, objective and autograd: what an optimisation knows of it.

There are two: `Direct` on the CPU, `Recorder` on a GPU. Both do what the long way does.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from gaussians.train.objective import ColorTargets
from gaussians.train.plain_loss import ColorLoss

LOOKS_EVERY = 100
"""At least every so many steps one looks for NaN in the Gaussians."""


class Sight(NamedTuple):
    """How a step sees.

    Attributes:
        view: whose camera is rendered.
        binning: pixels of it that are one, along each axis.
        degree: of the harmonics in use.
    """

    view: int
    binning: int
    degree: int


class Outcome(NamedTuple):
    """What a step came to, until the next one.

    Attributes:
        loss: the colour loss; None: nobody asked.
        meta: of the rasterizer, as far as refinements look at it.
    """

    loss: ColorLoss | None
    meta: dict[str, Any]


class Shortcut(Protocol):
    """Takes steps that minimise the colour loss alone, undisturbed."""

    def is_ready(self, step: int) -> bool:
        """Whether it would take this step. To be asked once in every step."""
        ...

    def step(
        self, step: int, sight: Sight, targets: ColorTargets, rates: Mapping[str, float], logs: bool
    ) -> Outcome | None:
        """Take a step, Adam included; None: it is one for the long way, and nothing was done.

        Args:
            step: from 0.
            sight: how it sees.
            targets: of the colours.
            rates: learning rates by name.
            logs: the loss is wanted, and that all went well.
        """
        ...
