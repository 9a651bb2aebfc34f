"""Refinement: how the set of Gaussians changes during an optimisation.

Adaptive density control itself is gsplat's `DefaultStrategy`; added here are the opacity reset, a cap on the
count, reproducible draws, and a state that can be stored.
"""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor

from gaussians.train.mcmc import McmcRefinement
from gaussians.train.parameters import Parameters
from gaussians.train.recipe import Densify
from gaussians.train.schedule import Draws


class Refinement(Protocol):
    """Changes the set of Gaussians between steps."""

    @property
    def absgrad(self) -> bool:
        """Whether the rasterizer must sum absolute 2-D gradients."""
        ...

    def before_backward(self, meta: dict[str, Any]) -> None:
        """Called with the rasterizer's meta dictionary before the backward pass."""
        ...

    def after_step(self, parameters: Parameters, meta: dict[str, Any], step: int, draws: Draws) -> bool:
        """Called after backward pass and Adam of step `step` (from 0).

        Returns whether Gaussians came, went or were reset: a running mean then begins anew.
        """
        ...

    def mean_gradients(self) -> Tensor | None:
        """[N] mean norm of the 2-D position gradient since the last refinement; None: no statistics."""
        ...

    def keep(self, mask: Tensor) -> None:
        """Follow the removal of all Gaussians but those where `mask` [N] is True."""
        ...

    def state_dict(self) -> dict[str, Tensor]:
        """What a checkpoint must hold, by name; not copied."""
        ...

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Continue from what `state_dict` returned; from nothing, if that is empty."""
        ...


class DensifyRefinement:
    """Adaptive density control (Kerbl et al. 2023, §5.2) by gsplat's DefaultStrategy.

    gsplat 1.5.3 never resets opacities: it tests `step % reset_every == 0 & step > 0`, which Python reads as
    `step % reset_every == (0 & step) > 0`. So the reset is made here. Should gsplat come to do it as well,
    in the same step, nothing changes: to clamp opacities twice to one value is to do it once.

    Args:
        densify: thresholds and intervals.
        extent: of the scene, world units.
    """

    def __init__(self, densify: Densify, extent: float) -> None:
        from gaussians.train.strategy import CappedStrategy

        self.absgrad = densify.absgrad
        self._densify = densify
        self._strategy = CappedStrategy(
            prune_opa=densify.prune_opacity,
            grow_grad2d=densify.grad_threshold,
            grow_scale3d=densify.grow_scale,
            prune_scale3d=densify.prune_scale,
            refine_start_iter=densify.start,
            refine_stop_iter=densify.stop,
            refine_every=densify.every,
            reset_every=densify.reset_every,
            absgrad=densify.absgrad,
            cap=densify.cap,
        )
        self._state = self._strategy.initialize_state(scene_scale=extent)

    def before_backward(self, meta: dict[str, Any]) -> None:
        """Keep the gradient of the projected centres, which autograd would free."""
        meta["means2d"].retain_grad()

    def after_step(self, parameters: Parameters, meta: dict[str, Any], step: int, draws: Draws) -> bool:
        """Add to the statistics, and where it is due split, clone, prune and reset opacities."""
        densify, means = self._densify, parameters.tensors["means"]
        if step >= densify.stop:
            return False
        due = step % densify.every == 0
        with seeded(draws.seed(step, "refine"), means.device) if due else contextlib.nullcontext():
            self._strategy.step_post_backward(
                parameters.tensors, parameters.optimizers, self._state, step, meta
            )
        resets = step > 0 and step % densify.reset_every == 0
        if resets:
            self._reset_opacities(parameters)
        return resets or parameters.tensors["means"] is not means

    def mean_gradients(self) -> Tensor | None:
        """[N] mean norm of the 2-D position gradient, NDC units; None before the first step."""
        if self._state["grad2d"] is None:
            return None
        return self._state["grad2d"] / self._state["count"].clamp_min(1)

    def keep(self, mask: Tensor) -> None:
        """Follow the removal of all Gaussians but those where `mask` [N] is True."""
        self._state.update({name: tensor[mask] for name, tensor in self.state_dict().items()})

    def state_dict(self) -> dict[str, Tensor]:
        """The accumulated statistics; empty before the first step."""
        return {name: value for name, value in self._state.items() if isinstance(value, Tensor)}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Continue with these statistics, or without any."""
        for name in ("grad2d", "count"):
            self._state[name] = state.get(name)

    def _reset_opacities(self, parameters: Parameters) -> None:
        from gsplat.strategy.ops import reset_opa

        # To twice the pruning threshold, as the original and gsplat have it.
        value = 2 * self._densify.prune_opacity
        reset_opa(parameters.tensors, parameters.optimizers, self._state, value)


def default_refinement(densify: Densify, extent: float) -> Refinement:
    """What grows an optimisation by its own recipe."""
    return McmcRefinement(densify) if densify.method == "mcmc" else DensifyRefinement(densify, extent)


@contextlib.contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed the global generator, from which gsplat draws where split Gaussians go; restore it afterwards.

    Not by torch.manual_seed, whose first call imports PyTorch's compiler, which takes most of a second.
    """
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        if device.type == "cuda":
            torch.cuda.default_generators[device.index].manual_seed(seed)
        else:
            torch.default_generator.manual_seed(seed)
        yield
