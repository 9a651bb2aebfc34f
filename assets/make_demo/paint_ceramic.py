"""Painted and glazed pottery.

Each painter gives (colour, roughness, metal, reflectance at normal, transmission, bump height, bump
frequency).
"""

import numpy as np
from numba import njit

from .palette import CELADON, CELADON_DEEP, COBALT, COBALT_WASH, CREAM, GOLD, IRON_BROWN, PORCELAIN, RUST
from .patterns import fbm, fract, lappet, line, mix, noise, scaled, smooth


@njit(cache=True)
def _flower(x, y, petals):
    """A rosette about the origin, radius about 1: (ink, wash) coverage."""
    r, angle = np.sqrt(x * x + y * y), np.arctan2(y, x)
    edge = 0.86 + 0.14 * np.cos(petals * angle)
    inner = 0.52 + 0.08 * np.cos(petals * angle + np.pi)
    ink = max(line(r - edge, 0.05, 0.04), line(r - inner, 0.045, 0.04))
    ink = max(ink, smooth(0.24, 0.18, r))
    veins = line(fract(angle * petals / (2 * np.pi) + 0.5) - 0.5, 0.07, 0.05) * smooth(0.5, 0.6, r)
    ink = max(ink, veins * smooth(edge, edge - 0.08, r) * 0.8)
    wash = smooth(edge + 0.02, edge - 0.04, r) * (0.25 + 0.65 * smooth(0.9, 0.2, r))
    return ink, wash


@njit(cache=True)
def _leaf_mark(x, y, lean):
    """A small brush-stroke leaf about the origin: coverage."""
    c, s = np.cos(lean), np.sin(lean)
    a, b = x * c + y * s, -x * s + y * c
    if abs(a) > 1.0:
        return 0.0
    return smooth(0.0, 0.1, 0.42 * (1.0 - a * a) - abs(b))


@njit(cache=True)
def _scrolls(u, v):
    """The vase's belly: flowers on a winding stem, leaves between. v 0..1 over the belly."""
    count, tall = 6.0, 1.15
    x = u * count
    stem_y = 0.5 + 0.17 * np.sin(np.pi * x)
    ink = line((v - stem_y) * tall, 0.016, 0.012)
    wash = 0.0
    cell = np.floor(x)
    for k in range(-1, 2):
        centre = cell + 0.5 + k
        up = 1.0 if int(centre) % 2 == 0 else -1.0
        fx, fy = (x - centre) / 0.36, (v - 0.5 + 0.1 * up) * tall / 0.36
        near = fx * fx + fy * fy
        if near < 1.1:
            ink = ink * smooth(0.9, 1.05, near)
            f_ink, f_wash = _flower(fx, fy, 7.0)
            ink, wash = max(ink, f_ink), max(wash, f_wash)
        for j in range(5):
            side = -1.0 if j % 2 == 0 else 1.0
            lx = centre + 0.5 + (j - 2) * 0.105
            ly = 0.5 + 0.17 * np.sin(np.pi * lx) + side * 0.085
            ink = max(ink, _leaf_mark((x - lx) / 0.075, (v - ly) * tall / 0.075, 0.9 * side) * 0.9)
        for j in range(4):
            dx = (x - centre - 0.5) / 0.02 + (j - 1.5) * 6.5
            dy = (v - (0.5 + 0.39 * up)) * tall / 0.02 + 2.0 * abs(j - 1.5)
            ink = max(ink, smooth(1.2, 0.7, np.sqrt(dx * dx + dy * dy)))
    return ink, wash


