"""Images and masks to compare losses on."""

import numpy as np
import torch
from torch import Tensor


def images(height: int, width: int, count: int, seed: int = 0) -> list[Tensor]:
    """Smooth images with some noise and some flat parts, so that SSIM spans its range."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / 12.0
    out = []
    for index in range(count):
        waves = [0.5 + 0.4 * np.sin((index + c + 1) * x + c) * np.cos(y - index) for c in range(3)]
        image = np.stack(waves, axis=-1) + 0.05 * rng.standard_normal((height, width, 3))
        image[: height // 3, : width // 2] = 0.2 * (index + 1)
        out.append(torch.tensor(image.clip(0, 1), dtype=torch.float32))
    return out


def masks(height: int, width: int) -> dict[str, Tensor | None]:
    generator = torch.Generator().manual_seed(3)
    one = torch.zeros(height, width, dtype=torch.bool)
    one[height // 2, width // 2] = True
    return {
        "none": None,
        "half": torch.rand(height, width, generator=generator) < 0.5,
        "all": torch.ones(height, width, dtype=torch.bool),
        "one": one,
    }
