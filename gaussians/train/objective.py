"""What an optimisation minimises: a dictionary of weighted loss terms of one rendered training view."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from gaussians.model import Gaussians
from gaussians.scene.types import View
from gaussians.train.coarse import binned, binned_mask
from gaussians.train.losses import color_loss
from gaussians.train.photos import Photos
from gaussians.train.recipe import Optimise


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


class Objective(Protocol):
    """What an optimisation minimises."""

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

    def __call__(
        self, rendered: Rendered, view_index: int, step: int, gaussians: Gaussians
    ) -> dict[str, Tensor]:
        """The colour loss as one term, "photo"."""
        image = binned(self._photo(view_index, rendered.background), rendered.binning)
        mask = binned_mask(self._photos.mask(view_index), rendered.binning)
        loss = color_loss(rendered.image, image, self._ssim_weight, mask)
        return {"photo": loss.total}

    def _photo(self, view: int, background: Tensor | None) -> Tensor:
        """[H, W, 3] the photo before `background`: uint8 as it is, or float in [0, 1]."""
        image = self._photos.image(view)
        alpha = None if background is None else self._photos.alpha(view)
        if background is None or alpha is None:
            return image
        through = 1 - alpha[..., None].float() / 255
        return image.float() / 255 + through * (background - self._background)
