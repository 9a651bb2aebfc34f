"""What an optimisation minimises: a dictionary of weighted loss terms of one rendered training view."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from gaussians.model import Gaussians
from gaussians.scene.types import View
from gaussians.train.coarse import binned, binned_mask
from gaussians.train.losses import color_losses
from gaussians.train.photos import Photos
from gaussians.train.plain_loss import ColorLoss
from gaussians.train.recipe import Optimise
from gaussians.train.transfer import to_device


@dataclass(frozen=True, eq=False)
class Rendered:
    """A training view as the Gaussians show it, with gradients.

    Attributes:
        image: [H, W, 3], not clamped.
        alpha: [H, W].
        background: [3] the random colour behind the Gaussians; None: the scene's, as in the photos.
        meta: the rasterizer's meta dictionary.
        binning: pixels of the view that are one here, along each axis.
    """

    image: Tensor
    alpha: Tensor
    background: Tensor | None
    meta: dict[str, Any]
    binning: int = 1


@dataclass(frozen=True, eq=False)
class ColorTargets:
    """What a rendered view's colours are compared with.

    Attributes:
        names: of the loss terms.
        images: [H, W, 3] float in [0, 1] or uint8, of each.
        weights: of each.
        mixes: share of D-SSIM of each.
        mask: [H, W] bool, where pixels count; None: everywhere.
    """

    names: tuple[str, ...]
    images: tuple[Tensor, ...]
    weights: tuple[float, ...]
    mixes: tuple[float, ...]
    mask: Tensor | None

    def loss(self, rendered: Tensor) -> ColorLoss:
        """Of a rendered image [H, W, 3]."""
        return color_losses(rendered, self.images, self.weights, self.mixes, self.mask)

    def terms(self, loss: ColorLoss) -> dict[str, Tensor]:
        """By name. Each has its own value, and their sum the gradient of all.

        Only the total has a gradient, so the last term is what the total has beyond the others' values.
        """
        if len(self.names) == 1:
            return {self.names[0]: loss.total}
        shares = torch.tensor([self.weights, [1 - mix for mix in self.mixes]], dtype=torch.float32)
        weight, by_l1 = to_device(shares, loss.l1.device)
        values = weight * (by_l1 * loss.l1 + (1 - by_l1) * loss.dssim)
        terms = {name: value.detach() for name, value in zip(self.names, values, strict=True)}
        *others, last = terms
        terms[last] = loss.total - sum(terms[name] for name in others)
        return terms


class Objective(Protocol):
    """What an optimisation minimises."""

    def colors(
        self, view_index: int, step: int, binning: int, background: Tensor | None = None
    ) -> ColorTargets | None:
        """What the step's colours are compared with, where that is the whole of the loss; else None."""
        ...

    def __call__(
        self, rendered: Rendered, view_index: int, step: int, gaussians: Gaussians
    ) -> dict[str, Tensor]:
        """The weighted terms of the loss by name: scalars whose sum is minimised.

        Args:
            rendered: the render of the training view.
            view_index: which of the views.
            step: from 0.
            gaussians: the live parameters, for losses on them.
        """
        ...


def regularisers(gaussians: Gaussians, recipe: Optimise, extent: float) -> dict[str, Tensor]:
    """Weighted means of opacity and scale (Kheradmand et al. 2024, eq. 10), where they have a weight."""
    terms = {}
    if recipe.opacity_reg > 0:
        terms["opacity"] = recipe.opacity_reg * gaussians.opacities.mean()
    if recipe.scale_reg > 0:
        terms["scale"] = recipe.scale_reg * gaussians.scales.mean() / extent
    return terms


class PhotoObjective:
    """(1 - w) L1 + w D-SSIM against the photos (Kerbl et al. 2023, eq. 7), within the views' masks.

    Before a random background, transparent photos are put over the same one. Opaque photos stay as they are:
    then the random colour teaches the Gaussians to leave no holes.

    Args:
        views: the training views.
        ssim_weight: w.
        background: RGB in [0, 1] that transparent photos are composited over.
        device: where to train.
    """

    def __init__(
        self,
        views: Sequence[View],
        ssim_weight: float,
        background: tuple[float, float, float],
        device: torch.device | str,
    ) -> None:
        self._photos = Photos(views, device)
        self._ssim_weight = ssim_weight
        self._background = torch.tensor(background, dtype=torch.float32, device=device)

    def colors(
        self, view_index: int, step: int, binning: int, background: Tensor | None = None
    ) -> ColorTargets:
        """The photo."""
        image = binned(self._photo(view_index, background), binning)
        mask = binned_mask(self._photos.mask(view_index), binning)
        return ColorTargets(("photo",), (image,), (1.0,), (self._ssim_weight,), mask)

    def __call__(
        self, rendered: Rendered, view_index: int, step: int, gaussians: Gaussians
    ) -> dict[str, Tensor]:
        """The colour loss as one term, "photo"."""
        targets = self.colors(view_index, step, rendered.binning, rendered.background)
        return targets.terms(targets.loss(rendered.image))

    def _photo(self, view: int, background: Tensor | None) -> Tensor:
        """[H, W, 3] the photo before `background`: uint8 as it is, or float in [0, 1]."""
        image = self._photos.image(view)
        alpha = None if background is None else self._photos.alpha(view)
        if background is None or alpha is None:
            return image
        through = 1 - alpha[..., None].float() / 255
        return image.float() / 255 + through * (background - self._background)
