"""Where the 64 photos are taken from: three rings about the table, and test views between the rings."""

from typing import NamedTuple

import numpy as np

VIEWS, WIDTH, HEIGHT = 64, 480, 360
FOCAL = 540.0
"""Pixels, at full size; the principal point is the image's middle."""
_TEST_EVERY = 8
_RINGS = ((13.0, 2.4, 18), (27.0, 2.38, 20), (43.0, 2.38, 18))  # elevation in degrees, distance, count


class Ring(NamedTuple):
    """A place to take a photo from: degrees and world units, about the origin."""

    azimuth: float
    elevation: float
    distance: float


def orbit() -> list[np.ndarray]:
    """[VIEWS] of [4, 4] camera to world, OpenGL axes, world up +z. Index % 8 == 0 are the test views.

    Test views lie between rings and between azimuths, so inside the hull of the others.
    """
    training = [
        Ring(360.0 * (k + 0.5 * (level % 2)) / count, elevation, distance)
        for level, (elevation, distance, count) in enumerate(_RINGS)
        for k in range(count)
    ]
    order = np.argsort([(k * 0.6180339887) % 1.0 for k in range(len(training))])
    test = [
        Ring(45.0 * ((3 * k) % 8) + 11.0, 20.0 if k % 2 else 35.0, 2.3) for k in range(VIEWS // _TEST_EVERY)
    ]
    shuffled = iter([training[k] for k in order])
    places = [test[k // _TEST_EVERY] if k % _TEST_EVERY == 0 else next(shuffled) for k in range(VIEWS)]
    return [_pose(place) for place in places]


def _pose(place: Ring) -> np.ndarray:
    azimuth, elevation = np.radians(place.azimuth), np.radians(place.elevation)
    outward = np.array(
        [np.cos(azimuth) * np.cos(elevation), np.sin(azimuth) * np.cos(elevation), np.sin(elevation)]
    )
    position = place.distance * outward
    # Level views need room for the blossoms above, high views for the table below.
    aim = np.array([0.0, 0.0, 0.03 - 0.17 * np.sin(elevation) ** 2])
    back = position - aim
    back = back / np.linalg.norm(back)
    right = np.cross([0.0, 0.0, 1.0], back)
    right = right / np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, 0], pose[:3, 1], pose[:3, 2], pose[:3, 3] = right, np.cross(back, right), back, position
    return pose
