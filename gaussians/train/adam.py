"""Adam, fused: a kernel call a parameter on the CPU, and one for all parameters together on CUDA."""

import functools
import math
from collections.abc import Iterable, Sequence
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim.adam import adam as torch_adam

from gaussians.train import adam_kernels as kernels
from gaussians.triton_kernels import triton_kernels


class FusedAdam(torch.optim.Optimizer):
    """Adam (Kingma & Ba 2015), the same numbers as torch.optim.Adam's, without weight decay or AMSGrad.

    State per parameter: exp_avg and exp_avg_sq of its shape, which gsplat's strategies edit when they add and
    remove Gaussians, and step, a float32 scalar tensor on the CPU.

    Float32 on the CPU goes through our kernels: 26 000 x 59 numbers in 0.5 ms on two cores, against 0.7 ms
    for PyTorch's own fused kernel and 2 ms for its default. Float32 on CUDA goes through a Triton kernel
    where there is Triton. Everything else goes through PyTorch's.
    """

    # The undecorated method: PyTorch's decorator imports its compiler, 0.8 s of every start, for nothing.
    add_param_group = torch.optim.Optimizer.add_param_group.__wrapped__  # pyright: ignore[reportFunctionMemberAccess]

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-15,
    ) -> None:
        """Take parameters, or groups of them, as any torch optimizer does; `eps` is 3DGS's."""
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps})

    @torch.no_grad()
    def step(  # pyright: ignore[reportIncompatibleMethodOverride] - no closures: a step is one render
        self, *, visible: Tensor | None = None
    ) -> None:
        """Update every parameter that has a gradient.

        Args:
            visible: [N] bool, rows to update; the others keep value and moments (the selective Adam of
                Mallick et al. 2024, but with the bias correction of the common step count). None: all.

        Raises:
            ValueError: `visible` does not fit a parameter.
        """
        step_together([self], visible)

    def pending(self) -> Iterable[tuple[Tensor, dict[str, Any], dict[str, Any]]]:
        """Parameters that have a gradient, each with its state and its group's settings."""
        for group in self.param_groups:
            for param in group["params"]:
                if param.grad is not None:
                    yield param, self._initialised(param), group

    @property
    def only_state(self) -> dict[str, Any]:
        """That of a single parameter."""
        ((param,),) = (group["params"] for group in self.param_groups)
        return self.state[param]

    def initialise(self) -> None:
        """Make the states that the first step would make."""
        for group in self.param_groups:
            for param in group["params"]:
                self._initialised(param)

    def _initialised(self, param: Tensor) -> dict[str, Any]:
        """The parameter's state."""
        state = self.state[param]
        if "exp_avg" not in state:
            state["step"] = 0
            state["exp_avg"] = torch.zeros_like(param, memory_format=torch.preserve_format)
            state["exp_avg_sq"] = torch.zeros_like(param, memory_format=torch.preserve_format)
        # A checkpoint may bring it back as a number.
        state["step"] = torch.as_tensor(state["step"], dtype=torch.float32, device="cpu")
        return state


@torch.no_grad()
def step_together(optimizers: Iterable[FusedAdam], visible: Tensor | None = None) -> None:
    """The same as `step` of each, in fewer calls where that can be.

    Args:
        optimizers: of parameters that may differ in all but their rows.
        visible: as for `FusedAdam.step`.

    Raises:
        ValueError: `visible` does not fit a parameter.
    """
    together: dict[tuple[torch.device, tuple[float, float], float, int], list[tuple[Any, ...]]] = {}
    for optimizer in optimizers:
        for param, state, group in optimizer.pending():
            if visible is not None and visible.shape != param.shape[:1]:
                raise ValueError(
                    f"visible {tuple(visible.shape)} does not fit the parameter {tuple(param.shape)}"
                )
            assert param.grad is not None, "pending means that"
            arrays = (param, param.grad, state["exp_avg"], state["exp_avg_sq"])
            ours = all(array.dtype == torch.float32 and array.is_contiguous() for array in arrays)
            if ours and param.device.type == "cpu":
                _update_on_cpu(arrays, state["step"], group, visible)
            elif ours and _on_gpu(param.device) is not None:
                key = (param.device, group["betas"], group["eps"], len(param) if param.dim() else 1)
                state["step"] += 1
                together.setdefault(key, []).append((*arrays, *_factors(state["step"].item(), group)))
            elif visible is None:
                _update_by_torch(arrays, state["step"], group)
            else:
                _update_rows_by_torch(arrays, state["step"], group, visible)
    for (device, betas, eps, _), updates in together.items():
        fused = _on_gpu(device)
        assert fused is not None, "as it was above"
        fused.update([fused.Update(*each) for each in updates], visible, betas, eps)


