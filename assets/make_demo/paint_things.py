"""Metal, books, fruit and blossom. Painters as in `paint_ceramic`."""

import numpy as np
from numba import njit

from .palette import (
    BARK_BROWN,
    BOOK_BLUE_CLOTH,
    BOOK_GREEN_CLOTH,
    BOOK_RED_CLOTH,
    BRASS_TINT,
    CREAM,
    EBONY,
    GOLD,
    LEAF_PALE,
    LEAF_TOP,
    LEMON_GREEN,
    LEMON_YELLOW,
    PAPER,
    PETAL,
    PETAL_HEART,
)
from .patterns import cell_hash, fbm, fract, lettered, line, mix, noise, scaled, smooth


@njit(cache=True)
def brass(u, v, x, y, z):
    """Turned brass with a little tarnish."""
    age = smooth(-0.1, 0.5, fbm(x * 14, y * 14, z * 14, 4))
    colour = mix(BRASS_TINT, scaled(BRASS_TINT, 0.45), 0.55 * age)
    return colour, 0.16 + 0.2 * age, 1.0, 0.5, 0.0, 0.0, 1.0


@njit(cache=True)
def brass_ring(u, v, x, y, z):
    """A graduated ring: engraved degrees on its faces."""
    colour, rough, metal, f0, trans, bump, scale = brass(u, v, x, y, z)
    degree = line(fract(u * 72.0) - 0.5, 0.13, 0.06) * smooth(0.62, 0.58, abs(v - 0.5) * 2)
    tens = line(fract(u * 12.0) - 0.5, 0.045, 0.015)
    rim = line(abs(v - 0.5) - 0.36, 0.03, 0.02)
    mark = max(max(degree * 0.8, tens), rim)
    return mix(colour, EBONY, 0.85 * mark), rough + 0.2 * mark, metal, f0, trans, bump, scale


@njit(cache=True)
def wire(x, y, z):
    """Polished copper-gold wire."""
    return GOLD, 0.12, 1.0, 0.5, 0.0, 0.0, 1.0


@njit(cache=True)
def _cloth(which):
    if which == 0:
        return BOOK_RED_CLOTH
    if which == 1:
        return BOOK_GREEN_CLOTH
    return BOOK_BLUE_CLOTH


@njit(cache=True)
def cover(which, u, v, x, y, z):
    """A cloth cover with gold tooling: frames, corner fans, a medallion and a title. u, v over the board."""
    weave = 0.9 + 0.1 * noise(x * 140, y * 140, z * 140)
    colour = scaled(_cloth(which), weave)
    a, b = abs(u - 0.5) * 2.0, abs(v - 0.5) * 2.0  # board is 0.72 as wide as it is long
    inset = min((1 - a) * 0.72, 1 - b)
    gold = max(line(inset - 0.07, 0.012, 0.006), line(inset - 0.105, 0.005, 0.004))
    px, py = (u - 0.5) * 1.44, (v - 0.5) * 2.0
    r, angle = np.sqrt(px * px + py * py), np.arctan2(py, px)
    rays = line(fract(angle * 24 / (2 * np.pi)) - 0.5, 0.16, 0.06)
    gold = max(gold, rays * smooth(0.2, 0.22, r) * smooth(0.4, 0.38, r))
    star = 0.16 + 0.04 * np.cos(8 * angle)
    gold = max(gold, max(line(r - 0.42, 0.01, 0.006), line(r - star, 0.015, 0.008)))
    corner = np.sqrt(((1 - a) * 0.72 - 0.12) ** 2 + (1 - b - 0.12) ** 2)
    fan = line(fract(corner * 14.0) - 0.5, 0.18, 0.08) * smooth(0.25, 0.23, corner)
    gold = max(gold, fan if inset > 0.12 else 0.0)
    gold = max(gold, lettered(which, (u - 0.17) / 0.66, (0.88 - v) / 0.08))
    worn = 0.75 + 0.5 * smooth(-0.4, 0.2, noise(x * 45, y * 45, z * 45))
    gold = min(gold * worn, 1.0)
    return mix(colour, GOLD, gold), 0.75 - 0.45 * gold, gold, 0.03, 0.0, 0.25 * (1 - gold), 160.0


