"""The composition: what stands where on the table."""

import numpy as np

from . import parts_grown as grown
from . import parts_made as made
from .geometry import Geometry, Modeller, facing, frame, rotation_z

TABLE_HEIGHT = -0.35
"""World z of the table top; the still life's middle is then at the origin."""


def compose() -> Geometry:
    """All shapes, in world coordinates. The same on every machine."""
    rng = np.random.default_rng(7)
    model = Modeller()
    made.table(model)
    made.kilim(model, np.radians(24), rng)
    _middle(model, rng)
    _books(model)
    _tea(model)
    _fruit(model, rng)
    return model.finish(np.array([0.0, 0.0, TABLE_HEIGHT]))


def _stand(turn: float, x: float, y: float, z: float = 0.007) -> np.ndarray:
    return frame(rotation_z(np.radians(turn)), (x, y, z))


def _middle(model: Modeller, rng: np.random.Generator) -> None:
    model.placed(_stand(10, -0.07, 0.13), made.vase)
    model.placed(frame(at=(-0.07, 0.13, 0.5)), lambda inner: grown.branch(inner, rng))
    model.placed(_stand(15, 0.44, 0.28, 0.003), made.armillary)
    for _ in range(14):  # fallen petals
        a, r = rng.uniform(0, 2 * np.pi), rng.uniform(0.22, 0.5)
        spot = frame(rotation_z(rng.uniform(0, 6.28)), (-0.07 + r * np.cos(a), 0.13 + r * np.sin(a), 0.0095))
        size = rng.uniform(0.034, 0.042)
        model.placed(spot, lambda inner, size=size: grown.petal(inner, size, 0.15))


def _books(model: Modeller) -> None:
    stack = ((2, 0.35, 0.5, 0.07, 35.0), (1, 0.31, 0.44, 0.055, 52.0), (0, 0.27, 0.37, 0.05, 26.0))
    z = 0.007
    for which, width, length, thick, turn in stack:
        placed = _stand(turn, -0.48, -0.28, z)
        model.placed(placed, lambda inner, a=(which, width, length, thick): made.book(inner, *a))
        z += thick + 0.0005
    model.placed(frame(rotation_z(np.radians(-40)), (-0.53, -0.34, z), 0.82), made.spectacles)


def _tea(model: Modeller) -> None:
    model.placed(_stand(-25, 0.29, -0.34), made.teapot)
    model.placed(_stand(-110, -0.05, -0.6, 0.002), made.cup)
    model.placed(_stand(150, 0.7, -0.2, 0.001), made.pencil)


def _fruit(model: Modeller, rng: np.random.Generator) -> None:
    x, y = -0.45, 0.43
    model.placed(_stand(60, x, y, 0.003), made.basket)
    spots = [(0.12 * np.cos(a), 0.12 * np.sin(a), 0.1) for a in np.linspace(0.3, 0.3 + 2 * np.pi, 6)[:-1]]
    spots += [(0.08 * np.cos(a), 0.08 * np.sin(a), 0.195) for a in (0.9, 3.0, 5.1)]
    spots += [(0.0, 0.0, 0.09), (0.02, -0.01, 0.275)]
    for dx, dy, z in spots:
        axis = rng.normal(size=3) * [1, 1, 0.5]
        model.placed(frame(facing(axis), (x + dx, y + dy, z)), grown.lemon)
    for turn, z in ((20, 0.27), (150, 0.255), (265, 0.25)):
        place = frame(rotation_z(np.radians(turn)), (x + 0.05 * np.cos(turn), y + 0.05 * np.sin(turn), z))
        model.placed(place, lambda inner: grown.leaf(inner, 0.16, 0.034, 0.25))
    model.placed(frame(facing(np.array([0.8, 0.5, 0.12])), (0.04, 0.56, 0.076)), grown.lemon)
    model.placed(frame(rotation_z(2.5), (0.12, 0.6, 0.05)), lambda inner: grown.leaf(inner, 0.15, 0.032, 0.2))
