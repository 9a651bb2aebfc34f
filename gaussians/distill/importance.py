"""How much each Gaussian matters to the training views, and which to keep for it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gaussians.camera import Camera
from gaussians.model import Gaussians
from gaussians.ranks import ALONE, Ranks
from gaussians.raster import blend_weights, removal_effects
from gaussians.scene.types import View
from gaussians.train.coarse import binned_mask, binning
from gaussians.train.photos import as_tensor
from gaussians.train.recipe import Coarse

_MANY_VIEWS = 17
"""From so many on "effect" does without the one that would miss a Gaussian most; of fewer, partly."""


@dataclass(frozen=True, eq=False)
class Lookout:
    """From where importance is measured.

    Attributes:
        cameras: of the training views.
        masks: [H, W] bool of each, True where a pixel counts; None for all of a view. Empty: all of all.
        background: RGB in [0, 1].
        shares: pixels of the view that one pixel of its camera stands for, for each; empty: 1 for all.
        breathe: called between views while importance is measured.
        ranks: that share the views; all of them measure at the same time, and get the same bits.
    """

    cameras: Sequence[Camera]
    masks: Sequence[np.ndarray | None] = ()
    background: tuple[float, float, float] = (0.0, 0.0, 0.0)
    shares: Sequence[float] = ()
    breathe: Callable[[], None] | None = None
    ranks: Ranks = ALONE

    @classmethod
    def of(
        cls,
        views: Sequence[View],
        background: tuple[float, float, float],
        breathe: Callable[[], None] | None = None,
        ranks: Ranks = ALONE,
        most: int = 1,
    ) -> "Lookout":
        """Training views; large ones smaller by a factor of 2 or 4, but not by more than `most`."""
        cameras, masks, shares = [], [], []
        for view in views:
            factor = binning(Coarse(stop=1, most=most), view.camera.width, view.camera.height, step=0)
            cameras.append(view.camera.binned(factor))
            mask = binned_mask(None if view.mask is None else as_tensor(view.mask), factor)
            masks.append(None if mask is None else mask.numpy())
            shares.append(float(factor**2))
        return cls(cameras, masks, background, shares, breathe, ranks)

    def share(self, view: int) -> float:
        """How many pixels of the view one pixel of its camera stands for."""
        return self.shares[view] if self.shares else 1.0

    def counted(self, view: int, device: torch.device) -> Tensor | None:
        """[1, H, W] float32, 1 where a pixel of the view counts; None: everywhere."""
        mask = self.masks[view] if self.masks else None
        return None if mask is None else torch.tensor(mask, dtype=torch.float32, device=device)[None]


def importance(
    gaussians: Gaussians,
    lookout: Lookout,
    kind: str = "weight",
    views: Sequence[int] | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """[N] how much the views would miss each Gaussian. Pixels that a mask leaves out count nothing.

    Kinds:
        weight: the blend weight α T summed over pixels (Fang & Wang 2024, Mini-Splatting, §4.2).
        area: in each view divided by the number of pixels touched, so that a small or far Gaussian counts as
            a large one does (Mini-Splatting's outdoor variant).
        opacity: of the Gaussian itself; no view is looked at.
        effect: Σ over pixels and channels of the squared change if it were not there, see
            `gaussians.raster.removal_effects`; of many views without the one that would miss it most, as
            what only one photo wants is mostly what is wrong with that photo. Of few views none can be
            spared, as each is the only one to see a part of the scene: of n, (n - 1) / 16 of that one's
            effect is left out, and all of it from 17 on.

    Args:
        gaussians: N of them.
        lookout: the training views.
        kind: one of the above.
        views: indices of those to look at; None: all.
        generator: on the Gaussians' device, of what "effect" draws on a GPU; None: a fresh one.

    Raises:
        SplatError: the Gaussians have NaN or infinity.
    """
    detached = gaussians.map(Tensor.detach)
    if kind == "opacity":
        return detached.opacities
    total = torch.zeros(len(gaussians), device=gaussians.device)
    chosen = range(len(lookout.cameras)) if views is None else views
    draw = generator or torch.Generator(gaussians.device).manual_seed(0)

    def of_view(seeded: tuple[int, int]) -> Tensor:
        return _seen_from(detached, lookout, kind, *seeded)

    def seeded() -> Iterator[tuple[int, int]]:
        # Every rank draws for all views: so each draws the same for its own, however many there are.
        seeds = torch.randint(2**62, (len(chosen),), generator=draw, device=draw.device).tolist()
        for view, seed in zip(chosen, seeds, strict=True):
            if lookout.breathe is not None:
                lookout.breathe()
            yield view, seed

    most = torch.zeros_like(total)
    for scores in lookout.ranks.each(seeded(), of_view):
        total += scores
        most = torch.maximum(most, scores)
    spared = min(1.0, (len(chosen) - 1) / (_MANY_VIEWS - 1)) if kind == "effect" else 0.0
    return total - spared * most if spared > 0 else total


def _seen_from(gaussians: Gaussians, lookout: Lookout, kind: str, view: int, seed: int) -> Tensor:
    """[N] what one view adds to the importance."""
    camera = lookout.cameras[view].tensors(gaussians.device)
    counted, share = lookout.counted(view, gaussians.device), lookout.share(view)
    if kind == "effect":
        behind = torch.tensor([lookout.background], device=gaussians.device)
        draw = torch.Generator(gaussians.device).manual_seed(seed)
        return share * removal_effects(
            **gaussians.render_args(), **camera, backgrounds=behind, pixel_weights=counted, generator=draw
        )
    weight, pixels = blend_weights(
        gaussians.means,
        gaussians.quats,
        gaussians.scales,
        gaussians.opacities,
        **camera,
        pixel_weights=counted,
    )
    return weight / pixels.clamp(min=1) if kind == "area" else share * weight


def spread_views(count: int, most: int) -> list[int]:
    """Indices of at most `most` of `count` views, evenly spread, the first and the last among them."""
    return [int(index) for index in np.linspace(0, count - 1, min(count, most)).round()]


def some_views(count: int, most: int, seed: int) -> list[int]:
    """All indices of `count` views, or `most` of them drawn without replacement, in order."""
    if count <= most:
        return list(range(count))
    return sorted(np.random.default_rng(seed).choice(count, most, replace=False).tolist())


def highest(scores: Tensor, count: int) -> Tensor:
    """[N] mask of the `count` highest of `scores` [N]; of equal ones the earlier. All, if there are fewer."""
    kept = torch.zeros_like(scores, dtype=torch.bool)
    kept[torch.sort(scores, descending=True, stable=True).indices[:count]] = True
    return kept


def keep_mass(scores: Tensor, mass: float = 0.99) -> Tensor:
    """[N] mask of the fewest of the highest `scores` [N] that add up to `mass` of their sum.

    What has no importance at all goes even with a mass of 1.
    """
    ordered, order = torch.sort(scores.double(), descending=True, stable=True)
    before = ordered.cumsum(0) - ordered
    kept = torch.zeros_like(scores, dtype=torch.bool)
    kept[order] = (before < mass * ordered.sum()) & (ordered > 0)
    return kept


def importance_sample(scores: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """[N] mask of `count` drawn without replacement, each draw in proportion to `scores` [N] of the rest.

    What has no importance is never drawn: there may be fewer. Drawn by exponential clocks, the Gaussian of
    score s ringing at rate s, and the first `count` taken (Efraimidis & Spirakis 2006): this has no limit
    on N, where torch.multinomial ends at 2²⁴.

    Args:
        scores: not negative.
        count: to keep.
        generator: on the device of scores.
    """
    clocks = torch.empty_like(scores, dtype=torch.float64).exponential_(generator=generator) / scores.double()
    drawn = torch.zeros_like(scores, dtype=torch.bool)
    drawn[torch.sort(clocks, stable=True).indices[:count]] = True
    return drawn & (scores > 0)
