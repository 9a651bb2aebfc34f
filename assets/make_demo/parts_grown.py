"""Things that grew: a branch of plum blossom, lemons and leaves."""

import numpy as np

from . import palette as is_
from .geometry import Modeller, facing, frame, smooth_curve


def lemon(model: Modeller) -> None:
    """A lemon about the origin, its long axis along z."""
    half = [(0.0, -0.105), (0.012, -0.104), (0.018, -0.094), (0.038, -0.082), (0.066, -0.048), (0.074, 0.0)]
    half += [(0.066, 0.046), (0.042, 0.077), (0.02, 0.09), (0.013, 0.1), (0.0, 0.104)]
    model.revolve(smooth_curve(half, 44), is_.LEMON, segments=40)


def leaf(model: Modeller, length: float, width: float, droop: float) -> None:
    """A pointed leaf from the origin along +x, folded a little along its midrib, its tip bent down."""
    s = np.linspace(0.0, 1.0, 13)[:, None]
    t = np.linspace(-1.0, 1.0, 7)[None, :]
    half = width * np.sin(np.pi * s**0.85) ** 0.9
    x = length * s + 0 * t
    z = 0.3 * half * np.abs(t) - droop * length * s**2 + 0.02 * length * np.sin(9 * s + 2 * t)
    points = np.stack([x, half * t, z], axis=2)
    model.sheet(points, np.stack([s + 0 * t, t / 2 + 0.5 + 0 * s], axis=2), is_.LEAF)


def petal(model: Modeller, size: float, cup: float) -> None:
    """A round petal from the origin along +x, cupped upwards."""
    s = np.linspace(0.0, 1.0, 6)[:, None]
    t = np.linspace(-1.0, 1.0, 5)[None, :]
    half = 0.52 * size * np.sin(np.pi * (0.06 + 0.94 * s) ** 0.75) ** 0.6
    notch = 1.0 - 0.08 * (1 - np.abs(t)) * s
    points = np.stack(
        [size * s * notch, half * t, cup * size * s**2 + 0.25 * half * t**2],
        axis=2,
    )
    model.sheet(points, np.stack([s + 0 * t, t / 2 + 0.5 + 0 * s], axis=2), is_.BLOSSOM)


def blossom(model: Modeller, size: float, openness: float, rng: np.random.Generator) -> None:
    """Five petals and a tuft of stamens about the origin, facing +z."""
    for k in range(5):
        place = frame(facing(np.array([0.0, 0.0, 1.0]), 2 * np.pi * k / 5 + rng.normal(0, 0.06)))
        model.placed(place, lambda inner: petal(inner, size, openness))
    for _ in range(9):
        tip = rng.normal(0.0, 0.28 * size, 3)
        tip[2] = size * rng.uniform(0.35, 0.6)
        model.chain(np.stack([np.zeros(3), tip]), 0.0011, is_.BLOSSOM)
        model.chain(np.stack([tip, tip + np.array([0, 0, 0.001])]), 0.0026, is_.STAMEN)


def branch(model: Modeller, rng: np.random.Generator) -> None:
    """Plum twigs that leave the origin upwards and spread, with blossoms and buds along them."""
    for azimuth, lean, length in (
        (0.4, 0.5, 0.62),
        (2.3, 0.75, 0.55),
        (4.3, 0.62, 0.6),
        (5.4, 0.2, 0.66),
        (3.2, 0.3, 0.5),
    ):
        outward = np.array([np.cos(azimuth), np.sin(azimuth), 0.0])
        direction = outward * np.sin(lean) + np.array([0.0, 0.0, np.cos(lean)])
        start = -0.1 * direction + 0.018 * outward
        _twig(model, start, direction, length, 0.0095, 0, rng)


def _twig(
    model: Modeller,
    start: np.ndarray,
    direction: np.ndarray,
    length: float,
    radius: float,
    order: int,
    rng: np.random.Generator,
) -> None:
    """A crooked twig; at each knee a side twig, a blossom or a bud."""
    knees = max(3, int(length / 0.075))
    points, heading = [start], direction
    for k in range(knees):
        bend = rng.normal(0.0, 0.3 if order else 0.22, 3)
        bend[2] += 0.1
        heading = heading + bend
        heading = heading / np.linalg.norm(heading)
        points.append(points[-1] + heading * length / knees)
        if k == 0 and order == 0:
            continue
        side = np.cross(heading, rng.normal(size=3))
        side = side / np.linalg.norm(side)
        if order < 2 and rng.random() < (0.5 if order == 0 else 0.3):
            away = 0.65 * heading + 0.75 * side
            left = length * (1 - k / knees) * rng.uniform(0.45, 0.7)
            if left > 0.08:
                _twig(model, points[-1], away / np.linalg.norm(away), left, radius * 0.55, order + 1, rng)
                continue
        _flower_or_bud(model, points[-1], side, radius, rng)
    _flower_or_bud(model, points[-1], heading, 0.003, rng)
    curve = smooth_curve(np.array(points), 5 * len(points))
    radii = np.linspace(radius, max(0.35 * radius, 0.0028), len(curve))
    model.chain(curve, radii, is_.BARK, v=float(rng.random()))


def _flower_or_bud(
    model: Modeller, at: np.ndarray, direction: np.ndarray, radius: float, rng: np.random.Generator
) -> None:
    """Mostly open blossoms; buds and a few young leaves between."""
    kind = rng.random()
    direction = direction + np.array([0.0, 0.0, 0.25])
    seat = at + direction / np.linalg.norm(direction) * (radius + 0.008)
    if kind < 0.68:
        size, openness = rng.uniform(0.034, 0.045), rng.uniform(0.1, 0.5)
        turned = frame(facing(direction, rng.uniform(0, 6.28)), seat)
        model.placed(turned, lambda inner: blossom(inner, size, openness, rng))
    elif kind < 0.88:
        tip = seat + direction / np.linalg.norm(direction) * 0.008
        model.chain(np.stack([seat, tip]), 0.009, is_.BUD)
    else:
        place = frame(facing(direction, rng.uniform(0, 6.28)) @ facing(np.array([0.6, 0.0, 0.8])), at)
        model.placed(place, lambda inner: leaf(inner, rng.uniform(0.06, 0.09), 0.014, 0.2))
