"""What lies where a ray meets a shape."""

import numpy as np
from numba import njit

from .patterns import noise


@njit(cache=True)
def meet(shapes, shape, u, v, px, py, pz, dx, dy, dz):
    """Geometric and shading normal towards the viewer, texture coordinates and material at a hit."""
    triangles = shapes.corners.shape[0]
    if shape < triangles:
        c, m, t = shapes.corners, shapes.normals, shapes.uvs
        gx = c[shape, 4] * c[shape, 8] - c[shape, 5] * c[shape, 7]
        gy = c[shape, 5] * c[shape, 6] - c[shape, 3] * c[shape, 8]
        gz = c[shape, 3] * c[shape, 7] - c[shape, 4] * c[shape, 6]
        w = 1.0 - u - v
        nx = w * m[shape, 0] + u * m[shape, 3] + v * m[shape, 6]
        ny = w * m[shape, 1] + u * m[shape, 4] + v * m[shape, 7]
        nz = w * m[shape, 2] + u * m[shape, 5] + v * m[shape, 8]
        tu = w * t[shape, 0] + u * t[shape, 2] + v * t[shape, 4]
        tv = w * t[shape, 1] + u * t[shape, 3] + v * t[shape, 5]
        material = shapes.triangle_materials[shape]
        scale = 1.0 / np.sqrt(gx * gx + gy * gy + gz * gz)
        gx, gy, gz = gx * scale, gy * scale, gz * scale
        scale = 1.0 / np.sqrt(max(nx * nx + ny * ny + nz * nz, 1e-12))
        nx, ny, nz = nx * scale, ny * scale, nz * scale
    else:
        k = shape - triangles
        c = shapes.capsules
        gx = px - (c[k, 0] + u * (c[k, 3] - c[k, 0]))
        gy = py - (c[k, 1] + u * (c[k, 4] - c[k, 1]))
        gz = pz - (c[k, 2] + u * (c[k, 5] - c[k, 2]))
        scale = 1.0 / np.sqrt(gx * gx + gy * gy + gz * gz)
        gx, gy, gz = gx * scale, gy * scale, gz * scale
        nx, ny, nz = gx, gy, gz
        tu = shapes.capsule_uvs[k, 0] + u * (shapes.capsule_uvs[k, 1] - shapes.capsule_uvs[k, 0])
        tv = shapes.capsule_uvs[k, 2]
        material = shapes.capsule_materials[k]
    if gx * dx + gy * dy + gz * dz > 0.0:
        gx, gy, gz = -gx, -gy, -gz
    if nx * gx + ny * gy + nz * gz < 0.0:
        nx, ny, nz = -nx, -ny, -nz
    return (gx, gy, gz), (nx, ny, nz), tu, tv, material


@njit(cache=True)
def bumped(normal, x, y, z, height, frequency):
    """A shading normal tilted by the slope of noise."""
    nx, ny, nz = normal
    e = 0.35
    x, y, z = x * frequency, y * frequency, z * frequency
    base = noise(x, y, z)
    gx, gy, gz = noise(x + e, y, z) - base, noise(x, y + e, z) - base, noise(x, y, z + e) - base
    along = gx * nx + gy * ny + gz * nz
    k = height / e
    nx, ny, nz = nx - k * (gx - along * nx), ny - k * (gy - along * ny), nz - k * (gz - along * nz)
    scale = 1.0 / np.sqrt(nx * nx + ny * ny + nz * nz)
    return (nx * scale, ny * scale, nz * scale)
