"""From traced layers to a picture: noise filtered, exposed, toned, sRGB."""

import numpy as np
from numba import njit

from .tracer import Layers

EXPOSURE = 1.08
_REACH = 4  # pixels each way that the noise filter looks


def develop(layers: Layers) -> np.ndarray:
    """[H, W, 3] uint8 sRGB."""
    floor = 0.02  # keeps the division below tame where nothing is diffuse
    guides = np.concatenate([layers.normal * 3.0, np.log(layers.depth)[..., None] * 30.0], axis=2)
    irradiance = layers.diffuse / (layers.albedo + floor)
    calm = _filtered(irradiance, np.concatenate([guides, layers.albedo * 2.0], axis=2), 0.12, _REACH)
    gloss = _filtered(
        _despecked(layers.glossy), np.concatenate([guides, layers.albedo * 12.0], axis=2), 0.05, 2
    )
    return tone(calm * (layers.albedo + floor) + gloss)


@njit(cache=True)
def _despecked(image):
    """Dim pixels that outshine all but two of their neighbours: a lone path that found a glint."""
    height, width, _ = image.shape
    out = image.copy()
    peaks = np.empty(8)
    for i in range(1, height - 1):
        for j in range(1, width - 1):
            k = 0
            for y in range(i - 1, i + 2):
                for x in range(j - 1, j + 2):
                    if y != i or x != j:
                        peaks[k] = max(image[y, x, 0], image[y, x, 1], image[y, x, 2])
                        k += 1
            limit = 1.3 * np.sort(peaks)[5] + 0.03
            peak = max(image[i, j, 0], image[i, j, 1], image[i, j, 2])
            if peak > limit:
                for c in range(3):
                    out[i, j, c] = image[i, j, c] * limit / peak
    return out


@njit(cache=True)
def _filtered(image, guides, spread, reach):
    """Mean over neighbours alike in guides and, in a compressed scale, in the image itself."""
    height, width, channels = image.shape
    compressed = image / (1.0 + image)
    out = np.empty_like(image)
    scale = 0.5 / (spread * spread)
    for i in range(height):
        for j in range(width):
            total = 0.0
            sums = np.zeros(channels)
            for y in range(max(i - reach, 0), min(i + reach + 1, height)):
                for x in range(max(j - reach, 0), min(j + reach + 1, width)):
                    apart = ((y - i) ** 2 + (x - j) ** 2) * 2.0 / (reach * reach)
                    for k in range(guides.shape[2]):
                        apart += (guides[y, x, k] - guides[i, j, k]) ** 2
                    if apart > 6.0:
                        continue
                    for k in range(channels):
                        apart += scale * (compressed[y, x, k] - compressed[i, j, k]) ** 2
                    weight = np.exp(-apart)
                    total += weight
                    for k in range(channels):
                        sums[k] += weight * image[y, x, k]
            for k in range(channels):
                out[i, j, k] = sums[k] / total
    return out


def tone(light: np.ndarray) -> np.ndarray:
    """[..., 3] uint8 sRGB of linear light: straight in the shadows, a soft shoulder for the highlights."""
    x = np.maximum(light * EXPOSURE, 0.0)
    knee = 0.55
    over = np.maximum(x - knee, 0.0)
    x = np.where(x > knee, knee + (1 - knee) * (1 - np.exp(-over / (1 - knee))), x)
    srgb = np.where(x <= 0.0031308, 12.92 * x, 1.055 * np.maximum(x, 1e-9) ** (1 / 2.4) - 0.055)
    return np.clip(srgb * 255 + 0.5, 0, 255).astype(np.uint8)
