"""What the worker shows the window: a model's image from a camera, in one of two styles."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gaussians.camera import Camera

IMAGE, ELLIPSOIDS = "image", "ellipsoids"  # how models are shown


@dataclass(frozen=True)
class Frame:
    """A rendered view.

    Attributes:
        cell, model: as asked for.
        image: [H, W, 3] uint8.
        camera: it was rendered from.
        count: Gaussians rendered.
        psnr: against the photo at the image's size, on a dataset view; None else.
        seconds: it took.
        sharp: at full size, not the quick one while moving.
        style: it is shown in: ELLIPSOIDS only if that was asked for, and can be.
        extra: "step" of a model in training; of ellipsoids the count of those "drawn"; of "disagreement" the
            "scale" (the standard deviation, in [0, 1] as colours are, that the brightest colour stands for)
            and the "mean".
    """

    cell: str
    model: str
    image: np.ndarray
    camera: Camera
    count: int
    psnr: float | None = None
    seconds: float = 0.0
    sharp: bool = True
    style: str = IMAGE
    extra: dict[str, Any] = field(default_factory=dict)
