"""Numbers as colours: from dark to light, and readable without telling red from green."""

import numpy as np

HEAT = ((0, 0, 4), (80, 18, 123), (182, 54, 121), (251, 136, 97), (252, 253, 191))
"""Colours of 0 to 1 at even steps, brighter all the way."""


def heat_colors(values: np.ndarray) -> np.ndarray:
    """[..., 3] uint8 colours of values in [0, 1]; beyond, the ends' colours."""
    steps = np.linspace(0, 1, len(HEAT))
    channels = [np.interp(values, steps, [color[channel] for color in HEAT]) for channel in range(3)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)
