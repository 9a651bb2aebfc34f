"""Distances to the nearest neighbours in a point cloud, by a balanced k-d tree.

A tree and not a grid, because structure-from-motion clouds put most points on a small object and a few very
far away. The tree is implicit (Bentley 1975): node i has children 2i+1 and 2i+2, and halves its range of a
reordered point array at the median along the range's widest axis, so that duplicates cannot unbalance it.
"""

import numpy as np
from numba import njit, prange

from gaussians.kernels import FASTMATH

_LEAF = 8  # points in a leaf; 4 to 16 take the same time
_STACK = 64  # more than the depth of a tree over 2³¹ points


def neighbour_distances(points: np.ndarray, count: int = 3) -> np.ndarray:
    """Euclidean distances from every point to its nearest others, ascending.

    Args:
        points: [N, 3] float32, finite. Duplicates are neighbours at distance 0.
        count: neighbours for each point, at most N - 1.

    Returns:
        [N, count] float32.
    """
    points = np.ascontiguousarray(points, dtype=np.float32)
    if not 0 < count < len(points):
        raise ValueError(f"{len(points)} points cannot have {count} neighbours each")
    levels = max(0, int(np.ceil(np.log2(len(points) / _LEAF))))
    axes = np.zeros(2 ** (levels + 1), dtype=np.int8)
    planes = np.zeros(2 ** (levels + 1), dtype=np.float32)
    order = np.arange(len(points))
    _build(points, order, axes, planes)
    distances = np.empty((len(points), count), dtype=np.float32)
    _query(np.ascontiguousarray(points[order]), order, axes, planes, distances)
    return distances


@njit(cache=True, nogil=True)
def _build(points: np.ndarray, order: np.ndarray, axes: np.ndarray, planes: np.ndarray) -> None:
    """Reorder `order` and fill the nodes' splitting planes."""
    stack = np.empty((_STACK, 3), dtype=np.int64)
    stack[0, 0], stack[0, 1], stack[0, 2] = 0, 0, len(order)
    top = 1
    while top > 0:
        top -= 1
        node, low, high = stack[top, 0], stack[top, 1], stack[top, 2]
        if high - low <= _LEAF:
            continue
        axis = _widest_axis(points, order, low, high)
        middle = (low + high) // 2
        _select(points, order, low, high - 1, middle, axis)
        axes[node] = axis
        planes[node] = points[order[middle], axis]
        stack[top, 0], stack[top, 1], stack[top, 2] = 2 * node + 1, low, middle
        stack[top + 1, 0], stack[top + 1, 1], stack[top + 1, 2] = 2 * node + 2, middle, high
        top += 2


@njit(cache=True, nogil=True)
def _widest_axis(points: np.ndarray, order: np.ndarray, low: int, high: int) -> int:
    """The axis along which the range's bounding box is longest."""
    widest, width = 0, np.float32(-1.0)
    for axis in range(3):
        least = most = points[order[low], axis]
        for i in range(low + 1, high):
            value = points[order[i], axis]
            least = min(least, value)
            most = max(most, value)
        if most - least > width:
            widest, width = axis, most - least
    return widest


@njit(cache=True, nogil=True)
def _select(points: np.ndarray, order: np.ndarray, left: int, right: int, middle: int, axis: int) -> None:
    """Quickselect (Hoare 1961): what is left of `middle` is not greater, what is right of it not less."""
    while left < right:
        pivot = points[order[(left + right) // 2], axis]
        i, j = left, right
        while i <= j:
            while points[order[i], axis] < pivot:
                i += 1
            while points[order[j], axis] > pivot:
                j -= 1
            if i <= j:
                order[i], order[j] = order[j], order[i]
                i += 1
                j -= 1
        if middle <= j:
            right = j
        elif middle >= i:
            left = i
        else:
            return


@njit(cache=True, nogil=True, parallel=True, fastmath=FASTMATH)
def _query(
    sorted_points: np.ndarray, order: np.ndarray, axes: np.ndarray, planes: np.ndarray, distances: np.ndarray
) -> None:
    """Fill distances[order[i]] for every point i of the tree."""
    for i in prange(len(order)):
        _nearest(sorted_points, i, axes, planes, distances[order[i]])


@njit(cache=True, nogil=True, fastmath=FASTMATH)
def _nearest(points: np.ndarray, own: int, axes: np.ndarray, planes: np.ndarray, best: np.ndarray) -> None:
    """Descend to the nearer side first; visit the farther one only if its plane is nearer than the worst."""
    best[:] = np.inf
    worst = len(best) - 1
    ranges = np.empty((_STACK, 3), dtype=np.int64)
    bounds = np.empty(_STACK, dtype=np.float32)
    ranges[0, 0], ranges[0, 1], ranges[0, 2] = 0, 0, len(points)
    bounds[0] = 0.0
    top = 1
    while top > 0:
        top -= 1
        if bounds[top] >= best[worst]:
            continue
        bound, node, low, high = bounds[top], ranges[top, 0], ranges[top, 1], ranges[top, 2]
        while high - low > _LEAF:
            middle = (low + high) // 2
            offset = points[own, axes[node]] - planes[node]
            far = max(bound, offset * offset)
            bounds[top] = far
            if offset < 0.0:
                ranges[top, 0], ranges[top, 1], ranges[top, 2] = 2 * node + 2, middle, high
                node, high = 2 * node + 1, middle
            else:
                ranges[top, 0], ranges[top, 1], ranges[top, 2] = 2 * node + 1, low, middle
                node, low = 2 * node + 2, middle
            top += 1
        for j in range(low, high):
            if j != own:
                _insert(best, _squared_distance(points, own, j))
    for slot in range(len(best)):
        best[slot] = np.sqrt(best[slot])


@njit(cache=True, nogil=True, fastmath=FASTMATH)
def _squared_distance(points: np.ndarray, i: int, j: int) -> float:
    x = points[i, 0] - points[j, 0]
    y = points[i, 1] - points[j, 1]
    z = points[i, 2] - points[j, 2]
    return x * x + y * y + z * z


@njit(cache=True, nogil=True)
def _insert(best: np.ndarray, value: float) -> None:
    """Insert into an ascending list, dropping its last."""
    slot = len(best) - 1
    if value >= best[slot]:
        return
    while slot > 0 and best[slot - 1] > value:
        best[slot] = best[slot - 1]
        slot -= 1
    best[slot] = value