@njit(cache=True)
def spine(which, u, v, x, y, z):
    """The book's back: raised bands in gold, and the title along it. u round the back, v along."""
    colour = scaled(_cloth(which), 0.95 + 0.08 * noise(x * 140, y * 140, z * 140))
    gold = 0.0
    for at in (0.06, 0.14, 0.86, 0.94):
        gold = max(gold, line(v - at, 0.008, 0.004))
    gold = max(gold, line(v - 0.1, 0.014, 0.005) * line(fract(u * 9.0) - 0.5, 0.25, 0.1))
    gold = max(gold, line(v - 0.9, 0.014, 0.005) * line(fract(u * 9.0) - 0.5, 0.25, 0.1))
    gold = max(gold, lettered(which, (v - 0.18) / 0.64, (u - 0.22) / 0.56))
    return mix(colour, GOLD, gold), 0.7 - 0.4 * gold, gold, 0.03, 0.0, 0.2, 160.0


@njit(cache=True)
def pages(x, y, z):
    """The edges of the leaves."""
    sheet = noise(x * 3.0, y * 3.0, z * 420.0) + 0.6 * noise(x * 2.0, y * 2.0, z * 170.0)
    return scaled(PAPER, 0.86 + 0.16 * sheet), 0.9, 0.0, 0.02, 0.0, 0.0, 1.0


@njit(cache=True)
def lemon(u, v, x, y, z):
    """Lemon peel with pores, greener towards its ends."""
    green = smooth(0.3, 0.5, abs(v - 0.5)) + 0.4 * fbm(x * 12, y * 12, z * 12, 2)
    pore = smooth(0.3, 0.7, noise(x * 95, y * 95, z * 95))
    colour = mix(LEMON_YELLOW, LEMON_GREEN, 0.7 * green)
    colour = mix(colour, BARK_BROWN, smooth(0.49, 0.5, abs(v - 0.5)))
    return scaled(colour, 0.96 - 0.24 * pore), 0.3, 0.0, 0.045, 0.0, 0.22, 85.0


@njit(cache=True)
def leaf(u, v, x, y, z):
    """A leaf with a pale midrib and veins; light shines through."""
    side = abs(v - 0.5) * 2.0
    rib = max(line(side, 0.07, 0.04), 0.55 * line(fract((u - 0.32 * side) * 9.0) - 0.5, 0.09, 0.06))
    tone = 0.85 + 0.3 * fbm(x * 20, y * 20, z * 20, 2)
    return mix(scaled(LEAF_TOP, tone), LEAF_PALE, 0.75 * rib), 0.34, 0.0, 0.04, 0.35, 0.0, 1.0


@njit(cache=True)
def bark(u, v, x, y, z):
    """Twig bark with rings."""
    ring = 0.75 + 0.35 * noise(u * 90.0, v * 10.0, 1.0) + 0.3 * noise(x * 110, y * 110, z * 60)
    return scaled(BARK_BROWN, ring), 0.7, 0.0, 0.03, 0.0, 0.2, 120.0


@njit(cache=True)
def blossom(u, v, x, y, z):
    """A plum petal: u from heart to rim, v across."""
    vein = 0.14 * line(fract(v * 7.0) - 0.5, 0.1, 0.08) * smooth(0.9, 0.3, u)
    heart = smooth(0.5, 0.0, u) * 0.8 + vein + 0.12 * (cell_hash(int(x * 9), int(y * 9), int(z * 9)) - 0.5)
    return mix(PETAL, PETAL_HEART, heart), 0.6, 0.0, 0.03, 0.45, 0.0, 1.0


@njit(cache=True)
def pencil(u, v, x, y, z):
    """A painted pencil: lacquer, ferrule end, sharpened wood and lead. v from point to end."""
    if v < 0.035:
        return EBONY, 0.4, 0.0, 0.05, 0.0, 0.0, 1.0
    if v < 0.12 + 0.012 * np.cos(12 * np.pi * u):
        return CREAM, 0.7, 0.0, 0.03, 0.0, 0.0, 1.0
    if v > 0.9:
        return BRASS_TINT, 0.25, 1.0, 0.5, 0.0, 0.0, 1.0
    gold = line(fract(v * 40.0) - 0.5, 0.2, 0.1) if 0.84 < v < 0.9 else 0.0
    return mix(BOOK_GREEN_CLOTH, GOLD, gold), 0.18, gold, 0.045, 0.0, 0.0, 1.0
