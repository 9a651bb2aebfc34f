"""How a student gets down to its budget while it trains: refinements that remove by importance."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from gaussians.distill.importance import (
    Lookout,
    highest,
    importance,
    importance_sample,
    keep_mass,
    some_views,
)
from gaussians.distill.recipe import Simplify
from gaussians.model import Gaussians
from gaussians.train.parameters import Parameters
from gaussians.train.refine import Refinement
from gaussians.train.schedule import Draws

_MEMORY = "importance"


def stage_steps(first: int, last: int, stages: int) -> list[int]:
    """The steps of removals spread evenly from `first` to `last`; a single one comes at `last`."""
    if stages == 1:
        return [last]
    steps = {first + round((last - first) * stage / (stages - 1)) for stage in range(stages)}
    return sorted(steps)  # fewer, where the steps don't suffice


def stage_count(count: int, budget: int, stages: int, stage: int, pace: float = 1.0) -> int:
    """What a stage leaves of the `count` Gaussians that the one before has left.

    Of N at the beginning and B in the end, stage i of S leaves N (B / N)^((i / S)^pace): with a pace of 1
    all remove the same fraction, with less the first ones remove more. The last one leaves B exactly.

    Args:
        stages, stage: S and i, from 1.
    """
    if count <= budget:
        return count
    before, after = ((i / stages) ** pace for i in (stage - 1, stage))
    share = (after - before) / (1 - before)
    return budget if stage == stages else round(count * (budget / count) ** share)


class StagedPrune(Refinement):
    """Removes the least important Gaussians in stages, with time to recover between them.

    What a stage leaves follows from the count there is, so the step alone says what is due. With a memory
    each importance is averaged with those before, so that nothing goes for one unlucky draw of views, until
    the inner refinement changes the Gaussians. At
    `mass_step`, with a mass below 1, what adds least to the importance goes as well.

    Args:
        simplify: when, by which importance, and in how many stages.
        budget: Gaussians left after the last stage, if there are more.
        lookout: the training views, to measure importance in.
        inner: what else refines, before; it has to stop growing by the last stage.
    """

    def __init__(
        self, simplify: Simplify, budget: int, lookout: Lookout, inner: Refinement | None = None
    ) -> None:
        self._simplify = simplify
        self._budget = budget
        self._lookout = lookout
        self._inner = inner
        self._memory: Tensor | None = None
        self._stages = stage_steps(simplify.start, simplify.stop, simplify.stages)

    @property
    def absgrad(self) -> bool:
        """Whether the inner refinement wants absolute 2-D gradients."""
        return self._inner is not None and self._inner.absgrad

    def before_backward(self, meta: dict[str, Any]) -> None:
        """As the inner refinement."""
        if self._inner is not None:
            self._inner.before_backward(meta)

    def after_step(self, parameters: Parameters, meta: dict[str, Any], step: int, draws: Draws) -> bool:
        """Refine, then remove what is due; whether Gaussians changed."""
        changed = self._inner is not None and self._inner.after_step(parameters, meta, step, draws)
        if changed:
            self._memory = None  # of other Gaussians
        if not self._is_due(step):
            return changed
        scores = self._scores(parameters.gaussians(), step, draws)
        kept = self._kept(scores, step, draws.generator(step, "simplify", scores.device))
        if not kept.all():
            parameters.keep(kept)
            self.keep(kept)
            changed = True
        return changed

    def mean_gradients(self) -> Tensor | None:
        """As the inner refinement; None without one."""
        return None if self._inner is None else self._inner.mean_gradients()

    def keep(self, mask: Tensor) -> None:
        """Let the inner refinement and the memory follow a removal."""
        if self._memory is not None:
            self._memory = self._memory[mask]
        if self._inner is not None:
            self._inner.keep(mask)

    def state_dict(self) -> dict[str, Tensor]:
        """The inner refinement's, and the memory."""
        state = {} if self._inner is None else dict(self._inner.state_dict())
        return state if self._memory is None else state | {_MEMORY: self._memory}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Give the inner refinement its state, and take the memory."""
        self._memory = state.get(_MEMORY)
        if self._inner is not None:
            self._inner.load_state_dict(state)

    def _scores(self, gaussians: Gaussians, step: int, draws: Draws) -> Tensor:
        """[N] the importance at `step`, averaged with what is remembered."""
        simplify = self._simplify
        generator = draws.generator(step, "importance", gaussians.device)
        views = some_views(len(self._lookout.cameras), simplify.views, draws.seed(step, "importance views"))
        scores = importance(gaussians, self._lookout, simplify.importance, views, generator)
        if simplify.memory == 0:
            return scores
        if self._memory is not None:
            scores = torch.lerp(scores, self._memory, simplify.memory)
        self._memory = scores
        return scores

    def _is_due(self, step: int) -> bool:
        mass_due = self._simplify.mass < 1 and step == self._simplify.mass_step
        return mass_due or step in self._stages

    def _kept(self, scores: Tensor, step: int, generator: torch.Generator) -> Tensor:
        """[N] mask of what stays at `step`, by the importance [N]."""
        kept = torch.ones_like(scores, dtype=torch.bool)
        if self._simplify.mass < 1 and step == self._simplify.mass_step:
            kept = keep_mass(scores, self._simplify.mass)
        if step in self._stages:
            stages, stage = len(self._stages), self._stages.index(step) + 1
            left = stage_count(int(kept.sum()), self._budget, stages, stage, self._simplify.pace)
            kept = kept & highest(scores, left)
        return kept


class PaperRefinement(StagedPrune):
    """The paper's way down from points: densify, draw a fraction by importance, start over, cut the tail.

    At `start` the fraction `sample` is drawn in proportion to importance (Mini-Splatting, §4.2), but never
    fewer than the budget; opacities fall back to at most `initial_opacity` and Adam starts anew, so that
    those left share out the work of the others. Then as StagedPrune, whose stages all come later.

    Args:
        simplify, budget, lookout: as for StagedPrune.
        inner: adaptive density control.
        initial_opacity: as the recipe's optimisation has it.
    """

    def __init__(
        self,
        simplify: Simplify,
        budget: int,
        lookout: Lookout,
        inner: Refinement | None,
        initial_opacity: float,
    ) -> None:
        super().__init__(simplify, budget, lookout, inner)
        self._initial_opacity = initial_opacity
        self._stages = stage_steps(simplify.start, simplify.stop, simplify.stages + 1)[1:]

    def after_step(self, parameters: Parameters, meta: dict[str, Any], step: int, draws: Draws) -> bool:
        """Refine, remove what is due, and start over after the draw; whether Gaussians changed."""
        changed = super().after_step(parameters, meta, step, draws)
        if step == self._simplify.start:
            self._start_over(parameters)
            return True
        return changed

    def _is_due(self, step: int) -> bool:
        return step == self._simplify.start or super()._is_due(step)

    def _kept(self, scores: Tensor, step: int, generator: torch.Generator) -> Tensor:
        if step == self._simplify.start:
            count = max(self._budget, round(self._simplify.sample * len(scores)))
            return importance_sample(scores, count, generator)
        return super()._kept(scores, step, generator)

    @torch.no_grad()
    def _start_over(self, parameters: Parameters) -> None:
        highest_logit = torch.tensor(self._initial_opacity).logit().item()
        parameters.tensors["opacities"].clamp_(max=highest_logit)
        for optimizer in parameters.optimizers.values():
            optimizer.state.clear()
