"""A smooth flight through a sequence of cameras: Catmull-Rom splines of positions and of rotations.

Both are centripetal (Catmull & Rom 1974; Yuksel et al. 2011): the time between two cameras grows with the
square root of how far apart they are, which keeps the curve free of loops where cameras stand unevenly. They
are evaluated by the pyramid of repeated interpolations of Barry & Goldman (1988), along straight lines for
positions and along great circles for rotations (Schlag 1991).
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from gaussians.camera import Camera

_CLOSED_GAP = 2.0  # x the median gap: a path whose ends are nearer than this is a ring
_LEAST_INTERVAL = 1e-6
_PARALLEL = 1e-8  # sin of the angle below which a great circle is taken as a line

Array = np.ndarray
Mix = Callable[[Array, Array, float], Array]


def camera_path(cameras: Sequence[Camera], count: int) -> list[Camera]:
    """`count` cameras on a smooth path through the positions and rotations of `cameras`, in their order.

    The path is closed where its ends are about as near as neighbours are; then its last camera is one
    interval short of the first, so that a film of it loops. Intrinsics and size are the first camera's.

    Args:
        cameras: at least one; of one, the path stays there.
        count: at least one.
    """
    centres = np.stack([camera.centre for camera in cameras])
    quats = _continuous(np.stack([quat_of(camera.viewmat[:3, :3].T) for camera in cameras]))
    gaps = np.linalg.norm(np.diff(centres, axis=0), axis=1)
    closed = is_closed(centres)
    if closed:
        # Around the corner and one more on each side, as every span needs its neighbours.
        order = np.arange(-1, len(cameras) + 2) % len(cameras)
        centres, quats = centres[order], _continuous(quats[order])
    else:
        centres, quats = _extended(centres, linear), _extended(quats, slerp)
    knots = _knots(centres, quats, float(np.median(gaps)) if len(gaps) else 0.0)
    first, last = knots[1], knots[-2]
    times = np.linspace(first, last, count, endpoint=not closed)
    first_camera = cameras[0]
    path = []
    for time in times:
        span = int(np.clip(np.searchsorted(knots, time, side="right") - 1, 1, len(knots) - 3))
        four = slice(span - 1, span + 3)
        centre = _spline(knots[four], centres[four], time, linear)
        rotation = rotation_of(_spline(knots[four], quats[four], time, slerp))
        path.append(_looking(first_camera, centre, rotation))
    return path


def is_closed(centres: Array) -> bool:
    """Whether positions [N, 3] go round: the way from the last to the first is about a usual step."""
    if len(centres) < 4:
        return False
    gaps = np.linalg.norm(np.diff(centres, axis=0), axis=1)
    return bool(np.linalg.norm(centres[0] - centres[-1]) <= _CLOSED_GAP * np.median(gaps))


def linear(a: Array, b: Array, share: float) -> Array:
    """(1 - share) a + share b; beyond a and b for shares outside [0, 1]."""
    return (1 - share) * a + share * b


def slerp(a: Array, b: Array, share: float) -> Array:
    """The same along the great circle through the unit quaternions a and b."""
    angle = float(np.arccos(np.clip(a @ b, -1.0, 1.0)))
    if np.sin(angle) < _PARALLEL:
        return a
    mixed = np.sin((1 - share) * angle) * a + np.sin(share * angle) * b
    return mixed / np.linalg.norm(mixed)


def quat_of(rotation: Array) -> Array:
    """[4] unit quaternion wxyz of a rotation [3, 3] (Shepperd 1978: divides by the largest component)."""
    r = rotation
    squares = 1 + np.array(
        [
            r[0, 0] + r[1, 1] + r[2, 2],
            r[0, 0] - r[1, 1] - r[2, 2],
            r[1, 1] - r[0, 0] - r[2, 2],
            r[2, 2] - r[0, 0] - r[1, 1],
        ]
    )
    products = (
        (squares[0], r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1]),
        (r[2, 1] - r[1, 2], squares[1], r[0, 1] + r[1, 0], r[0, 2] + r[2, 0]),
        (r[0, 2] - r[2, 0], r[0, 1] + r[1, 0], squares[2], r[1, 2] + r[2, 1]),
        (r[1, 0] - r[0, 1], r[0, 2] + r[2, 0], r[1, 2] + r[2, 1], squares[3]),
    )
    quat = np.array(products[int(np.argmax(squares))])
    return quat / np.linalg.norm(quat)


def rotation_of(quat: Array) -> Array:
    """[3, 3] rotation of a unit quaternion wxyz."""
    w, x, y, z = quat
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def _looking(like: Camera, centre: Array, rotation: Array) -> Camera:
    """A camera at `centre` whose axes are the columns of `rotation`."""
    viewmat = np.eye(4)
    viewmat[:3, :3] = rotation.T
    viewmat[:3, 3] = -rotation.T @ centre
    return Camera(viewmat, like.K, like.width, like.height)


def _continuous(quats: Array) -> Array:
    """The same rotations, each with the sign that is nearer to the one before."""
    quats = quats.copy()
    for before, quat in pairwise(quats):
        if before @ quat < 0:
            quat *= -1
    return quats


def _extended(values: Array, mix: Mix) -> Array:
    """One more value before the first and after the last, as far beyond them as their neighbours."""
    if len(values) == 1:
        return np.repeat(values, 4, axis=0)
    before, after = mix(values[0], values[1], -1.0), mix(values[-1], values[-2], -1.0)
    return np.concatenate([before[None], values, after[None]])


def _knots(centres: Array, quats: Array, typical: float) -> Array:
    """[N] when the path is at each camera: steps grow with the root of the distance and of the angle."""
    distances = np.linalg.norm(np.diff(centres, axis=0), axis=1) / (typical or 1.0)
    angles = 2 * np.arccos(np.clip(np.abs(np.sum(quats[1:] * quats[:-1], axis=1)), 0.0, 1.0))
    intervals = np.sqrt(distances + angles)
    return np.concatenate([[0.0], np.cumsum(np.maximum(intervals, _LEAST_INTERVAL))])


def _spline(knots: Array, values: Array, time: float, mix: Mix) -> Array:
    """The spline of four values at a time between the second and the third knot."""

    def between(values: list[Array], reach: int) -> list[Array]:
        return [
            mix(values[i], values[i + 1], (time - knots[low]) / (knots[high] - knots[low]))
            for i, (low, high) in enumerate(_SPANS[reach])
        ]

    return between(between(between(list(values), 0), 1), 2)[0]


# Knots between which each level of the pyramid interpolates.
_SPANS = (((0, 1), (1, 2), (2, 3)), ((0, 2), (1, 3)), ((1, 2),))
