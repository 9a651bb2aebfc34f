"""Where training starts when a scene has no points: points drawn where the cameras look."""

from collections.abc import Sequence

import numpy as np

from gaussians.scene.types import Points, View

_BATCH = 20_000  # points projected at a time
_BATCHES = 60  # drawn at most; a region that is hit more rarely is filled less
_COARSE = 500  # points that show how large the region is
_MOST_VIEWS = 100  # asked about each point
_COMMON = 0.5  # share of the views that see a point of the common view
_SILHOUETTE = 0.95  # share of the views that see a point in which it must be in front of something
_TRANSPARENT = 8  # of 255: alpha below is nothing
_PARALLEL = 1e-3  # least eigenvalue of the axes' spread below which they have no common point (about 2°)
_GREY = 128


def draw_points(views: Sequence[View], count: int, seed: int) -> Points:
    """Draw points where the cameras look, uniformly in space, in the colours that the views show there.

    Drawn in a cube around the point that is closest to all optical axes, as large as the cameras' distance
    from it; kept if at least half of the views see it and, where photos are transparent, if it lies inside
    their silhouettes (the visual hull, Laurentini 1994). Cameras that share no view each get their share of
    points in front of them.
    """
    rng = np.random.default_rng(seed)
    views = [views[i] for i in np.unique(np.linspace(0, len(views) - 1, _MOST_VIEWS).astype(int))]
    centre, half = _looked_at(views)
    for carved in (True, False) if any(view.alpha is not None for view in views) else (False,):
        # A small object fills little of the cube: the first few points found give a closer box.
        found = _common(views, rng, centre - half, centre + half, _COARSE, carved)
        if len(found) < _COARSE // 10:
            continue
        margin = 0.1 * np.ptp(found, axis=0)
        low, high = found.min(axis=0) - margin, found.max(axis=0) + margin
        xyz = _common(views, rng, low, high, count, carved)
        where = "in the cameras' common view" + (" and inside the silhouettes" if carved else "")
        return Points(xyz, _seen_colors(views, xyz), f"random, {where}")
    xyz = _in_front(views, rng, count, half)
    return Points(xyz, _seen_colors(views, xyz), "random, in front of each camera")


def _looked_at(views: Sequence[View]) -> tuple[np.ndarray, float]:
    """The point closest to all optical axes (least squares), and the cameras' median distance from it."""
    centres = np.array([view.camera.centre for view in views])
    axes = np.array([view.camera.forward for view in views])
    across = np.eye(3) - axes[:, :, None] * axes[:, None, :]
    normal = across.mean(axis=0)
    spread = float(np.linalg.norm(centres - centres.mean(axis=0), axis=1).max())
    if np.linalg.eigvalsh(normal)[0] < _PARALLEL:
        ahead = axes.mean(axis=0) / np.linalg.norm(axes.mean(axis=0))
        distance = 4 * spread or 1.0
        return centres.mean(axis=0) + distance * ahead, distance
    point = np.linalg.solve(normal, np.einsum("nij,nj->i", across, centres) / len(views))
    distance = float(np.median(np.linalg.norm(centres - point, axis=1)))
    return point, max(distance, 1e-6)


def _common(
    views: Sequence[View],
    rng: np.random.Generator,
    low: np.ndarray,
    high: np.ndarray,
    count: int,
    carved: bool,
) -> np.ndarray:
    """Up to `count` points [N, 3] float32 of a box that the views have in common."""
    kept: list[np.ndarray] = []
    for _ in range(_BATCHES):
        points = rng.uniform(low, high, (_BATCH, 3))
        seen, solid = np.zeros(_BATCH, int), np.zeros(_BATCH, int)
        for view in views:
            inside, columns, rows = _pixels(view, points)
            seen += inside
            if carved:
                opaque = True if view.alpha is None else view.alpha[rows, columns] > _TRANSPARENT
                solid += inside & opaque
        keep = seen >= max(1, _COMMON * len(views))
        if carved:
            keep &= solid >= _SILHOUETTE * seen
        kept.append(points[keep])
        if sum(map(len, kept)) >= count:
            break
    return np.concatenate(kept)[:count].astype(np.float32)


def _in_front(views: Sequence[View], rng: np.random.Generator, count: int, distance: float) -> np.ndarray:
    """Points [count, 3] float32 at random pixels, at depths around `distance`."""
    chosen = rng.integers(len(views), size=count)
    points = np.empty((count, 3))
    for index, view in enumerate(views):
        mine = np.flatnonzero(chosen == index)
        camera = view.camera
        pixels = rng.uniform((0, 0), (camera.width, camera.height), (len(mine), 2))
        rays = np.concatenate([pixels, np.ones((len(mine), 1))], axis=1) @ np.linalg.inv(camera.K).T
        depths = distance * rng.uniform(0.3, 2.0, (len(mine), 1))
        points[mine] = camera.centre + (rays * depths) @ camera.viewmat[:3, :3]
    return points.astype(np.float32)


def _seen_colors(views: Sequence[View], points: np.ndarray) -> np.ndarray:
    """[N, 3] uint8: the mean colour of the pixels that points project to; grey where none does."""
    total, seen = np.zeros((len(points), 3), np.float32), np.zeros(len(points), np.float32)
    for view in views:
        inside, columns, rows = _pixels(view, points)
        total += view.image[rows, columns] * inside[:, None]
        seen += inside
    mean = total / np.maximum(seen, 1)[:, None]
    return np.where(seen[:, None] > 0, mean + 0.5, _GREY).astype(np.uint8)


def _pixels(view: View, points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Whether points [N, 3] are in the picture, and their pixels: columns and rows, 0 where they are not."""
    camera = view.camera
    x, y, z = camera.viewmat[:3, :3] @ points.T + camera.viewmat[:3, 3:]
    near = 1e-6
    depth = np.maximum(z, near)
    u = camera.K[0, 0] * x / depth + camera.K[0, 2]
    v = camera.K[1, 1] * y / depth + camera.K[1, 2]
    inside = (z > near) & (u >= 0) & (u < camera.width) & (v >= 0) & (v < camera.height)
    return inside, np.where(inside, u, 0).astype(int), np.where(inside, v, 0).astype(int)
