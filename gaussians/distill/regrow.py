"""A fixed number of Gaussians put where they are needed: the least important go, others split in their place.

Removal alone only ever leaves what the teacher happened to have; what a few large Gaussians should look like
is another matter. So the count is held while a share of it moves, as relocation does in 3DGS-MCMC (Kheradmand
et al. 2024, §4), but to where the image still pulls hardest: those with the largest mean absolute gradient of
their 2-D position split (Ye et al. 2024, AbsGS), into clones where they are small, as in density control.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from gaussians.distill.importance import Lookout, highest
from gaussians.distill.recipe import Simplify
from gaussians.distill.simplify import StagedPrune
from gaussians.train.parameters import Parameters
from gaussians.train.pull import pull
from gaussians.train.refine import seeded
from gaussians.train.schedule import Draws

_CLONE_BELOW = 0.01  # x extent: smaller Gaussians are cloned, larger ones split, as Densify.grow_scale has it


class Regrowth(StagedPrune):
    """StagedPrune that also replaces `simplify.regrow` of the Gaussians every `regrow_every` steps.

    Args:
        simplify, budget, lookout: as for StagedPrune.
        extent: of the scene, world units.
    """

    def __init__(self, simplify: Simplify, budget: int, lookout: Lookout, extent: float) -> None:
        super().__init__(simplify, budget, lookout)
        self._extent = extent
        self._gradients: Tensor | None = None
        self._views: Tensor | None = None

    @property
    def absgrad(self) -> bool:
        """Yes."""
        return True

    def before_backward(self, meta: dict[str, Any]) -> None:
        """Keep the gradient of the projected centres, which autograd would free."""
        meta["means2d"].retain_grad()

    def after_step(self, parameters: Parameters, meta: dict[str, Any], step: int, draws: Draws) -> bool:
        """Add to the statistics; where it is due remove, and split as many as are to be replaced."""
        if step < self._simplify.regrow_stop:
            self._add(meta)
        growing = self._grows_at(step)
        if not growing and not self._is_due(step):
            return False
        scores = self._scores(parameters.gaussians(), step, draws)
        kept = self._kept(scores, step, draws.generator(step, "simplify", scores.device))
        grown = int(self._simplify.regrow * int(kept.sum())) if growing else 0
        if grown:
            kept = highest(torch.where(kept, scores, -1.0), int(kept.sum()) - grown)
        if kept.all():
            return False
        parameters.keep(kept)
        self.keep(kept)
        if grown:
            self._split(parameters, grown, draws.seed(step, "regrow"))
        self._gradients = self._views = None
        return True

    def mean_gradients(self) -> Tensor | None:
        """[N] mean norm of the absolute 2-D position gradient, NDC units; None right after a change."""
        if self._gradients is None or self._views is None:
            return None
        return self._gradients / self._views.clamp(min=1)

    def keep(self, mask: Tensor) -> None:
        """Let statistics and memory follow a removal."""
        super().keep(mask)
        if self._gradients is not None and self._views is not None:
            self._gradients, self._views = self._gradients[mask], self._views[mask]

    def state_dict(self) -> dict[str, Tensor]:
        """The memory and the statistics."""
        statistics = {"gradients": self._gradients, "views": self._views}
        return super().state_dict() | {k: v for k, v in statistics.items() if v is not None}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Continue with these."""
        super().load_state_dict(state)
        self._gradients, self._views = state.get("gradients"), state.get("views")

    def _grows_at(self, step: int) -> bool:
        simplify = self._simplify
        inside = simplify.start < step < simplify.regrow_stop
        return inside and (step - simplify.start) % simplify.regrow_every == 0

    def _add(self, meta: dict[str, Any]) -> None:
        norms, seen = pull(meta, absgrad=True)
        if self._gradients is None or self._views is None:
            self._gradients, self._views = norms, seen
        else:
            self._gradients += norms
            self._views += seen

    def _split(self, parameters: Parameters, count: int, seed: int) -> None:
        """Make two of each of the `count` Gaussians that the images pull at most."""
        from gsplat.strategy.ops import duplicate, split

        gradients = self.mean_gradients()
        assert gradients is not None, "every step before this one has added to them"
        chosen = highest(gradients, count)
        small = parameters.gaussians().scales.detach().amax(dim=-1) <= _CLONE_BELOW * self._extent
        # What is new inherits the importance of what it was split from.
        state = {} if self._memory is None else {"memory": self._memory}
        with seeded(seed, gradients.device):
            if bool((chosen & small).any()):
                duplicate(parameters.tensors, parameters.optimizers, state, chosen & small)
            large = torch.zeros(len(parameters), dtype=torch.bool, device=gradients.device)
            large[: len(chosen)] = chosen & ~small
            if bool(large.any()):
                split(parameters.tensors, parameters.optimizers, state, large)
        if self._memory is not None:
            self._memory = state["memory"]