@njit(cache=True)
def _vase_ink(u, v):
    """Cobalt on the vase: (ink, wash). v is height 0..1."""
    ink, wash = 0.0, 0.0
    for at, half in (
        (0.045, 0.006),
        (0.06, 0.003),
        (0.222, 0.003),
        (0.236, 0.006),
        (0.612, 0.006),
        (0.626, 0.003),
    ):
        ink = max(ink, line(v - at, half, 0.002))
    for at, half in ((0.712, 0.003), (0.726, 0.006), (0.938, 0.003), (0.985, 0.012)):
        ink = max(ink, line(v - at, half, 0.002))
    if 0.06 < v < 0.222:
        inside, c = lappet(u, (v - 0.066) / 0.15, 18.0, 0.46)
        ink = max(ink, line(inside, 0.03, 0.025))
        inner, _ = lappet(u, (v - 0.066) / 0.115, 18.0, 0.3)
        wash = max(wash, smooth(0.0, 0.04, inner) * (0.35 + 0.5 * smooth(0.0, 0.3, inner)))
        ink = max(ink, line(inner, 0.018, 0.018) * 0.9)
        if inside < 0.0:
            wash = max(wash, 0.9)
    elif 0.236 < v < 0.612:
        s_ink, s_wash = _scrolls(u, (v - 0.236) / 0.376)
        ink, wash = max(ink, s_ink), max(wash, s_wash)
    elif 0.626 < v < 0.712:
        a, b = u * 36.0, (v - 0.626) / 0.086 * 2.0
        p, q = fract(a + b) - 0.5, fract(a - b) - 0.5
        ink = max(ink, max(line(abs(p) - 0.5, 0.07, 0.05), line(abs(q) - 0.5, 0.07, 0.05)))
        ink = max(ink, smooth(0.2, 0.12, np.sqrt(p * p + q * q)))
    elif 0.726 < v < 0.938:
        inside, c = lappet(u, (v - 0.728) / 0.2, 12.0, 0.42)
        ink = max(ink, line(inside, 0.035, 0.025))
        if inside > 0.0:
            wash = max(wash, 0.75 * smooth(0.02, 0.2, inside))
            ink = max(ink, line(c, 0.03, 0.02))
    return ink, wash


@njit(cache=True)
def vase(u, v, x, y, z):
    """Blue-and-white porcelain under a clear glaze."""
    ink, wash = _vase_ink(u, v)
    pool = 0.85 + 0.3 * noise(x * 60, y * 60, z * 60)
    colour = mix(PORCELAIN, COBALT_WASH, wash * pool * 0.8)
    colour = mix(colour, scaled(COBALT, 0.8 + 0.35 * noise(x * 25, y * 25, z * 25)), ink)
    return colour, 0.05, 0.0, 0.045, 0.0, 0.0, 1.0


@njit(cache=True)
def celadon(u, v, x, y, z):
    """A running copper-green glaze that breaks to brown on edges, with a crackle of speckles."""
    drip = fbm(x * 9, y * 9, z * 2.5, 3)
    colour = mix(CELADON_DEEP, CELADON, smooth(0.0, 0.75, v + 0.35 * drip))
    speck = smooth(0.42, 0.62, noise(x * 70, y * 70, z * 70))
    colour = mix(colour, scaled(CELADON_DEEP, 0.5), 0.7 * speck)
    pale = smooth(0.5, 0.7, noise(x * 33 + 5, y * 33, z * 33))
    colour = mix(colour, CREAM, 0.22 * pale)
    colour = mix(colour, IRON_BROWN, smooth(0.93, 0.99, v + 0.05 * drip) * 0.85)
    return colour, 0.06, 0.0, 0.05, 0.0, 0.04, 18.0


@njit(cache=True)
def cup(u, v, x, y, z):
    """Cream cup and saucer with a rust chevron band, dots and a gold rim."""
    zig = abs(fract(u * 16.0) - 0.5) * 2.0
    colour = CREAM
    for at in (0.42, 0.5, 0.58):
        colour = mix(colour, RUST, line(v - at - 0.12 * (zig - 0.5), 0.018, 0.008))
    dot_u, dot_v = (fract(u * 16.0 + 0.5) - 0.5) / 0.16, (v - 0.77) / 0.035
    colour = mix(colour, COBALT, smooth(1.0, 0.7, np.sqrt(dot_u * dot_u + dot_v * dot_v)))
    gold = smooth(0.945, 0.955, v)
    return mix(colour, GOLD, gold), 0.06 + 0.1 * gold, gold, 0.045, 0.0, 0.0, 1.0


@njit(cache=True)
def enamel(u, v, x, y, z):
    """The little globe: blue enamel seas, gold lands and meridians."""
    land = smooth(0.02, 0.06, fbm(6 * np.cos(2 * np.pi * u), 6 * np.sin(2 * np.pi * u), 9 * v, 4))
    net = max(line(fract(u * 12.0) - 0.5, 0.035, 0.02), line(fract(v * 8.0) - 0.5, 0.04, 0.02))
    gold = max(land, 0.8 * net)
    return mix(scaled(COBALT, 0.7), GOLD, gold), 0.12 + 0.15 * land, gold, 0.05, 0.0, 0.0, 1.0
