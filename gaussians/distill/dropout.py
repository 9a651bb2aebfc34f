"""The dropout teacher: Gaussians are left out at random, so that none may count on its neighbours."""

import torch
from torch import Tensor

from gaussians.distill import recipe
from gaussians.train.optimisation import Optimisation
from gaussians.train.variation import Variation


class Dropout(Variation):
    """Every training step of a window, each Gaussian is kept with probability 1 - r (DropGaussian).

    Kept ones have their opacity divided by 1 - r, so that the expected opacity is the true one. This may
    exceed 1; the rasterizer holds alpha at 0.999 pixel by pixel, which costs less of the expectation than
    to hold opacity there. r rises linearly from 0 at `start` to `rate` at `stop`.
    """

    def __init__(self, dropout: recipe.Dropout) -> None:
        self._dropout = dropout

    def rate(self, step: int) -> float:
        """The probability to be dropped at `step`; 0 outside the window."""
        dropout = self._dropout
        if not dropout.start <= step < dropout.stop:
            return 0.0
        return dropout.rate * (step - dropout.start) / (dropout.stop - dropout.start)

    def opacities(self, opacities: Tensor, step: int, generator: torch.Generator) -> Tensor:
        """[N] opacities to render with: 0 for the dropped, larger for the kept."""
        rate = self.rate(step)
        if rate == 0:
            return opacities
        kept = torch.rand(opacities.shape, generator=generator, device=opacities.device) >= rate
        return opacities * kept / (1 - rate)

    def disturbs(self, step: int) -> bool:
        """Whether any may be dropped at `step`."""
        return self.rate(step) > 0

    def after_backward(self, optimisation: Optimisation, step: int, generator: torch.Generator) -> None:
        """Nothing: dropout only disturbs what is rendered."""
