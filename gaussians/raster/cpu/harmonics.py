"""View-dependent colour from real spherical harmonics up to degree 3, and its gradient.

colour = max(0, 0.5 + Σ_k Y_k(d) c_k), with d the unit vector from the camera to the Gaussian. The basis and
its signs are those of Kerbl et al. 2023; where the clamp bites, the gradient is zero. The coefficients come
in two arrays, as they are trained: c_0, and all others. With all 16 of them, the usual case, sixteen
Gaussians are computed at a time (harmonics_lanes.py).
"""

# pyright: reportCallIssue=false
# (An intrinsic's first parameter is the typing context, which callers in kernels don't pass.)

import math

import numba
import numpy as np

from gaussians.kernels import FASTMATH
from gaussians.raster.cpu.harmonics_basis import COEFFICIENTS, Y0, basis, basis_gradient
from gaussians.raster.cpu.harmonics_lanes import backward_block, forward_block
from gaussians.raster.cpu.lanes import LANES
from gaussians.raster.cpu.pieces import piece_count, rows_of_piece

F32 = np.float32
ZERO, HALF, ONE = F32(0.0), F32(0.5), F32(1.0)
FULL = COEFFICIENTS - 1  # beside c_0

_basis = numba.njit(fastmath=FASTMATH)(basis)
_basis_gradient = numba.njit(fastmath=FASTMATH)(basis_gradient)


@numba.njit(fastmath=FASTMATH)
def direction(means, centre, n):
    """Unit vector from the camera's centre to Gaussian n, and 1 / distance."""
    x, y, z = means[n, 0] - centre[0], means[n, 1] - centre[1], means[n, 2] - centre[2]
    squared = x * x + y * y + z * z
    inverse = ONE / F32(math.sqrt(squared)) if squared > ZERO else ZERO
    return x * inverse, y * inverse, z * inverse, inverse


@numba.njit(parallel=True, cache=True, nogil=True, fastmath=FASTMATH, error_model="numpy")
def harmonics_forward(means, first, others, centre, radii, degree, colors):
    """Colours of the visible Gaussians; zero for the others.

    Args:
        means [N, 3], first [N, 1, 3], others [N, K - 1, 3], centre [3]: float32. radii [N, 2] int32.
        degree: used bands.
        colors [N, 3]: written.
    """
    count = means.shape[0]
    if others.shape[1] == FULL and count >= LANES:
        for block in numba.prange((count + LANES - 1) // LANES):
            # The last block may repeat some of the one before.
            n = min(block * LANES, count - LANES)
            forward_block(n, degree, means, first, others, centre, radii, colors)
        return
    used = (degree + 1) * (degree + 1) - 1
    for n in numba.prange(count):
        if radii[n, 0] <= 0:
            colors[n, 0] = colors[n, 1] = colors[n, 2] = ZERO
            continue
        dx, dy, dz, _ = direction(means, centre, n)
        y = _basis(dx, dy, dz)
        for channel in range(3):
            value = HALF + Y0 * first[n, 0, channel]
            for k in range(used):
                value += y[k] * others[n, k, channel]
            colors[n, channel] = max(value, ZERO)


@numba.njit(parallel=True, cache=True, nogil=True, fastmath=FASTMATH, error_model="numpy")
def harmonics_backward(means, others, centre, radii, degree, colors, v_colors, v_first, v_others, v_means):
    """Gradients of a loss through `harmonics_forward`.

    Args:
        means, others, centre, radii, degree, colors: as in and out of the forward pass.
        v_colors [N, 3]: gradient of the colours.
        v_first [N, 1, 3], v_others [N, K - 1, 3], v_means [N, 3]: written; zero for the invisible.
    """
    pieces = piece_count(means.shape[0])
    for piece in numba.prange(pieces):
        some = rows_of_piece(piece, pieces, means.shape[0])
        harmonics_backward_rows(
            means[some], others[some], centre, radii[some], degree, colors[some], v_colors[some],
            v_first[some], v_others[some], v_means[some],
        )  # fmt: skip


@numba.njit(fastmath=FASTMATH, error_model="numpy")
def harmonics_backward_rows(
    means, others, centre, radii, degree, colors, v_colors, v_first, v_others, v_means
):
    """The same of some Gaussians, whose rows the arrays have, one after another."""
    count = means.shape[0]
    if others.shape[1] == FULL and count >= LANES:
        for block in range((count + LANES - 1) // LANES):
            n = min(block * LANES, count - LANES)
            backward_block(n, degree, means, others, centre, colors, v_colors, v_first, v_others, v_means)
        return
    used = (degree + 1) * (degree + 1) - 1
    for n in range(count):
        v_others[n, :, :] = ZERO
        v_means[n, 0] = v_means[n, 1] = v_means[n, 2] = ZERO
        v_first[n, 0, 0] = v_first[n, 0, 1] = v_first[n, 0, 2] = ZERO
        if radii[n, 0] <= 0:
            continue
        dx, dy, dz, inverse = direction(means, centre, n)
        y = _basis(dx, dy, dz)
        g = np.zeros(FULL, np.float32)
        for channel in range(3):
            v = v_colors[n, channel] if colors[n, channel] > ZERO else ZERO
            v_first[n, 0, channel] = Y0 * v
            for k in range(used):
                v_others[n, k, channel] = y[k] * v
                g[k] += v * others[n, k, channel]
        gx, gy, gz = _basis_gradient(dx, dy, dz, g)
        along = gx * dx + gy * dy + gz * dz
        v_means[n, 0] = (gx - along * dx) * inverse
        v_means[n, 1] = (gy - along * dy) * inverse
        v_means[n, 2] = (gz - along * dz) * inverse
