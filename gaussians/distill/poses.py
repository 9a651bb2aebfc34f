"""Poses that no photo was taken from, inside the space that the training cameras saw.

On training views every teacher fits the photo; what they know beyond it shows at other poses. Such labels
were tried for one teacher by Fan et al. 2024 (LightGaussian, §3.3: jittered cameras) and for few photos by
Zhu et al. 2024 (FSGS, §3.3: between neighbours).
"""

from collections.abc import Sequence

import numpy as np

from gaussians.camera import Camera, neighbours
from gaussians.distill import recipe
from gaussians.train.schedule import Draws

_TURN = 5.0  # degrees a unit of jitter turns, standard deviation


def unseen_poses(cameras: Sequence[Camera], poses: recipe.Poses, seed: int) -> list[Camera]:
    """Cameras at `poses.count` poses, with the intrinsics and size of their nearest training camera.

    Each lies on the line between a training camera and one of its neighbours, at a uniform share of the
    way, and is shifted off it and turned a little at random. None without a share of the steps.

    Args:
        cameras: of the training views.
        poses: how many, and how far off the line.
        seed: of the draws.
    """
    if poses.share == 0:
        return []
    draw = np.random.default_rng([seed, 0x706F7365])
    centres = np.array([camera.centre for camera in cameras])
    forwards = np.array([camera.forward for camera in cameras])
    made = []
    for index in range(poses.count):
        here = index % len(cameras) if index < len(cameras) else int(draw.integers(len(cameras)))
        there = int(draw.choice(neighbours(centres, forwards, here)))
        made.append(_between(cameras[here], cameras[there], poses.jitter, draw))
    return made


class PoseOrder:
    """Replaces the drawn training view by an unseen pose in a share of a window's steps.

    Args:
        poses: share and window.
        views: number of training views; the unseen poses come after them.
    """

    def __init__(self, poses: recipe.Poses, views: int) -> None:
        self._poses, self._views = poses, views

    def __call__(self, view: int, step: int, draws: Draws) -> int:
        """The index to train on at `step`: `view`, or that of a pose."""
        poses = self._poses
        if not poses.start <= step < poses.stop:
            return view
        draw = np.random.default_rng(draws.seed(step, "pose"))
        return view if draw.random() >= poses.share else self._views + int(draw.integers(poses.count))


def _between(a: Camera, b: Camera, jitter: float, draw: np.random.Generator) -> Camera:
    share = float(draw.random())
    distance = float(np.linalg.norm(b.centre - a.centre))
    centre = (1 - share) * a.centre + share * b.centre + jitter * distance / 3 * draw.standard_normal(3)
    # The mean of two rotations is the rotation nearest to the mean of their matrices: half-way exactly the
    # middle one, and less than a degree from the geodesic elsewhere for cameras that look alike.
    mean = (1 - share) * a.viewmat[:3, :3] + share * b.viewmat[:3, :3]
    turn = _rotation(np.radians(_TURN) * jitter * draw.standard_normal(3))
    rotation = turn @ nearest_rotation(mean)
    viewmat = np.eye(4)
    viewmat[:3, :3], viewmat[:3, 3] = rotation, -rotation @ centre
    nearest = a if share < 0.5 else b
    return Camera(viewmat, nearest.K, nearest.width, nearest.height)


def nearest_rotation(matrix: np.ndarray) -> np.ndarray:
    """[3, 3] the rotation nearest to a matrix in the Frobenius norm (Kabsch 1976)."""
    u, _, vt = np.linalg.svd(matrix)
    return u @ np.diag([1.0, 1.0, np.linalg.det(u @ vt)]) @ vt


def _rotation(vector: np.ndarray) -> np.ndarray:
    """[3, 3] by Rodrigues' formula: about `vector` by its length, radians."""
    angle = float(np.linalg.norm(vector))
    if angle < 1e-12:
        return np.eye(3)
    x, y, z = vector / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross)
