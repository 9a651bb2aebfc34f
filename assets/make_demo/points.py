"""The sparse point cloud, as structure from motion would leave it: on what cameras see, a little off."""

import numpy as np

from .bvh import STACK, Tree, trace
from .light import room_hit

COUNT = 9000
_OFF = 0.0012
"""Standard deviation of the points' error, as a part of their distance to the camera that found them."""


def rays(camera: np.ndarray, focal: float, size: tuple[int, int], pixels: np.ndarray) -> np.ndarray:
    """[N, 3] unit directions through image places [N, 2] (x right, y down, pixels)."""
    width, height = size
    local = np.stack(
        [(pixels[:, 0] - width / 2) / focal, -(pixels[:, 1] - height / 2) / focal, -np.ones(len(pixels))],
        axis=1,
    )
    directions = local @ camera[:3, :3].T
    return directions / np.linalg.norm(directions, axis=1, keepdims=True)


def distances(tree: Tree, origin: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """[N] distance to the first surface, floor or wall along each direction."""
    stack = np.empty(STACK, np.int32)
    found = np.empty(len(directions))
    ox, oy, oz = origin
    for k, (x, y, z) in enumerate(directions):
        limit, _ = room_hit(ox, oy, oz, x, y, z)
        found[k] = trace(tree, stack, ox, oy, oz, x, y, z, limit, False)[0]
    return found


def sparse_points(
    tree: Tree, cameras: list[np.ndarray], focal: float, images: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Points [COUNT, 3] float32 and colours [COUNT, 3] uint8: the pixels where they were found.

    Three quarters lie where the pictures have detail, as features do; the rest anywhere, wall and floor too.
    """
    rng = np.random.default_rng(11)
    share = -(-COUNT // len(cameras))
    places, colours = [], []
    for camera, image in zip(cameras, images, strict=True):
        height, width = image.shape[:2]
        pixels = _features(image, share, rng)
        middle = pixels + 0.5
        directions = rays(camera, focal, (width, height), middle)
        distance = distances(tree, camera[:3, 3], directions)
        point = camera[:3, 3] + directions * distance[:, None]
        places.append(point + rng.normal(size=point.shape) * (_OFF * distance[:, None]))
        colours.append(image[pixels[:, 1], pixels[:, 0]])
    return np.concatenate(places)[:COUNT].astype(np.float32), np.concatenate(colours)[:COUNT]


def _features(image: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """[count, 2] pixels x, y: mostly drawn by the picture's contrast."""
    grey = image.astype(float).mean(axis=2)
    slope = np.hypot(*np.gradient(grey))
    weight = np.minimum(slope, 40.0).ravel()
    weight = 0.75 * weight / weight.sum() + 0.25 / weight.size
    chosen = rng.choice(weight.size, size=count, replace=False, p=weight)
    return np.stack([chosen % image.shape[1], chosen // image.shape[1]], axis=1)
