"""The model being trained, for whoever wants to look at it between two steps."""

from dataclasses import dataclass

from gaussians.model import Gaussians


@dataclass(frozen=True, eq=False)
class Live:
    """Valid until the next step: not a copy.

    Attributes:
        model: its name.
        gaussians: what would come out now; the parameters themselves, or their running mean.
        step: steps done.
    """

    model: str
    gaussians: Gaussians
    step: int
