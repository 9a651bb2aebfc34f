"""Wood, plaster, wool and willow: what the still life stands on. Painters as in `paint_ceramic`."""

import numpy as np
from numba import njit

from .palette import (
    CREAM,
    EBONY,
    GOLD,
    INDIGO,
    MAPLE,
    OCHRE,
    PLASTER,
    RUST,
    TEAL,
    WALNUT,
    WALNUT_DARK,
    WILLOW,
    WILLOW_DARK,
)
from .patterns import cell_hash, fbm, fract, line, mix, noise, scaled, smooth

TOP_RADIUS = 1.0
"""Radius of the table top, to the middle of its rounded edge."""
KILIM_LENGTH, KILIM_WIDTH = 2.5, 0.52


@njit(cache=True)
def table_top(x, y, z):
    """A sunburst of book-matched walnut veneer, a brass line and a border of maple and ebony."""
    r, turn = np.sqrt(x * x + y * y), np.arctan2(y, x) / (2 * np.pi) + 0.5
    wedge = turn * 20.0
    index = int(np.floor(wedge))
    side = fract(wedge) - 0.5
    across = abs(side) * r * 0.314  # book-matched: both halves mirror about the wedge's middle
    seed = 17.0 * (index % 20)
    warp = fbm(r * 3.0 + seed, across * 14.0, seed, 3)
    rings = np.sin((across * 46.0 + 1.9 * warp + 2.4 * r * (0.5 + cell_hash(index % 20, 3, 1))) * 6.0)
    fibre = noise(r * 7.0, across * 260.0 + seed, seed)
    tone = 0.5 + 0.26 * rings + 0.2 * fibre + 0.3 * warp
    colour = scaled(mix(WALNUT_DARK, WALNUT, tone), 0.9 + 0.25 * cell_hash(index % 20, 1, 5))
    colour = mix(colour, WALNUT_DARK, line((abs(side) - 0.5) * r * 0.314, 0.0018, 0.001) * 0.8)
    metal = max(line(r - 0.812, 0.005, 0.0015), line(r - 0.928, 0.005, 0.0015))
    if 0.817 < r < 0.923:
        band = (r - 0.817) / 0.106
        tooth = abs(fract(turn * 60.0) - 0.5) * 2.0
        grain = noise(x * 40, y * 40, 3.0)
        inlay = mix(scaled(MAPLE, 0.95 + 0.12 * grain), EBONY, smooth(-0.05, 0.05, tooth - band))
        dot = (fract(turn * 60.0) - 0.5) / 0.17, (band - 0.26) / 0.1
        colour = mix(inlay, RUST, smooth(1.05, 0.85, abs(dot[0]) + abs(dot[1])))
    if r > 0.933:
        colour = scaled(mix(WALNUT_DARK, WALNUT, 0.4 + 0.4 * noise(turn * 160.0, r * 20.0, z * 60.0)), 0.85)
    colour = mix(colour, GOLD, metal)
    rough = 0.2 + 0.05 * fibre
    return colour, rough, metal, 0.045, 0.0, 0.0, 1.0


@njit(cache=True)
def plinth(x, y, z):
    """Limewashed reeds."""
    tone = 0.86 + 0.16 * fbm(x * 4, y * 4, z * 1.5, 3) + 0.05 * noise(x * 60, y * 60, z * 6)
    return scaled(PLASTER, tone), 0.6, 0.0, 0.03, 0.0, 0.0, 1.0


@njit(cache=True)
def _yarn(s, t):
    """The colour of the kilim's yarn at s along and t across, both in weaving steps; pattern only."""
    half = 23.0
    edge = half - abs(t)
    if edge < 2.0:
        return INDIGO
    if edge < 6.0:
        tooth = abs(fract(s / 6.0) - 0.5) * 6.0
        return CREAM if edge - 2.0 < tooth else RUST
    if edge < 7.0:
        return OCHRE
    period = 34.0
    cell = int(np.floor(s / period))
    a = abs(fract(s / period) - 0.5) * period
    d = a + abs(t)
    ground = RUST if cell % 2 == 0 else INDIGO
    if d < 2.0:
        return OCHRE
    if d < 5.0:
        return RUST if cell % 2 else INDIGO
    if d < 7.0:
        return CREAM
    if d < 11.0:
        return TEAL if cell % 2 == 0 else OCHRE
    if d < 13.0:
        return CREAM
    if a > 14.0:
        return OCHRE if (int(abs(t)) // 2) % 2 else INDIGO
    corner = abs(a - 11.5) + abs(abs(t) - 12.0)
    if corner < 2.0:
        return CREAM
    if corner < 3.5:
        return TEAL
    return ground


@njit(cache=True)
def kilim(u, v, x, y, z):
    """A flat-woven runner: the pattern steps from knot to knot; u along, v across."""
    step = KILIM_WIDTH / 46.0
    s, t = u * KILIM_LENGTH / step, (v - 0.5) * KILIM_WIDTH / step
    ks, kt = np.floor(s), np.floor(t) + 0.5
    colour = _yarn(ks, kt)
    wool = 0.82 + 0.32 * cell_hash(int(ks), int(kt + 100.0), 7)
    fold = abs(fract(s * 2.0) - 0.5) * 2.0
    strand = abs(fract(t * 2.0 + 0.5 * (int(ks * 2) % 2)) - 0.5) * 2.0
    shade = wool * (0.72 + 0.28 * smooth(0.0, 0.6, min(fold, strand)))
    return scaled(colour, shade), 0.9, 0.0, 0.01, 0.0, 0.5, 220.0


@njit(cache=True)
def fringe(u, v):
    """Loose warp threads, twisted."""
    twist = 0.85 + 0.15 * np.sin(u * 700.0 + 40.0 * v)
    return scaled(CREAM, twist * (0.8 + 0.2 * fract(v * 7.31))), 0.9, 0.0, 0.01, 0.1, 0.0, 1.0


@njit(cache=True)
def wicker(u, v, x, y, z):
    """Peeled willow, each rod of its own shade, darker at its joints."""
    own = fract(v * 5.713)
    tone = 0.35 + 0.5 * own + 0.25 * noise(u * 30.0, v * 13.0, 0.0) + 0.12 * noise(x * 150, y * 150, z * 150)
    return mix(WILLOW_DARK, WILLOW, tone), 0.42, 0.0, 0.04, 0.0, 0.1, 90.0
