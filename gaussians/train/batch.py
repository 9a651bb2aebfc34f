"""The views of one step: which they are, which of them fall to this rank, and what they come to together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gaussians.errors import TrainingError
from gaussians.ranks import ALONE, Ranks
from gaussians.train.parameters import Parameters
from gaussians.train.pull import pull, pulled_together
from gaussians.train.schedule import Draws

Order = Callable[[int, int, Draws], int]
"""Turns the view drawn for a step, and the step, into the index of what is trained on."""


@dataclass(frozen=True, eq=False)
class Pass:
    """One view of a step, after its backward pass.

    Attributes:
        terms: weighted loss terms by name, without gradients.
        meta: the rasterizer's meta dictionary.
    """

    terms: dict[str, Tensor]
    meta: dict[str, Any]


class Batch:
    """Draws the views of steps, and adds up what ranks have made of them.

    Args:
        size: views of a step.
        photos: views to draw from.
        order: may replace a drawn view; None: none is.
        seed, stream: of all draws.
        ranks: that share the views.

    Attributes:
        size: as given.
        draws: of the first view, and of all that is drawn once a step.
    """

    def __init__(
        self, size: int, photos: int, order: Order | None, seed: int, stream: str, ranks: Ranks = ALONE
    ) -> None:
        self.size = size
        self._draws = [Draws(seed, stream if place == 0 else f"{stream} {place}") for place in range(size)]
        self.draws = self._draws[0]
        self._photos, self._order, self._ranks = photos, order, ranks

    @property
    def mine(self) -> Sequence[int]:
        """The places in the batch of the views that fall to this rank."""
        return self._ranks.share(range(self.size))

    def view(self, place: int, step: int) -> int:
        """The index of what is trained on at this place of a step."""
        view = self.draws.view(step * self.size + place, self._photos)
        return view if self._order is None else self._order(view, step, self._draws[place])

    def generator(self, place: int, step: int, device: torch.device) -> torch.Generator:
        """Of all that is drawn while this view is rendered."""
        return self._draws[place].generator(step, "step", device)

    def together(self, passes: Sequence[Pass], parameters: Parameters, absgrad: bool) -> dict[str, Any]:
        """Add up the gradients over the ranks; the meta dictionary of the whole step. Raises RanksError."""
        metas = [one.meta for one in passes]
        if self.size == 1:
            return metas[0]
        self._ranks.add(parameters.gradients())
        if not metas[0]["means2d"].retains_grad:  # no refinement has asked for it
            return metas[0]
        whole = pulled_together([pull(meta | {"n_cameras": self.size}, absgrad) for meta in metas])
        self._ranks.add(pull(whole, absgrad))
        return whole

    def seen(self, passes: Sequence[Pass]) -> Tensor:
        """[N] bool, whether any view of the step, of any rank, sees the Gaussian. Raises RanksError."""
        views = [(one.meta["radii"] > 0).all(dim=-1).any(dim=0) for one in passes]
        count = torch.stack(views).sum(dim=0, dtype=torch.int32)
        self._ranks.add([count])
        return count > 0

    def means(self, passes: Sequence[Pass]) -> dict[str, float]:
        """Of each term over the views of all ranks; one that a view lacks counts as 0. Raises RanksError."""
        own = [{name: float(term) for name, term in one.terms.items()} for one in passes]
        views = [terms for told in self._ranks.tell(own) for terms in told]
        names = dict.fromkeys(name for terms in views for name in terms)
        return {name: sum(terms.get(name, 0.0) for terms in views) / len(views) for name in names}

    def align(self, parameters: Parameters, where: str, step: int) -> None:
        """Let all ranks have rank 0's parameters: where the set of Gaussians changes they may drift apart.

        Raises:
            TrainingError: they have drifted too far.
            RanksError: another rank is gone.
        """
        states = self._ranks.tell((step, len(parameters)))
        if len(set(states)) > 1:
            raise TrainingError(
                f"{where}: ranks disagree on steps done and Gaussians left ({states}); "
                "give all of them the same kind of device, then resume"
            )
        self._ranks.copy([tensor.data for tensor in parameters.tensors.values()])
