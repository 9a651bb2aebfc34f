"""How light leaves a surface: Lambert below a GGX gloss, or GGX metal."""

import numpy as np
from numba import njit


@njit(cache=True)
def tangents(nx, ny, nz):
    """Two unit vectors that complete a normal (Duff et al. 2017)."""
    sign = 1.0 if nz >= 0.0 else -1.0
    a = -1.0 / (sign + nz)
    b = nx * ny * a
    return 1.0 + sign * nx * nx * a, sign * b, -sign * nx, b, sign + ny * ny * a, -ny


@njit(cache=True)
def cosine_direction(nx, ny, nz, a, b):
    """A direction about the normal with density cos/pi."""
    tx, ty, tz, sx, sy, sz = tangents(nx, ny, nz)
    r, turn = np.sqrt(a), 2.0 * np.pi * b
    x, y, z = r * np.cos(turn), r * np.sin(turn), np.sqrt(max(1.0 - a, 0.0))
    return x * tx + y * sx + z * nx, x * ty + y * sy + z * ny, x * tz + y * sz + z * nz


@njit(cache=True)
def _smith(cosine, alpha):
    """Masking of one direction (Walter et al. 2007, eq. 34)."""
    c2 = cosine * cosine
    return 2.0 / (1.0 + np.sqrt(1.0 + alpha * alpha * (1.0 - c2) / max(c2, 1e-8)))


@njit(cache=True)
def _facets(cosine, alpha):
    """Density of micro-facets about the normal (Walter et al. 2007, eq. 33)."""
    a2, c2 = alpha * alpha, cosine * cosine
    k = c2 * (a2 - 1.0) + 1.0
    return a2 / (np.pi * k * k)


@njit(cache=True)
def gloss_towards(dx, dy, dz, nx, ny, nz, lx, ly, lz, rough):
    """How `gloss` would send light from direction d to l: (density, masking weight, facet cosine).

    Reflectance times cosine is Fresnel(facet cosine) x weight x density.
    """
    alpha = max(rough * rough, 1e-3)
    view = max(-(dx * nx + dy * ny + dz * nz), 1e-4)
    out = lx * nx + ly * ny + lz * nz
    if out <= 1e-4:
        return 0.0, 0.0, 0.0
    mx, my, mz = lx - dx, ly - dy, lz - dz
    scale = 1.0 / np.sqrt(max(mx * mx + my * my + mz * mz, 1e-12))
    facet = (lx * mx + ly * my + lz * mz) * scale
    density = _facets((mx * nx + my * ny + mz * nz) * scale, alpha) * _smith(view, alpha) / (4.0 * view)
    return density, _smith(out, alpha), facet


@njit(cache=True)
def gloss(dx, dy, dz, nx, ny, nz, rough, a, b):
    """Mirror direction on a visible micro-facet (Heitz 2018).

    (direction, masking weight, facet cosine, density). The weight is 0 when the direction would enter the
    surface.
    """
    alpha = max(rough * rough, 1e-3)
    tx, ty, tz, sx, sy, sz = tangents(nx, ny, nz)
    vx = -(dx * tx + dy * ty + dz * tz)
    vy = -(dx * sx + dy * sy + dz * sz)
    vz = max(-(dx * nx + dy * ny + dz * nz), 1e-4)
    hx, hy, hz = alpha * vx, alpha * vy, vz
    scale = 1.0 / np.sqrt(hx * hx + hy * hy + hz * hz)
    hx, hy, hz = hx * scale, hy * scale, hz * scale
    flat = hx * hx + hy * hy
    if flat > 1e-12:
        root = 1.0 / np.sqrt(flat)
        ax, ay, az = -hy * root, hx * root, 0.0
    else:
        ax, ay, az = 1.0, 0.0, 0.0
    bx, by, bz = hy * az - hz * ay, hz * ax - hx * az, hx * ay - hy * ax
    r, turn = np.sqrt(a), 2.0 * np.pi * b
    p, q = r * np.cos(turn), r * np.sin(turn)
    s = 0.5 * (1.0 + hz)
    q = (1.0 - s) * np.sqrt(max(1.0 - p * p, 0.0)) + s * q
    w = np.sqrt(max(1.0 - p * p - q * q, 0.0))
    mx = alpha * (p * ax + q * bx + w * hx)
    my = alpha * (p * ay + q * by + w * hy)
    mz = max(p * az + q * bz + w * hz, 1e-6)
    scale = 1.0 / np.sqrt(mx * mx + my * my + mz * mz)
    mx, my, mz = mx * scale, my * scale, mz * scale
    facet = vx * mx + vy * my + vz * mz
    lx, ly, lz = 2 * facet * mx - vx, 2 * facet * my - vy, 2 * facet * mz - vz
    weight = _smith(lz, alpha) if lz > 1e-4 else 0.0
    return (
        lx * tx + ly * sx + lz * nx,
        lx * ty + ly * sy + lz * ny,
        lx * tz + ly * sz + lz * nz,
        weight,
        facet,
        _facets(mz, alpha) * _smith(vz, alpha) / (4.0 * vz),
    )


@njit(cache=True)
def fresnel(f0, cosine):
    """Schlick's reflectance (1994)."""
    k = min(max(1.0 - cosine, 0.0), 1.0)
    k2 = k * k
    return f0 + (1.0 - f0) * k2 * k2 * k
