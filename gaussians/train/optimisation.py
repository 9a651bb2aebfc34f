"""One 3-D Gaussian Splatting optimisation, as a generator (Kerbl et al. 2023, §5).

A step reads top to bottom in `Optimisation._step`. What differs between teachers and student is plugged in:
the objective (what is minimised), the variation (what is disturbed), the refinement (what is added and
removed).
"""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from gaussians.camera import Camera
from gaussians.errors import SplatError, TrainingError
from gaussians.model import Gaussians
from gaussians.ranks import ALONE, Ranks
from gaussians.raster.checks import FiniteCheck
from gaussians.scene.types import View
from gaussians.train.average import WeightAverage
from gaussians.train.batch import Batch, Order, Pass
from gaussians.train.coarse import Cameras
from gaussians.train.direct import Direct, can_go_direct
from gaussians.train.free_space import FreeSpace, is_due
from gaussians.train.initial import with_sh_degree
from gaussians.train.objective import Objective, PhotoObjective, Rendered, regularisers
from gaussians.train.parameters import FIELDS, Parameters, part
from gaussians.train.recipe import Optimise
from gaussians.train.recorded import Recorder, can_record
from gaussians.train.refine import Refinement, default_refinement
from gaussians.train.renderer import Renderer
from gaussians.train.schedule import active_sh_degree, learning_rates
from gaussians.train.shortcut import LOOKS_EVERY, Shortcut, Sight
from gaussians.train.variation import StepStats, Variation


