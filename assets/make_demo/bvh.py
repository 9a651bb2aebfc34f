"""Bounding volume hierarchy over triangles and capsules: built once, then closest and any-hit queries."""

from typing import NamedTuple

import numpy as np
from numba import njit

from .geometry import Geometry

STACK = 64
"""Entries of a traversal stack; the tree of a few hundred thousand shapes is about 40 deep at most."""
_BINS = 16
_LEAF = 3


class Tree(NamedTuple):
    """The hierarchy and the shapes it holds.

    Attributes:
        boxes: [N, 6] float32 low and high corner of each node.
        links: [N, 2] int32; leaf: (first index into `order`, count); inner: (left child, 0); the right
            child follows the left.
        order: [P] int32 shape ids; triangles come first, then capsules.
        shapes: what the ids mean.
    """

    boxes: np.ndarray
    links: np.ndarray
    order: np.ndarray
    shapes: Geometry


def build(shapes: Geometry) -> Tree:
    """Build by the surface-area heuristic over 16 bins (Wald 2007)."""
    corners = shapes.corners.astype(np.float64)
    points = np.stack([corners[:, :3], corners[:, :3] + corners[:, 3:6], corners[:, :3] + corners[:, 6:9]])
    ends = shapes.capsules.astype(np.float64)
    low = np.concatenate([points.min(axis=0), np.minimum(ends[:, :3], ends[:, 3:6]) - ends[:, 6:]])
    high = np.concatenate([points.max(axis=0), np.maximum(ends[:, :3], ends[:, 3:6]) + ends[:, 6:]])
    boxes, links, order = _build(low - 1e-6, high + 1e-6)
    return Tree(boxes.astype(np.float32), links, order, shapes)


@njit(cache=True)
def _area(low, high):
    d = high - low
    return d[0] * d[1] + d[1] * d[2] + d[2] * d[0]


@njit(cache=True)
def _best_split(order, first, count, low, high, centres):
    """Axis and position of the cheapest of 3 x 15 planes; axis -1 when all centres coincide."""
    c_low = np.full(3, np.inf)
    c_high = np.full(3, -np.inf)
    for k in range(first, first + count):
        c_low = np.minimum(c_low, centres[order[k]])
        c_high = np.maximum(c_high, centres[order[k]])
    best_cost, best_axis, best_at = np.inf, -1, 0.0
    for axis in range(3):
        span = c_high[axis] - c_low[axis]
        if span < 1e-9:
            continue
        counts = np.zeros(_BINS, np.int64)
        bin_low = np.full((_BINS, 3), np.inf)
        bin_high = np.full((_BINS, 3), -np.inf)
        for k in range(first, first + count):
            p = order[k]
            b = min(int((centres[p, axis] - c_low[axis]) / span * _BINS), _BINS - 1)
            counts[b] += 1
            for a in range(3):
                bin_low[b, a] = min(bin_low[b, a], low[p, a])
                bin_high[b, a] = max(bin_high[b, a], high[p, a])
        right_cost = np.zeros(_BINS)
        r_low, r_high, r_count = np.full(3, np.inf), np.full(3, -np.inf), 0
        for b in range(_BINS - 1, 0, -1):
            r_low, r_high = np.minimum(r_low, bin_low[b]), np.maximum(r_high, bin_high[b])
            r_count += counts[b]
            right_cost[b] = _area(r_low, r_high) * r_count if r_count > 0 else np.inf
        l_low, l_high, l_count = np.full(3, np.inf), np.full(3, -np.inf), 0
        for b in range(_BINS - 1):
            l_low, l_high = np.minimum(l_low, bin_low[b]), np.maximum(l_high, bin_high[b])
            l_count += counts[b]
            if l_count == 0:
                continue
            cost = _area(l_low, l_high) * l_count + right_cost[b + 1]
            if cost < best_cost:
                best_cost, best_axis, best_at = cost, axis, c_low[axis] + span * (b + 1) / _BINS
    return best_axis, best_at


@njit(cache=True)
def _build(low, high):
    n = low.shape[0]
    centres = (low + high) * 0.5
    order = np.arange(n).astype(np.int32)
    boxes = np.zeros((2 * n, 6))
    links = np.zeros((2 * n, 2), np.int32)
    links[0, 0], links[0, 1] = 0, n
    used = 1
    todo = [0]
    while len(todo) > 0:
        node = todo.pop()
        first, count = links[node, 0], links[node, 1]
        for a in range(3):
            boxes[node, a], boxes[node, 3 + a] = np.inf, -np.inf
        for k in range(first, first + count):
            for a in range(3):
                boxes[node, a] = min(boxes[node, a], low[order[k], a])
                boxes[node, 3 + a] = max(boxes[node, 3 + a], high[order[k], a])
        if count <= _LEAF:
            continue
        axis, at = _best_split(order, first, count, low, high, centres)
        middle = first
        if axis >= 0:
            for k in range(first, first + count):
                if centres[order[k], axis] < at:
                    order[k], order[middle] = order[middle], order[k]
                    middle += 1
        if middle == first or middle == first + count:
            middle = first + count // 2
        left = used
        used += 2
        links[left, 0], links[left, 1] = first, middle - first
        links[left + 1, 0], links[left + 1, 1] = middle, first + count - middle
        links[node, 0], links[node, 1] = left, 0
        todo.append(left)
        todo.append(left + 1)
    return boxes[:used].copy(), links[:used].copy(), order


