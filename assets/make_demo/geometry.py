"""Shapes as triangles and capsules. World units; z is up; a material is an id of `materials`."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np


class Geometry(NamedTuple):
    """All shapes of a scene, in the layout that the ray tracer reads (float32, int32).

    Attributes:
        corners: [T, 9] first corner, then the two edges that leave it.
        normals: [T, 9] unit shading normal at each corner.
        uvs: [T, 6] texture coordinates at each corner.
        triangle_materials: [T].
        capsules: [C, 7] both ends and the radius.
        capsule_uvs: [C, 3] u at both ends, and one v that tells strands apart.
        capsule_materials: [C].
    """

    corners: np.ndarray
    normals: np.ndarray
    uvs: np.ndarray
    triangle_materials: np.ndarray
    capsules: np.ndarray
    capsule_uvs: np.ndarray
    capsule_materials: np.ndarray


@dataclass
class Modeller:
    """Collects shapes; `placed` moves all that a part adds."""

    _triangles: list[tuple[np.ndarray, np.ndarray, np.ndarray, int]] = field(default_factory=list)
    _capsules: list[tuple[np.ndarray, np.ndarray, int]] = field(default_factory=list)

    def sheet(self, points: np.ndarray, uv: np.ndarray, material: int) -> None:
        """A smooth grid of quads: points [R, C, 3] and uv [R, C, 2]; rows or columns may close."""
        across = _difference(points, 0)
        along = _difference(points, 1)
        normals = np.cross(along, across)
        length = np.linalg.norm(normals, axis=2, keepdims=True)
        # At a pole of revolution one tangent vanishes; the neighbouring ring's normal stands in.
        flat = length[..., 0] < 1e-12
        normals = normals / np.maximum(length, 1e-12)
        for row, neighbour in ((0, 1), (-1, -2)):
            mean = normals[neighbour].mean(axis=0)
            pole = mean / max(float(np.linalg.norm(mean)), 1e-9)
            normals[row] = np.where(flat[row][:, None], pole, normals[row])
        data = np.concatenate([points, normals, uv], axis=2)
        a, b, c, d = data[:-1, :-1], data[1:, :-1], data[1:, 1:], data[:-1, 1:]
        for corners in ((a, b, c), (a, c, d)):
            stacked = np.stack([corner.reshape(-1, 8) for corner in corners], axis=1)
            self._add(stacked[..., :3], stacked[..., 3:6], stacked[..., 6:], material)

    def box(self, centre: np.ndarray, size: np.ndarray, material: int, yaw: float = 0.0) -> None:
        """A box with flat faces, turned about z. uv runs 0..1 over each face."""
        turn = rotation_z(yaw)
        for axis in range(3):
            for sign in (-1.0, 1.0):
                u, v = (axis + 1) % 3, (axis + 2) % 3
                local = np.zeros((2, 2, 3))
                local[..., axis] = sign
                local[:, :, u] = np.array([[-1.0, 1.0], [-1.0, 1.0]]) * sign
                local[:, :, v] = np.array([[-1.0, -1.0], [1.0, 1.0]])
                points = (local * np.asarray(size) / 2) @ turn.T + np.asarray(centre)
                grid = np.stack(np.meshgrid([0.0, 1.0], [0.0, 1.0]), axis=2)
                self.sheet(points, grid, material)

    def chain(self, points: np.ndarray, radii: np.ndarray | float, material: int, v: float = 0.0) -> None:
        """Capsules along a polyline [N, 3]; u is the length so far."""
        points = np.asarray(points, dtype=float)
        radii = np.broadcast_to(np.asarray(radii, dtype=float), (len(points),))
        lengths = np.linalg.norm(np.diff(points, axis=0), axis=1)
        u = np.concatenate([[0.0], np.cumsum(lengths)])
        capsules = np.concatenate([points[:-1], points[1:], (radii[:-1, None] + radii[1:, None]) / 2], axis=1)
        uvs = np.stack([u[:-1], u[1:], np.full(len(lengths), v)], axis=1)
        self._capsules.append((capsules, uvs, material))

    def revolve(
        self, profile: np.ndarray, material: int, frame: np.ndarray | None = None, segments: int = 96
    ) -> None:
        """Turn a profile [N, 2] of (radius, height) about z. u goes round, v from first to last by height.

        `frame` [4, 4] places it. Heights that repeat (a foot, an inside wall) share their v.
        """
        angle = np.linspace(0.0, 2 * np.pi, segments + 1)
        radius, height = profile[:, 0][:, None], profile[:, 1][:, None]
        ring = np.stack([radius * np.cos(angle), radius * np.sin(angle), height + 0 * angle], axis=2)
        low, high = float(height.min()), float(height.max())
        v = np.broadcast_to((height - low) / max(high - low, 1e-9), ring.shape[:2])
        u = np.broadcast_to(angle / (2 * np.pi), ring.shape[:2])
        if frame is not None:
            ring = ring @ frame[:3, :3].T + frame[:3, 3]
        self.sheet(ring, np.stack([u, v], axis=2), material)

    def tube(self, path: np.ndarray, radii: np.ndarray | float, material: int, segments: int = 20) -> None:
        """A smooth round tube along a path [N, 3]; u goes round, v along; open at both ends."""
        path = np.asarray(path, dtype=float)
        radii = np.broadcast_to(np.asarray(radii, dtype=float), (len(path),))
        tangent = _unit(np.gradient(path, axis=0))
        side = np.cross(tangent[0], [0.31, 0.93, 0.2])
        sides = []
        for direction in tangent:  # parallel transport: the frame never twists
            side = side - direction * (side @ direction)
            side = side / np.linalg.norm(side)
            sides.append(side)
        first = np.array(sides)
        second = np.cross(tangent, first)
        angle = np.linspace(0.0, 2 * np.pi, segments + 1)
        circle = first[:, None] * np.cos(angle)[:, None] + second[:, None] * np.sin(angle)[:, None]
        points = path[:, None] + radii[:, None, None] * circle
        u = np.broadcast_to(angle / (2 * np.pi), points.shape[:2])
        v = np.broadcast_to(np.linspace(0.0, 1.0, len(path))[:, None], points.shape[:2])
        self.sheet(points, np.stack([u, v], axis=2), material)

    def placed(self, frame: np.ndarray, part: Callable[["Modeller"], None]) -> None:
        """Add what `part` adds, moved by the rigid or uniformly scaled `frame` [4, 4]."""
        inner = Modeller()
        part(inner)
        scale = float(np.cbrt(np.linalg.det(frame[:3, :3])))
        for points, normals, uv, material in inner._triangles:
            moved = points @ frame[:3, :3].T + frame[:3, 3]
            self._add(moved, normals @ frame[:3, :3].T / scale, uv, material)
        for capsules, uvs, material in inner._capsules:
            ends = capsules[:, :6].reshape(-1, 2, 3) @ frame[:3, :3].T + frame[:3, 3]
            radius = capsules[:, 6:] * scale
            self._capsules.append((np.concatenate([ends.reshape(-1, 6), radius], axis=1), uvs, material))

    def finish(self, shift: np.ndarray) -> Geometry:
        """All shapes moved by `shift`, packed for the ray tracer."""
        points = np.concatenate([part[0] for part in self._triangles]) + shift
        corners = np.concatenate(
            [points[:, 0], points[:, 1] - points[:, 0], points[:, 2] - points[:, 0]], axis=1
        )
        solid = np.linalg.norm(np.cross(corners[:, 3:6], corners[:, 6:9]), axis=1) > 1e-12
        normals = np.concatenate([part[1] for part in self._triangles]).reshape(-1, 9)
        uvs = np.concatenate([part[2] for part in self._triangles]).reshape(-1, 6)
        materials = np.concatenate([np.full(len(part[0]), part[3]) for part in self._triangles])
        capsules = np.concatenate([part[0] for part in self._capsules])
        capsules[:, :6] += np.tile(shift, 2)
        return Geometry(
            corners[solid].astype(np.float32),
            normals[solid].astype(np.float32),
            uvs[solid].astype(np.float32),
            materials[solid].astype(np.int32),
            capsules.astype(np.float32),
            np.concatenate([part[1] for part in self._capsules]).astype(np.float32),
            np.concatenate([np.full(len(part[0]), part[2]) for part in self._capsules]).astype(np.int32),
        )

    def _add(self, points: np.ndarray, normals: np.ndarray, uv: np.ndarray, material: int) -> None:
        self._triangles.append((points, normals, uv, material))


def _difference(points: np.ndarray, axis: int) -> np.ndarray:
    """Central differences along a grid axis, around the seam where the grid closes on itself."""
    points = np.moveaxis(points, axis, 0)
    closed = len(points) > 3 and np.allclose(points[0], points[-1], atol=1e-9)
    padded = np.concatenate(
        [points[-2:-1] if closed else points[:1], points, points[1:2] if closed else points[-1:]]
    )
    return np.moveaxis(padded[2:] - padded[:-2], 0, axis)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def smooth_curve(points: list[tuple[float, ...]] | np.ndarray, count: int) -> np.ndarray:
    """[count, D] Catmull-Rom curve through the points (centripetal would overshoot less; ours are tame)."""
    knots = np.asarray(points, dtype=float)
    padded = np.concatenate([2 * knots[:1] - knots[1:2], knots, 2 * knots[-1:] - knots[-2:-1]])
    t = np.linspace(0.0, len(knots) - 1 - 1e-9, count)
    i = t.astype(int)
    f = (t - i)[:, None]
    p0, p1, p2, p3 = (padded[i + k] for k in range(4))
    return 0.5 * (
        2 * p1 + (p2 - p0) * f + (2 * p0 - 5 * p1 + 4 * p2 - p3) * f**2 + (3 * p1 - p0 - 3 * p2 + p3) * f**3
    )


def rotation_z(angle: float) -> np.ndarray:
    """[3, 3] turn about z by `angle` radians."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def facing(direction: np.ndarray, spin: float = 0.0) -> np.ndarray:
    """[3, 3] rotation that takes z to `direction`, after a turn of `spin` about z."""
    z = _unit(np.asarray(direction, dtype=float))
    x = np.cross([0.0, 0.0, 1.0] if abs(z[2]) < 0.9 else [1.0, 0.0, 0.0], z)
    x = _unit(x)
    return np.stack([x, np.cross(z, x), z], axis=1) @ rotation_z(spin)


def frame(
    rotation: np.ndarray | None = None,
    at: tuple[float, ...] | np.ndarray = (0.0, 0.0, 0.0),
    scale: float = 1.0,
) -> np.ndarray:
    """[4, 4] local to world: scale, rotate, move."""
    result = np.eye(4)
    result[:3, :3] = scale * (np.eye(3) if rotation is None else rotation)
    result[:3, 3] = at
    return result
