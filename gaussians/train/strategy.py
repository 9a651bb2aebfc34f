"""gsplat's adaptive density control with a cap on the count. Import at first use: gsplat slows the start.

The two methods overridden are gsplat's own seams between gathering statistics and acting on them; they are
internal to it, which is why pyproject.toml holds gsplat below 1.6 and tests compare with the original.
"""

from dataclasses import dataclass
from typing import Any

import torch
from gsplat.strategy import DefaultStrategy
from torch.optim import Optimizer

from gaussians.train.pull import pull

Params = dict[str, torch.nn.Parameter] | torch.nn.ParameterDict


@dataclass
class CappedStrategy(DefaultStrategy):
    """DefaultStrategy that never grows beyond `cap` Gaussians, for unpacked meta dictionaries."""

    cap: int = 1_000_000

    def _update_state(
        self, params: Params, state: dict[str, Any], info: dict[str, Any], packed: bool = False
    ) -> None:
        """Add the norms of the 2-D gradients (NDC units) and the number of views that see each Gaussian."""
        norms, seen = pull(info, self.absgrad)
        if state["grad2d"] is None:
            state["grad2d"], state["count"] = norms, seen
        else:
            state["grad2d"] += norms
            state["count"] += seen

    def _grow_gs(
        self, params: Params, optimizers: dict[str, Optimizer], state: dict[str, Any], step: int
    ) -> tuple[int, int]:
        """Grow by those of the largest gradients, if not all that deserve it fit under the cap.

        Every chosen Gaussian becomes two, by cloning or by splitting, so the room left is how many may be
        chosen. gsplat chooses what is strictly above the threshold, so that the first one left out gives it.
        """
        room = max(0, self.cap - len(params["means"]))
        wanted = self.grow_grad2d
        if room < len(params["means"]):
            gradients = state["grad2d"] / state["count"].clamp_min(1)
            self.grow_grad2d = max(wanted, float(gradients.topk(room + 1).values[-1]))
        try:
            return super()._grow_gs(params, optimizers, state, step)
        finally:
            self.grow_grad2d = wanted