@njit(cache=True, fastmath=True)
def _enter(boxes, node, ox, oy, oz, ix, iy, iz, limit):
    """Distance at which the ray enters a node's box; infinity when it misses or enters past `limit`."""
    x0, x1 = (boxes[node, 0] - ox) * ix, (boxes[node, 3] - ox) * ix
    y0, y1 = (boxes[node, 1] - oy) * iy, (boxes[node, 4] - oy) * iy
    z0, z1 = (boxes[node, 2] - oz) * iz, (boxes[node, 5] - oz) * iz
    near = max(max(min(x0, x1), min(y0, y1)), max(min(z0, z1), 0.0))
    far = min(min(max(x0, x1), max(y0, y1)), min(max(z0, z1), limit))
    return near if near <= far else 1e30


@njit(cache=True, fastmath=True)
def _triangle(c, i, ox, oy, oz, dx, dy, dz, limit):
    """Distance and barycentric u, v (Moeller and Trumbore 1997); distance 1e30 when missed."""
    e1x, e1y, e1z = c[i, 3], c[i, 4], c[i, 5]
    e2x, e2y, e2z = c[i, 6], c[i, 7], c[i, 8]
    px, py, pz = dy * e2z - dz * e2y, dz * e2x - dx * e2z, dx * e2y - dy * e2x
    det = e1x * px + e1y * py + e1z * pz
    if abs(det) < 1e-14:
        return 1e30, 0.0, 0.0
    inv = 1.0 / det
    tx, ty, tz = ox - c[i, 0], oy - c[i, 1], oz - c[i, 2]
    u = (tx * px + ty * py + tz * pz) * inv
    if u < 0.0 or u > 1.0:
        return 1e30, 0.0, 0.0
    qx, qy, qz = ty * e1z - tz * e1y, tz * e1x - tx * e1z, tx * e1y - ty * e1x
    v = (dx * qx + dy * qy + dz * qz) * inv
    t = (e2x * qx + e2y * qy + e2z * qz) * inv
    if v < 0.0 or u + v > 1.0 or t <= 0.0 or t >= limit:
        return 1e30, 0.0, 0.0
    return t, u, v


@njit(cache=True, fastmath=True)
def _capsule(c, i, ox, oy, oz, dx, dy, dz, limit):
    """Distance and place along the axis (0..1) where a ray from outside meets a capsule; 1e30 when missed.

    Quadratic of the infinite cylinder in the plane across the axis, then the end spheres.
    """
    ax, ay, az = c[i, 3] - c[i, 0], c[i, 4] - c[i, 1], c[i, 5] - c[i, 2]
    qx, qy, qz = ox - c[i, 0], oy - c[i, 1], oz - c[i, 2]
    rr = c[i, 6] * c[i, 6]
    aa = ax * ax + ay * ay + az * az
    ad = ax * dx + ay * dy + az * dz
    aq = ax * qx + ay * qy + az * qz
    dq = dx * qx + dy * qy + dz * qz
    qq = qx * qx + qy * qy + qz * qz
    a = aa - ad * ad
    b = aa * dq - aq * ad
    k = aa * qq - aq * aq - rr * aa
    h = b * b - a * k
    if h < 0.0:
        return 1e30, 0.0
    if a > 1e-12 * aa:
        t = (-b - np.sqrt(h)) / a
        s = aq + t * ad
        if 0.0 < s < aa:
            if 0.0 < t < limit:
                return t, s / aa
            return 1e30, 0.0
        end = 0.0 if s <= 0.0 else 1.0
    else:
        end = 0.0 if ad > 0.0 else 1.0
    sx, sy, sz = qx - end * ax, qy - end * ay, qz - end * az
    half = sx * dx + sy * dy + sz * dz
    h = half * half - (sx * sx + sy * sy + sz * sz - rr)
    if h <= 0.0:
        return 1e30, 0.0
    t = -half - np.sqrt(h)
    if 0.0 < t < limit:
        return t, end
    return 1e30, 0.0


@njit(cache=True, fastmath=True)
def trace(tree, stack, ox, oy, oz, dx, dy, dz, limit, any_hit):
    """First hit along a unit direction before `limit`, or any hit: (distance, shape id or -1, u, v)."""
    ix = 1.0 / dx if abs(dx) > 1e-12 else 1e12
    iy = 1.0 / dy if abs(dy) > 1e-12 else 1e12
    iz = 1.0 / dz if abs(dz) > 1e-12 else 1e12
    boxes, links, order, shapes = tree.boxes, tree.links, tree.order, tree.shapes
    triangles = shapes.corners.shape[0]
    found, found_u, found_v = -1, 0.0, 0.0
    top = 0
    if _enter(boxes, 0, ox, oy, oz, ix, iy, iz, limit) < 1e29:
        stack[0] = 0
        top = 1
    while top > 0:
        top -= 1
        node = stack[top]
        count = links[node, 1]
        if count > 0:
            first = links[node, 0]
            for k in range(first, first + count):
                shape = order[k]
                if shape < triangles:
                    t, u, v = _triangle(shapes.corners, shape, ox, oy, oz, dx, dy, dz, limit)
                else:
                    t, u = _capsule(shapes.capsules, shape - triangles, ox, oy, oz, dx, dy, dz, limit)
                    v = 0.0
                if t < limit:
                    limit, found, found_u, found_v = t, shape, u, v
                    if any_hit:
                        return limit, found, found_u, found_v
            continue
        left = links[node, 0]
        t0 = _enter(boxes, left, ox, oy, oz, ix, iy, iz, limit)
        t1 = _enter(boxes, left + 1, ox, oy, oz, ix, iy, iz, limit)
        # The nearer child is pushed last, so it is visited first and shortens the ray for the other.
        if t0 <= t1:
            if t1 < 1e29:
                stack[top] = left + 1
                top += 1
            if t0 < 1e29:
                stack[top] = left
                top += 1
        else:
            if t0 < 1e29:
                stack[top] = left
                top += 1
            stack[top] = left + 1
            top += 1
    return limit, found, found_u, found_v
