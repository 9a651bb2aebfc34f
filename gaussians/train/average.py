"""Weight averaging: a running mean of the parameters, better on views that training did not see.

Steps on one view each leave the parameters wandering about an optimum; their mean lies nearer to it than the
last of them (Polyak and Juditsky 1992; for networks Izmailov et al. 2018). What it brings here:
docs/method.md.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

_REACH = 6.0  # in units of 1 / (1 - decay): what is farther back would weigh less than e^-6 in the end


class WeightAverage:
    """Exponential moving average of named tensors over the end of an optimisation.

    Until as many steps are averaged as the decay remembers, they weigh alike. A change of the set of
    Gaussians begins it anew.

    Args:
        decay: share of the mean so far in the next; 0: no averaging.
        steps: of the whole optimisation.
    """

    def __init__(self, decay: float, steps: int) -> None:
        self._decay = decay
        self._first = steps - _REACH / (1 - decay) if decay > 0 else float("inf")
        self._count = 0
        self._mean: dict[str, Tensor] = {}

    @torch.no_grad()
    def add(self, tensors: Mapping[str, Tensor], step: int, changed: bool) -> None:
        """Take in the parameters after step `step`; `changed`: Gaussians were added or removed in it."""
        if changed:
            self._count, self._mean = 0, {}
        if step < self._first:
            return
        self._count += 1
        if not self._mean:
            self._mean = {name: tensor.detach().clone() for name, tensor in tensors.items()}
            return
        weight = max(1 - self._decay, 1 / self._count)
        torch._foreach_lerp_(  # pyright: ignore[reportPrivateImportUsage] - as its optimizers do
            list(self._mean.values()), [tensors[name] for name in self._mean], weight
        )

    @property
    def mean(self) -> Mapping[str, Tensor] | None:
        """The averaged tensors, not a copy; None while there are none."""
        return self._mean or None

    def keep(self, mask: Tensor) -> None:
        """Follow the removal of all Gaussians but those where `mask` [N] is True."""
        self._mean = {name: mean[mask] for name, mean in self._mean.items()}

    def state_dict(self) -> dict[str, Tensor]:
        """Copies, for a checkpoint; empty while there is no mean."""
        state = {name: mean.clone() for name, mean in self._mean.items()}
        return state | {"count": torch.tensor(self._count)} if state else {}

    def load_state_dict(self, state: Mapping[str, Tensor], device: torch.device) -> None:
        """Continue from what `state_dict` returned; from nothing, if that is empty."""
        self._count = int(state["count"]) if state else 0
        self._mean = {name: tensor.to(device).clone() for name, tensor in state.items() if name != "count"}
