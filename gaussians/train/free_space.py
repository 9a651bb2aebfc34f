"""Where nothing can be, as photographers stood and walked there.

A few large Gaussians right before a camera mend the exposure of its photo and darken held-out views beside
it: three of south_building's 16 came out at 8 to 15 dB in one teacher or another (docs/trials.md).
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from gaussians.camera import Camera, neighbours

_EVERY = 100  # steps: as often as models grow; to look takes a fraction of one step
_POINTS = 10_000  # looked at by each camera: a second for 2000 of them
_NEAREST = 1.0  # % of the points that a camera sees may be nearer: outliers of structure from motion
_FEWEST = 20  # points that a camera must see to say what is near
_JOINED = 0.5  # x the nearest depth: between cameras farther apart nobody knows that the way is free
_CELLS = 128  # of the coarse grid along each axis: 2 MB
_TESTS = 1_000_000  # distances measured at once: some 50 MB


class FreeSpace:
    """Capsules about the cameras and about the ways between neighbours.

    Args:
        starts, ends: [S, 3] of the capsules' axes, world units; a ball's are the same.
        radii: [S], world units, above 0.
    """

    def __init__(self, starts: np.ndarray, ends: np.ndarray, radii: np.ndarray) -> None:
        lows = np.minimum(starts, ends) - radii[:, None]
        highs = np.maximum(starts, ends) + radii[:, None]
        low, high = lows.min(axis=0), highs.max(axis=0)
        # From the box's corner, as products of far coordinates would cancel; float64 for the same reason.
        arrays = (low, high, (high - low) / _CELLS, starts - low, ends - starts, radii)
        self._box = tuple(torch.from_numpy(array) for array in arrays)
        self._grid = torch.from_numpy(_marked(lows, highs, low, (high - low) / _CELLS))

    @classmethod
    def of(cls, cameras: Sequence[Camera], points: np.ndarray, clearance: float) -> "FreeSpace | None":
        """What is free in a scene; None without clearance, or if no camera sees enough points.

        Args:
            cameras: of the training views.
            points: [N, 3] of the scene's surfaces, world coordinates.
            clearance: the capsules' radius, as a share of the depth of what is nearest to their cameras.
        """
        near = _near(cameras, points) if clearance > 0 else None
        if near is None:
            return None
        centres = np.array([camera.centre for camera in cameras])
        a, b = _pairs(centres, np.array([camera.forward for camera in cameras]), near)
        return cls(centres[a], centres[b], clearance * np.minimum(near[a], near[b]))

    @torch.no_grad()
    def holds(self, means: Tensor) -> Tensor:
        """[N] bool, on the same device: which of the means [N, 3] are inside; those not finite are not."""
        self._box = tuple(tensor.to(means.device) for tensor in self._box)
        self._grid = self._grid.to(means.device)
        low, high, cell, *_ = self._box
        inside = ((means >= low) & (means <= high)).all(dim=-1).nonzero()[:, 0]
        places = means[inside].double() - low
        x, y, z = (places / cell).long().clamp(max=_CELLS - 1).unbind(dim=-1)
        marked = self._grid[x, y, z]
        held = torch.zeros(len(means), dtype=torch.bool, device=means.device)
        held[inside[marked]] = self._tested(places[marked])
        return held

    def _tested(self, places: Tensor) -> Tensor:
        """[N] bool, which of the places [N, 3] float64, from the box's corner, are inside of a capsule."""
        *_, starts, axes, radii = self._box
        squares = axes.square().sum(dim=-1)
        lengths = torch.where(squares > 0, squares, 1.0)
        held = []
        for some in places.split(max(1, _TESTS // len(radii))):
            along = some @ axes.T - (starts * axes).sum(dim=-1)
            share = (along / lengths).clamp(0, 1)
            apart = some.square().sum(dim=-1, keepdim=True) - 2 * some @ starts.T
            apart += starts.square().sum(dim=-1)
            held.append((apart + share * (share * squares - 2 * along) < radii.square()).any(dim=-1))
        return torch.cat(held)


def is_due(step: int, last: int) -> bool:
    """Whether space is cleared once `step` of `last` steps are done: before refinements, and in the end."""
    return step % _EVERY == 0 or step == last


def _marked(lows: np.ndarray, highs: np.ndarray, corner: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """[_CELLS, _CELLS, _CELLS] bool, the grid's cells that the boxes from `lows` to `highs` [S, 3] touch."""
    grid = np.zeros((_CELLS, _CELLS, _CELLS), dtype=bool)
    first = ((lows - corner) / cell).astype(np.int64)
    end = np.minimum(((highs - corner) / cell).astype(np.int64), _CELLS - 1) + 1
    for (x, y, z), (x_end, y_end, z_end) in zip(first, end, strict=True):
        grid[x:x_end, y:y_end, z:z_end] = True
    return grid


def _near(cameras: Sequence[Camera], points: np.ndarray) -> np.ndarray | None:
    """[C] depth of the nearest points of each camera; None if no camera sees enough of them."""
    some = points[:: max(1, -(-len(points) // _POINTS))].astype(np.float64)
    near = np.array([_depth(camera, some) for camera in cameras])
    known = np.isfinite(near)
    return np.where(known, near, np.median(near[known])) if known.any() else None


def _depth(camera: Camera, points: np.ndarray) -> float:
    """Of the nearest points [N, 3] in the camera's image; NaN if too few are."""
    places = points @ camera.viewmat[:3, :3].T + camera.viewmat[:3, 3]
    x, y, z = (places @ camera.K.T).T
    depths = z[(z > 0) & (x > 0) & (x < camera.width * z) & (y > 0) & (y < camera.height * z)]
    return float(np.percentile(depths, _NEAREST)) if len(depths) >= _FEWEST else float("nan")


def _pairs(centres: np.ndarray, forwards: np.ndarray, near: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """([S], [S]) indices of cameras with a free way between them: each to itself, and to close neighbours."""
    pairs = {(index, index) for index in range(len(centres))}
    for index in range(len(centres)):
        for other in neighbours(centres, forwards, index):
            apart = np.linalg.norm(centres[other] - centres[index])
            if apart <= _JOINED * min(near[index], near[other]):
                pairs.add((min(index, int(other)), max(index, int(other))))
    a, b = np.array(sorted(pairs)).T
    return a, b
