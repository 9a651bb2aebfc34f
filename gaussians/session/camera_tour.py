"""In which order to fly past cameras: by name where that is a walk, else along a short way through them."""

from collections.abc import Sequence

import numpy as np

from gaussians.camera import Camera

JUMPY = 2.0  # the order by name is kept unless it is more than so many times as long as the short way
_LEAST_GAIN = 1e-9
_SWEEPS = 50

Array = np.ndarray


def walking_order(cameras: Sequence[Camera]) -> list[Camera]:
    """The cameras in an order that a flight can follow, beginning with the first.

    Photos are mostly named in the order in which they were taken, and then stay in it. Where names jump about
    (renderings, collections), it is the way from nearest to nearest, improved by turning round any stretch
    that makes it shorter (2-opt, Croes 1958).
    """
    if len(cameras) < 4:
        return list(cameras)
    ways = _ways(cameras)
    named = np.arange(len(cameras))
    short = _improved(_nearest(ways), ways)
    order = named if _length(named, ways) <= JUMPY * _length(short, ways) else short
    return [cameras[index] for index in order.tolist()]


def _ways(cameras: Sequence[Camera]) -> Array:
    """[N, N] how far it is between cameras: a turn by a radian is as far as the cameras' mean radius."""
    centres = np.stack([camera.centre for camera in cameras])
    rotations = np.stack([camera.viewmat[:3, :3].ravel() for camera in cameras])
    radius = np.linalg.norm(centres - centres.mean(axis=0), axis=1).mean()
    distances = np.linalg.norm(centres[:, None] - centres[None], axis=2)
    # The trace of R_i R_jᵀ is 1 + 2 cos of the angle between them.
    angles = np.arccos(np.clip((rotations @ rotations.T - 1) / 2, -1, 1))
    return distances / (radius or 1.0) + angles


def _length(order: Array, ways: Array) -> float:
    return float(ways[order[:-1], order[1:]].sum())


def _nearest(ways: Array) -> Array:
    """From the first, always on to the nearest one left."""
    order, left = [0], np.ones(len(ways), bool)
    left[0] = False
    for _ in range(len(ways) - 1):
        order.append(int(np.where(left, ways[order[-1]], np.inf).argmin()))
        left[order[-1]] = False
    return np.array(order)


def _improved(order: Array, ways: Array) -> Array:
    """Reverse stretches as long as one shortens the way; the first stays first."""
    for _ in range(_SWEEPS):
        before = _length(order, ways)
        for i in range(1, len(order) - 1):
            # Reversing order[i..j] replaces the steps i-1 → i and j → j+1; after the last there is none.
            ends = np.arange(i + 1, len(order))
            after = np.minimum(ends + 1, len(order) - 1)
            is_last = ends == len(order) - 1
            now = ways[order[i - 1], order[i]] + np.where(is_last, 0, ways[order[ends], order[after]])
            then = ways[order[i - 1], order[ends]] + np.where(is_last, 0, ways[order[i], order[after]])
            best = int((then - now).argmin())
            if then[best] < now[best] - _LEAST_GAIN:
                order[i : ends[best] + 1] = order[i : ends[best] + 1][::-1].copy()
        if _length(order, ways) > before - _LEAST_GAIN:
            break
    return order