@torch.no_grad()
def step_by(optimizers: Sequence[FusedAdam], factors: Tensor) -> None:
    """The same for all rows, by factors that are read where the parameters are: so it can be recorded.

    Does not count the step: that does `count_step`.

    Args:
        optimizers: of one parameter each, with a gradient, on one device.
        factors: [P, 2] float32 there, for each what `next_factors` gives.
    """
    pending = [each for optimizer in optimizers for each in optimizer.pending()]
    arrays = [(param, param.grad, state["exp_avg"], state["exp_avg_sq"]) for param, state, _ in pending]
    betas, eps = pending[0][2]["betas"], pending[0][2]["eps"]
    fused = _on_gpu(pending[0][0].device)
    if fused is not None:
        fused.update([fused.Update(*each, 0.0, 0.0) for each in arrays], None, betas, eps, factors)
        return
    for (param, gradient, mean, square), (step_size, correction) in zip(arrays, factors, strict=True):
        assert gradient is not None, "pending means that"
        mean.lerp_(gradient, 1 - betas[0])
        square.mul_(betas[1]).addcmul_(gradient, gradient, value=1 - betas[1])
        param.sub_(step_size * mean / (square.sqrt() * correction + eps))


class BoundAdam:
    """Adam on the CPU of parameters that stay: where they and their moments lie is looked up once.

    Args:
        optimizers: of one contiguous float32 parameter each; None: of one that has no gradient, and stays.

    Attributes:
        params, firsts, seconds: of each a flat array, empty where it stays, and Adam's moments of it.
    """

    def __init__(self, optimizers: Sequence[FusedAdam | None]) -> None:
        self._moving: list[tuple[Tensor, dict[str, Any]] | None] = []
        places = []
        for optimizer in optimizers:
            if optimizer is None:
                self._moving.append(None)
                places.append((np.empty(0, np.float32),) * 3)
                continue
            optimizer.initialise()
            (group,), state = optimizer.param_groups, optimizer.only_state
            tensors = (group["params"][0], state["exp_avg"], state["exp_avg_sq"])
            self._moving.append((state["step"], group))
            places.append(tuple(tensor.detach().numpy().reshape(-1) for tensor in tensors))
        self.params, self.firsts, self.seconds = (tuple(arrays) for arrays in zip(*places, strict=True))

    def begin_step(self) -> np.ndarray:
        """Count a step, which is then to be taken; [P, 6] float32 what `update_all` takes beside arrays."""
        numbers = np.zeros((len(self._moving), 6), np.float32)
        for row, moving in zip(numbers, self._moving, strict=True):
            if moving is not None:
                step, group = moving
                step += 1
                row[:] = _numbers(step.item(), group)
        return numbers


def is_fused(device: torch.device) -> bool:
    """Whether a GPU's parameters move by our own kernel: what else is recorded has its kernels then, too."""
    return _on_gpu(device) is not None


def next_factors(optimizers: Iterable[FusedAdam]) -> list[tuple[float, float]]:
    """Step size and correction of each one's next step; see `_factors`."""
    return [
        _factors(optimizer.only_state["step"].item() + 1, optimizer.param_groups[0])
        for optimizer in optimizers
    ]


def count_step(optimizers: Iterable[FusedAdam]) -> None:
    """What `step_by` has done, or will have."""
    for optimizer in optimizers:
        optimizer.only_state["step"] += 1


@functools.cache
def _on_gpu(device: torch.device) -> ModuleType | None:
    """The kernel for a GPU's parameters, which never waits; None where there is none."""
    return triton_kernels("gaussians.train.adam_triton", device, "Adam takes PyTorch's kernels")


def _factors(count: float, group: dict[str, Any]) -> tuple[float, float]:
    """Of step `count`, from 1: rate over the mean's bias correction, 1 over the root of the square's."""
    beta1, beta2 = group["betas"]
    return group["lr"] / (1 - beta1**count), 1 / math.sqrt(1 - beta2**count)


def _update_on_cpu(
    arrays: tuple[Tensor, ...], step: Tensor, group: dict[str, Any], visible: Tensor | None
) -> None:
    """Update parameter, (gradient,) mean and mean square in place, by our kernels."""
    step += 1
    numbers = np.array(_numbers(step.item(), group), np.float32)  # kernels compute in the type of these
    param, gradient, mean, square = (array.detach().numpy().reshape(-1) for array in arrays)
    if visible is None:
        kernels.update_all(param, gradient, mean, square, *numbers)
    else:
        kernels.update_rows(param, gradient, mean, square, visible.numpy(), *numbers)


def _numbers(count: float, group: dict[str, Any]) -> tuple[float, ...]:
    """What the kernels take beside arrays, in step `count`."""
    beta1, beta2 = group["betas"]
    return 1 - beta1, beta2, 1 - beta2, *_factors(count, group), group["eps"]


def _update_by_torch(arrays: Sequence[Tensor], step: Tensor, group: dict[str, Any]) -> None:
    """As `_update_on_cpu`, on any device and in any type."""
    beta1, beta2 = group["betas"]
    torch_adam(
        *([array] for array in arrays),
        max_exp_avg_sqs=[],
        state_steps=[step.to(arrays[0].device, copy=True)],  # where PyTorch's kernel wants it
        fused=True,
        amsgrad=False,
        beta1=beta1,
        beta2=beta2,
        lr=group["lr"],
        weight_decay=0.0,
        eps=group["eps"],
        maximize=False,
    )
    step += 1


def _update_rows_by_torch(
    arrays: Sequence[Tensor], step: Tensor, group: dict[str, Any], visible: Tensor
) -> None:
    """The same for the visible rows only. On a GPU this waits."""
    index = visible.nonzero()[:, 0]
    gathered = tuple(array[index] for array in arrays)
    _update_by_torch(gathered, step, group)
    for whole, part in zip(arrays, gathered, strict=True):
        whole[index] = part
