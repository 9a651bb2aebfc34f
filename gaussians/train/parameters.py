"""The trainable tensors of an optimisation, each with the Adam that moves it."""

import operator
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer

from gaussians.errors import TrainingError
from gaussians.model import Gaussians
from gaussians.train.adam import FusedAdam, step_together

FIELDS = {
    "means": "means",
    "scales": "log_scales",
    "quats": "quats",
    "opacities": "logit_opacities",
    "sh0": "sh0",
    "shN": "shN",
}
"""Our field for each of gsplat's names, by which its strategies find the parameters."""

_MOMENTS = ("exp_avg", "exp_avg_sq")


class Parameters:
    """Gaussians as gsplat's strategies want them: a dictionary of parameters, and one of optimizers.

    Attributes:
        tensors: parameter by gsplat's name; `scales` are logarithms, `opacities` logits. Refinement replaces
            the entries, so hold no reference to them across steps.
        optimizers: one Adam with a single parameter each, by the same names.
    """

    def __init__(self, gaussians: Gaussians) -> None:
        self.tensors: dict[str, Parameter] = {}
        self.optimizers: dict[str, Optimizer] = {}
        for name, field in FIELDS.items():
            self._add(name, getattr(gaussians, field))

    def __len__(self) -> int:
        return len(self.tensors["means"])

    def gaussians(self) -> Gaussians:
        """The live parameters, with gradients: no copy."""
        return Gaussians(**{field: self.tensors[name] for name, field in FIELDS.items()})

    def gradients(self) -> list[Tensor]:
        """Those there are, not copies."""
        return [tensor.grad for tensor in self.tensors.values() if tensor.grad is not None]

    def step(self, rates: Mapping[str, float], visible: Tensor | None = None) -> None:
        """One Adam step with these learning rates, by name; gradients are then gone.

        Args:
            rates: learning rates by name.
            visible: [N] bool, Gaussians to move; None: all.
        """
        self.set_rates(rates)
        step_together([self.adam(name) for name in self.optimizers], visible)
        for tensor in self.tensors.values():
            tensor.grad = None

    def set_rates(self, rates: Mapping[str, float]) -> None:
        """Of the next steps, by name."""
        for name, optimizer in self.optimizers.items():
            optimizer.param_groups[0]["lr"] = rates[name]

    def adam(self, name: str) -> FusedAdam:
        """The optimizer of a parameter: `optimizers` is as gsplat types it."""
        optimizer = self.optimizers[name]
        assert isinstance(optimizer, FusedAdam), "as `_add` made it"
        return optimizer

    def held(self) -> tuple[Tensor, ...]:
        """All tensors whose memory a shortcut may hold: parameters, and moments of those that have moved."""
        moments = []
        for name, tensor in self.tensors.items():
            state = self.optimizers[name].state.get(tensor, {})
            moments += [state[key] for key in _MOMENTS if key in state]
        return (*self.tensors.values(), *moments)

    def are(self, held: tuple[Tensor, ...]) -> bool:
        """Whether they are still those."""
        now = self.held()
        return len(now) == len(held) and all(map(operator.is_, now, held))

    def keep(self, mask: Tensor) -> None:
        """Remove all Gaussians, and their moments, but those where `mask` [N] is True."""
        from gsplat.strategy.ops import remove

        remove(self.tensors, self.optimizers, {}, ~mask)

    def append(self, index: Tensor) -> None:
        """Add copies of the Gaussians at `index` [M], with repeats, at the end; their moments are 0."""
        from gsplat.strategy.ops import _update_param_with_optimizer

        _update_param_with_optimizer(
            lambda name, tensor: Parameter(torch.cat([tensor, tensor[index]])),
            lambda key, moment: torch.cat([moment, moment.new_zeros(len(index), *moment.shape[1:])]),
            self.tensors,
            self.optimizers,
        )

    def state_dict(self) -> dict[str, Tensor]:
        """Copies of parameters ("params.means") and of Adam's state ("adam.means.exp_avg", "….step")."""
        state = {}
        for name, parameter in self.tensors.items():
            state[f"params.{name}"] = parameter.detach().clone()
            for key, value in self.optimizers[name].state.get(parameter, {}).items():
                state[f"adam.{name}.{key}"] = torch.as_tensor(value).clone()
        return state

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Continue from what `state_dict` returned, whatever the count; on the device there was.

        Raises:
            TrainingError: a parameter is missing.
        """
        for name in FIELDS:
            if f"params.{name}" not in state:
                raise TrainingError(f"checkpoint: holds no {name}; start the run anew")
            device = self.tensors[name].device
            self._add(name, state[f"params.{name}"].to(device))
            saved = part(state, f"adam.{name}.")
            if saved:
                moments = {key: saved[key].to(device).clone() for key in _MOMENTS}
                step = saved["step"].clone()
                self.optimizers[name].state[self.tensors[name]] = {"step": step, **moments}

    def _add(self, name: str, tensor: Tensor) -> None:
        self.tensors[name] = Parameter(tensor.detach().clone(memory_format=torch.contiguous_format))
        self.optimizers[name] = FusedAdam([self.tensors[name]])


def part(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The entries whose names begin so, by what follows."""
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