class Optimisation:
    """Parameters, Adam's state, refinement's state, and the step that moves them all.

    All randomness is a function of seed, stream and step. So a run that is stored by `state_dict` and
    continued by `load_state_dict` gives the same numbers as one that was not (on the CPU to the bit).

    Args:
        gaussians: where to start; copied. SH coefficients are cut or padded to the recipe's degree.
        views: to train on, at least one.
        recipe: how.
        extent: of the scene, world units.
        background: RGB in [0, 1].
        seed, stream: of all draws; teachers of one run differ by the name of their stream.
        device: where to train.
        objective: None: L1 and D-SSIM against the photos, weighted as in the recipe.
        variation: None: none.
        refinement: "default": growth as in the recipe, by density control or MCMC; None: the count stays.
        start: the first step's number, in the recipe's schedules.
        backend: of the rasterizer.
        further: cameras without photos, which the objective knows; indexed after the views.
        order: turns the view drawn for a step, and the step, into the index of what is trained on; None: that
            view itself.
        ranks: that share the views of each step, each with this same optimisation; only without a variation.
        free: space that is kept clear of Gaussians; None: none is.

    Attributes:
        step: steps done.
        shortcut: takes most steps; None: all go the long way, which it may be set to.
    """

    def __init__(
        self,
        gaussians: Gaussians,
        views: Sequence[View],
        recipe: Optimise,
        *,
        extent: float,
        background: tuple[float, float, float],
        seed: int,
        stream: str,
        device: torch.device | str = "cpu",
        objective: Objective | None = None,
        variation: Variation | None = None,
        refinement: Refinement | Literal["default"] | None = "default",
        start: int = 0,
        backend: str = "auto",
        further: Sequence[Camera] = (),
        order: Order | None = None,
        ranks: Ranks = ALONE,
        free: FreeSpace | None = None,
    ) -> None:
        assert variation is None or ranks.count == 1, "its draws follow those of one rank's views"
        if not views:
            raise TrainingError(f"{stream}: no view to train on; hold out fewer images")
        self.device = torch.device(device)
        self.recipe = recipe
        self.step = start
        self._parameters = Parameters(with_sh_degree(gaussians, recipe.sh_degree).to(self.device))
        cameras = [*(view.camera for view in views), *further]
        self._cameras = Cameras(cameras, recipe.coarse, recipe.steps, self.device)
        self._background = torch.tensor(background, dtype=torch.float32, device=self.device)
        self._extent = extent
        self._batch = Batch(recipe.batch, len(views), order, seed, stream, ranks)
        self._stream = stream
        self._objective = objective or PhotoObjective(views, recipe.ssim_weight, background, self.device)
        self._variation = variation
        self._draws = variation is not None or recipe.random_background
        if refinement == "default":
            refinement = default_refinement(recipe.densify, extent)
        self._refinement = refinement
        self._average = WeightAverage(recipe.average, recipe.steps)
        self._renderer = Renderer(self._cameras, recipe, self._background, variation, backend)
        self._free = free
        self.shortcut: Shortcut | None = None
        for kind, can in ((Direct, can_go_direct), (Recorder, can_record)):
            if can(recipe, self.device, backend):
                self.shortcut = kind(self._parameters, self._cameras, self._background, self._refinement)

    def __len__(self) -> int:
        """The number of Gaussians."""
        return len(self._parameters)

    @property
    def live(self) -> Gaussians:
        """The parameters themselves, with gradients, valid until the next step: no copy."""
        return self._parameters.gaussians()

    @property
    def model(self) -> Gaussians:
        """What would come out now: the running mean of the parameters where there is one, else `live`.

        Valid until the next step: no copy.
        """
        mean = self._average.mean
        return self.live if mean is None else Gaussians(**{FIELDS[name]: mean[name] for name in mean})

    def gaussians(self) -> Gaussians:
        """A detached copy of `model`."""
        return self.model.detached()

    def mean_gradients(self) -> Tensor | None:
        """[N] mean norm of the 2-D position gradients since the last refinement, NDC units; None: unknown."""
        return None if self._refinement is None else self._refinement.mean_gradients()

    def keep(self, mask: Tensor) -> None:
        """Remove all Gaussians but those where `mask` [N] is True, between steps; Adam's moments follow."""
        self._parameters.keep(mask)
        self._average.keep(mask)
        if self._refinement is not None:
            self._refinement.keep(mask)

    def steps(self, until: int | None = None) -> Iterator[StepStats]:
        """Train, yielding after every step, until `until` steps are done (None: the recipe's).

        Raises:
            TrainingError: the loss is not finite (looked at every `log_every` steps), or a value of the
                Gaussians (then, and every hundredth step at the latest), or no Gaussian is left.
            RanksError: another rank is gone.
        """
        # Vanishing gradients become denormal numbers, on which CPUs take a hundred times as long.
        torch.set_flush_denormal(True)
        last = self.recipe.steps if until is None else until
        self._batch.align(self._parameters, self._where, self.step)
        while self.step < last:
            yield self._step(logs=(self.step + 1) % self.recipe.log_every == 0 or self.step + 1 == last)

    def state_dict(self) -> dict[str, Tensor]:
        """What `load_state_dict` needs to continue with the same numbers: a flat dictionary of copies.

        Raises:
            TrainingError: a value of the Gaussians is not finite, and what could be continued would be lost.
        """
        try:
            FiniteCheck(self._parameters.tensors).finish()
        except SplatError as error:
            raise TrainingError(f"{self._where}: {error}") from error
        state = self._parameters.state_dict()
        if self._refinement is not None:
            refinement = self._refinement.state_dict()
            state.update({f"refinement.{name}": tensor.clone() for name, tensor in refinement.items()})
        state.update({f"average.{name}": tensor for name, tensor in self._average.state_dict().items()})
        state["step"] = torch.tensor(self.step)
        return state

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Continue from what `state_dict` returned, of this optimisation or of the one it forks from.

        Raises:
            TrainingError: something is missing from `state`.
        """
        self._parameters.load_state_dict(state)
        if self._refinement is not None:
            refinement = part(state, "refinement.")
            self._refinement.load_state_dict(
                {name: tensor.to(self.device).clone() for name, tensor in refinement.items()}
            )
        self._average.load_state_dict(part(state, "average."), self.device)
        self.step = int(state["step"])

    def _step(self, logs: bool) -> StepStats:
        began = time.perf_counter()
        batch, step = self._batch, self.step
        rates = learning_rates(self.recipe.rates, self._extent, step, self.recipe.steps)
        generators = {place: batch.generator(place, step, self.device) for place in batch.mine if self._draws}
        view = batch.view(0, step)
        passes = self._shortened(view, rates, logs)
        shortened = passes is not None
        if passes is None:
            looks = logs or (step + 1) % LOOKS_EVERY == 0
            passes = [
                self._pass(batch.view(place, step) if place else view, generators.get(place), looks)
                for place in batch.mine
            ]
        meta = batch.together(passes, self._parameters, self._absgrad)
        values = self._finite(batch.means(passes)) if logs else None
        if not shortened:
            self._parameters.step(rates, batch.seen(passes) if self.recipe.selective else None)
        if self._variation is not None:
            with torch.no_grad():
                self._variation.after_backward(self, step, generators[0])
        changed = False
        if self._refinement is not None:
            changed = self._refinement.after_step(self._parameters, meta, step, batch.draws)
        if changed:
            batch.align(self._parameters, self._where, step)
        self._average.add(self._parameters.tensors, step, changed)
        if self._free is not None and is_due(step + 1, self.recipe.steps):
            self._clear(self._free)
        self.step += 1
        return StepStats(self.step, view, values, len(self), time.perf_counter() - began)

    def _shortened(self, view: int, rates: Mapping[str, float], logs: bool) -> list[Pass] | None:
        """The step's pass by the shortcut, with Adam's step; None where there is none for it."""
        shortcut, step = self.shortcut, self.step
        if shortcut is None or not shortcut.is_ready(step):
            return None
        if self._variation is not None and self._variation.disturbs(step):
            return None
        binning = self._cameras.factor(view, step)
        targets = self._objective.colors(view, step, binning)
        if targets is None:
            return None
        sight = Sight(view, binning, active_sh_degree(self.recipe, step))
        try:
            outcome = shortcut.step(step, sight, targets, rates, logs)
        except SplatError as error:
            raise TrainingError(f"{self._where}: {error}") from error
        if outcome is None:
            return None
        terms = targets.terms(outcome.loss) if logs and outcome.loss is not None else {}
        return [Pass(terms, outcome.meta)]

    def _clear(self, free: FreeSpace) -> None:
        """Remove what would come out inside free space, unless that is all there is."""
        kept = ~free.holds(self.model.means)
        if bool(kept.any()) and not bool(kept.all()):
            self.keep(kept)
            self._batch.align(self._parameters, self._where, self.step)

    def _pass(self, view: int, generator: torch.Generator | None, looks: bool = True) -> Pass:
        """Add to the gradients those of a view's share of the mean loss; `looks` for NaN, too."""
        gaussians = self.live
        rendered = self._render(gaussians, view, generator, looks)
        terms = self._objective(rendered, view, self.step, gaussians)
        terms |= regularisers(gaussians, self.recipe, self._extent)
        if self._refinement is not None:
            self._refinement.before_backward(rendered.meta)
        first, *more = terms.values()
        total = torch.stack([first, *more]).sum() if more else first
        (total if self._batch.size == 1 else total / self._batch.size).backward()
        return Pass({name: term.detach() for name, term in terms.items()}, rendered.meta)

    def _render(
        self, gaussians: Gaussians, view: int, generator: torch.Generator | None, looks: bool
    ) -> Rendered:
        if len(gaussians) == 0:
            raise TrainingError(f"{self._where}: no Gaussian is left; prune less")
        try:
            return self._renderer.render(gaussians, view, self.step, generator, self._absgrad, looks)
        except SplatError as error:
            raise TrainingError(f"{self._where}: {error}") from error

    @property
    def _absgrad(self) -> bool:
        return self._refinement is not None and self._refinement.absgrad

    @property
    def _where(self) -> str:
        return f"{self._stream}, step {self.step + 1}"

    def _finite(self, values: dict[str, float]) -> dict[str, float]:
        bad = [f"{name} = {value}" for name, value in values.items() if not math.isfinite(value)]
        if bad:
            raise TrainingError(
                f"{self._where}: the loss is not finite ({', '.join(bad)}); "
                "lower the learning rates or the loss weights"
            )
        return values
