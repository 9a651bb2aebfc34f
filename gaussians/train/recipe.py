"""How one 3DGS optimisation runs. Defaults: the original's, as gsplat's Default trainer has them."""

import dataclasses
from dataclasses import dataclass, field

from gaussians.options import option


@dataclass(frozen=True)
class LearningRates:
    """Adam learning rates, for one view a step."""

    means: float = option(1.6e-4, "of positions, in units of the scene's extent", low=0, high=1)
    means_final: float = option(0.01, "factor on it reached exponentially at the last step", low=1e-4, high=1)
    log_scales: float = option(5e-3, "of log-scales", low=0, high=1)
    quats: float = option(1e-3, "of quaternions", low=0, high=1)
    logit_opacities: float = option(0.05, "of opacity logits", low=0, high=1)
    sh0: float = option(2.5e-3, "of the constant colour coefficient", low=0, high=1)
    shN: float = option(1.25e-4, "of the higher colour coefficients", low=0, high=1)
    final: float = option(1.0, "factor on all but positions' reached at the last step", low=1e-4, high=1)


@dataclass(frozen=True)
class Densify:
    """Growth: adaptive density control (Kerbl et al. 2023, §5.2) by gsplat, or Kheradmand et al. 2024."""

    method: str = option("gradient", "gradient: adaptive density control; mcmc: relocation and noise")
    start: int = option(500, "first step that may split or clone", low=0)
    stop: int = option(15_000, "no splitting, cloning, pruning or opacity reset from here on", low=0)
    every: int = option(100, "steps between refinements", low=1)
    grad_threshold: float = option(2e-4, "mean 2-D position gradient that makes a Gaussian split", low=0)
    absgrad: bool = option(False, "use absolute 2-D gradients (AbsGS); wants a threshold near 8e-4")
    grow_scale: float = option(0.01, "larger ones split, smaller ones clone; in units of the extent", low=0)
    prune_opacity: float = option(0.005, "more transparent ones are removed", low=0, high=1)
    prune_scale: float = option(0.1, "larger ones are removed, after the first reset; x extent", low=0)
    reset_every: int = option(3000, "steps between opacity resets", low=1)
    cap: int = option(1_000_000, "no growth beyond this many Gaussians", low=1)


@dataclass(frozen=True)
class Coarse:
    """Coarse to fine: views are a quarter, from half of that time half as wide. Where photos are large."""

    stop: int = option(0, "first step at full size, at half of all steps at the latest; 0: all full", low=0)
    pixels: int = option(30_000, "a view is made smaller only as far as it keeps as many", low=1)
    most: int = option(4, "a view is at most this much smaller along each axis", low=1, high=4)


@dataclass(frozen=True)
class Optimise:
    """One optimisation: how long, by which losses, how it grows."""

    steps: int = option(30_000, "training steps, of `batch` views each", low=1)
    batch: int = option(1, "views of a step, whose mean loss counts; several ranks share them", low=1)
    sh_degree: int = option(3, "highest spherical-harmonic degree of the colours", low=0, high=3)
    sh_every: int = option(1000, "steps between one more SH degree; 0: all from the start", low=0)
    ssim_weight: float = option(0.2, "weight of D-SSIM against L1 in a colour loss", low=0, high=1)
    initial_opacity: float = option(0.1, "opacity of Gaussians made from points", low=1e-3, high=0.99)
    opacity_reg: float = option(0.0, "weight of the mean opacity in the loss; mcmc wants 0.01", low=0)
    scale_reg: float = option(0.0, "weight of the mean scale / extent in it; mcmc wants 0.01", low=0)
    random_background: bool = option(False, "train on a random background colour each step")
    average: float = option(
        0.0, "decay of a running mean of the weights, which comes out; 0: none", low=0, high=0.9999
    )
    clearance: float = option(
        0.0, "x the nearest points' depth about cameras and their ways is kept clear; 0: off", low=0, high=0.5
    )
    selective: bool = option(False, "Adam moves only Gaussians that a view of the step sees")
    log_every: int = option(10, "steps between lines in metrics.jsonl", low=1)
    rates: LearningRates = field(default_factory=LearningRates)
    densify: Densify = field(default_factory=Densify)
    coarse: Coarse = field(default_factory=Coarse)

    @property
    def is_plain(self) -> bool:
        """Whether a step is one view's losses and Adam of all Gaussians, and nothing else."""
        regularised = self.opacity_reg > 0 or self.scale_reg > 0
        return self.batch == 1 and not (self.selective or self.random_background or regularised)

    def scaled(self, factor: float) -> "Optimise":
        """The same course in `factor` times the steps; the refinement interval stays."""
        densify = dataclasses.replace(
            self.densify,
            start=scale_steps(self.densify.start, factor),
            stop=scale_steps(self.densify.stop, factor),
            reset_every=max(1, scale_steps(self.densify.reset_every, factor)),
        )
        return dataclasses.replace(
            self,
            steps=max(1, scale_steps(self.steps, factor)),
            sh_every=max(min(1, self.sh_every), scale_steps(self.sh_every, factor)),
            average=_scaled_decay(self.average, factor),
            densify=densify,
            coarse=dataclasses.replace(self.coarse, stop=scale_steps(self.coarse.stop, factor)),
        )


def _scaled_decay(decay: float, factor: float) -> float:
    """The decay whose memory is `factor` times as many steps long."""
    return min(0.9999, max(0.0, 1 - (1 - decay) / factor)) if decay > 0 else 0.0


def scale_steps(step: int, factor: float) -> int:
    """`factor` times `step`, rounded half up, so that equal steps stay equal."""
    return int(step * factor + 0.5)
