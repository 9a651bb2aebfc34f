"""Coarse to fine: at first, steps look at views a half or a quarter of their size.

What a few blurred Gaussians can show is on a small image already, at a fraction of the cost (DashGaussian,
Chen et al. 2025, lets the resolution grow throughout; two halvings are simpler and keep pixels whole). An
image is binned: each of its pixels is the mean of factor² of the photo's, and a binned camera sees just
those, to the bit of its intrinsics; what is left over at the right and the bottom is not seen.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gaussians.camera import Camera
from gaussians.train.recipe import Coarse

_FACTORS = (4, 2)


class Cameras:
    """The cameras of an optimisation as `rasterize` takes them, at the size that a step wants.

    Args:
        cameras: at full size.
        coarse: the schedule.
        steps: of the optimisation; at least half of them are at full size.
        device: where to train.
    """

    def __init__(self, cameras: Sequence[Camera], coarse: Coarse, steps: int, device: torch.device) -> None:
        self._cameras, self._device = cameras, device
        self._coarse = dataclasses.replace(coarse, stop=min(coarse.stop, steps // 2))
        self._full = [camera.tensors(device) for camera in cameras]
        self._binned: dict[tuple[int, int], dict[str, Any]] = {}

    def factor(self, view: int, step: int) -> int:
        """By how much a view is smaller in this step (from 0), along each axis: 4, 2 or 1."""
        camera = self._cameras[view]
        return binning(self._coarse, camera.width, camera.height, step)

    def some(self, count: int, factor: int, width: int, height: int) -> list[dict[str, Any]]:
        """About `count`, evenly spread, of the cameras that are so large so binned; all of few."""
        sized = [
            view
            for view, camera in enumerate(self._cameras)
            if (camera.width // factor, camera.height // factor) == (width, height)
        ]
        return [self.tensors(view, factor) for view in sized[:: max(1, len(sized) // count)]]

    def tensors(self, view: int, factor: int) -> dict[str, Any]:
        """A view's camera, as `Camera.tensors` gives it."""
        if factor == 1:
            return self._full[view]
        if (view, factor) not in self._binned:
            self._binned[view, factor] = self._cameras[view].binned(factor).tensors(self._device)
        return self._binned[view, factor]


def binning(coarse: Coarse, width: int, height: int, step: int) -> int:
    """By how much an image of this size is smaller in a step: 4 in the first half, 2, and then 1.

    Never more than `coarse.most`, nor so much that less than `coarse.pixels` were left.
    """
    pixels = width * height if min(width, height) >= _FACTORS[0] else 0
    for part, factor in enumerate(_FACTORS, start=1):
        in_time = step < coarse.stop * part / len(_FACTORS)
        if in_time and factor <= coarse.most and pixels >= factor**2 * coarse.pixels:
            return factor
    return 1


def binned(image: Tensor, factor: int) -> Tensor:
    """[H // factor, W // factor, C] means of an image; float in [0, 1] if it is uint8; at factor 1 as it is.

    Args:
        image: [H, W, C] uint8 or float.
        factor: pixels that become one, along each axis.
    """
    if factor == 1:
        return image
    if image.dtype == torch.uint8 and image.device.type == "cpu":
        from gaussians.train.binning_kernels import bin_image

        height, width, channels = image.shape
        out = np.empty((height // factor, width // factor, channels), np.float32)
        bin_image(image.numpy(), factor, out)
        return torch.from_numpy(out)
    return _plainly_binned(image, factor)


def binned_mask(mask: Tensor | None, factor: int) -> Tensor | None:
    """[H // factor, W // factor] bool: where all pixels of a mask [H, W] that become one count."""
    if mask is None or factor == 1:
        return mask
    return _blocks(mask[..., None], factor)[..., 0].all(dim=3).all(dim=1)


def _plainly_binned(image: Tensor, factor: int) -> Tensor:
    """As `binned`, on any device."""
    means = _blocks(image, factor).float().mean(dim=(1, 3))
    return means if image.is_floating_point() else means / 255


def _blocks(image: Tensor, factor: int) -> Tensor:
    """[h, factor, w, factor, C] of [H, W, C]."""
    height, width = image.shape[0] // factor, image.shape[1] // factor
    cut = image[: height * factor, : width * factor]
    return cut.reshape(height, factor, width, factor, -1)
