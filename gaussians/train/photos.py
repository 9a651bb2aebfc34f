"""The views' pixels as tensors, without a second copy of them where that can be."""

import warnings
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from gaussians.memory import available_memory
from gaussians.scene.types import View
from gaussians.train.transfer import to_device

_Kind = Literal["image", "mask", "alpha"]
_KINDS: tuple[_Kind, ...] = get_args(_Kind)
_SHARE = 0.5  # of a GPU's free memory that photos may take: the Gaussians are there already, but grow


class Photos:
    """Photos, masks and alphas by the view's index, as they are: 8 bits a channel.

    On the CPU they are the views' own memory, which may be a file's and must not be written to. On another
    device, each is copied there when it is first asked for, and stays as far as there is room.

    Args:
        views: the training views.
        device: where they are wanted.
        room: bytes of another device that they may take; None: half of a GPU's that no tensor has.
    """

    def __init__(self, views: Sequence[View], device: torch.device | str, room: float | None = None) -> None:
        self._views, self._device = views, torch.device(device)
        if room is None and self._device.type == "cuda":
            room = _SHARE * (available_memory(self._device) or 0)
        self._room = float("inf") if room is None else room
        self._kept: dict[tuple[str, int], Tensor] = {}
        if self._device.type == "cpu":
            # All at once: small objects made between a step's large ones keep the heap from shrinking.
            for view in range(len(views)):
                for kind in _KINDS:
                    self._placed(kind, view)

    def __len__(self) -> int:
        return len(self._views)

    def image(self, view: int) -> Tensor:
        """[H, W, 3] uint8."""
        image = self._placed("image", view)
        assert image is not None, "every view has one"
        return image

    def mask(self, view: int) -> Tensor | None:
        """[H, W] bool, True where the pixel counts; None: everywhere."""
        return self._placed("mask", view)

    def alpha(self, view: int) -> Tensor | None:
        """[H, W] uint8; None: the photo has no transparency."""
        return self._placed("alpha", view)

    def _placed(self, kind: _Kind, view: int) -> Tensor | None:
        known = self._kept.get((kind, view))
        if known is not None:
            return known
        pixels: np.ndarray | None = getattr(self._views[view], kind)
        if pixels is None:
            return None
        placed = to_device(as_tensor(pixels), self._device)
        if pixels.nbytes <= self._room:
            self._room -= pixels.nbytes
            self._kept[kind, view] = placed
        return placed


def as_tensor(pixels: np.ndarray) -> Tensor:
    """The same memory as a tensor on the CPU, not to be written to."""
    with warnings.catch_warnings():
        # What cannot be written to is not: no loss has a photo among its outputs.
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(pixels)
