"""Projection of 3-D Gaussians to 2-D, and its gradient (EWA splatting, Zwicker et al. 2002, eq. 31).

With M = R diag(s), P = W M in camera axes and J the Jacobian of the perspective division, U = J P is a
2x3 factor of the covariance: Σ₂ = U Uᵀ + eps2d I. Working on the factor keeps the backward pass short.
Constants and culling are gsplat's: see gaussians/raster/reference.py.
"""

import math

import numba
import numpy as np

from gaussians.kernels import FASTMATH

F32 = np.float32
ZERO, HALF, ONE, TWO = F32(0.0), F32(0.5), F32(1.0), F32(2.0)
ALPHA_THRESHOLD = F32(1.0 / 255.0)
MAX_EXTENT = F32(3.33)  # standard deviations; reached at opacity 1
MAX_VARIANCE = F32(1e16)  # px²
FOV_MARGIN = F32(0.3)  # of the half field of view, beyond the image: where the Jacobian is held fixed


@numba.njit(fastmath=FASTMATH)
def rotation(w: float, x: float, y: float, z: float) -> tuple:
    """Row-major 3x3 rotation of a unit quaternion."""
    return (
        ONE - TWO * (y * y + z * z),
        TWO * (x * y - w * z),
        TWO * (x * z + w * y),
        TWO * (x * y + w * z),
        ONE - TWO * (x * x + z * z),
        TWO * (y * z - w * x),
        TWO * (x * z - w * y),
        TWO * (y * z + w * x),
        ONE - TWO * (x * x + y * y),
    )


@numba.njit(fastmath=FASTMATH)
def unit_quat(quats: np.ndarray, n: int) -> tuple:
    """Quaternion n normalised, and 1 / its norm, which is 0 for the zero quaternion."""
    w, x, y, z = quats[n, 0], quats[n, 1], quats[n, 2], quats[n, 3]
    squared = w * w + x * x + y * y + z * z
    if squared <= ZERO:
        return ZERO, ZERO, ZERO, ZERO, ZERO
    inverse = ONE / F32(math.sqrt(squared))
    return w * inverse, x * inverse, y * inverse, z * inverse, inverse


@numba.njit(fastmath=FASTMATH)
def clamped_ratio(ratio: float, focal: float, centre: float, size: float) -> float:
    """x/z or y/z held inside the image plus a margin, where the linearisation is still sound."""
    margin = FOV_MARGIN * HALF * size / focal
    return min((size - centre) / focal + margin, max(-(centre / focal + margin), ratio))


@numba.njit(parallel=True, cache=True, nogil=True, fastmath=FASTMATH, error_model="numpy")
def project_forward(
    means, quats, scales, opacities, viewmat, intrinsics, limits, means2d, conics, depths, radii, extents
):
    """Project each Gaussian; radii 0 marks the culled.

    Args:
        means [N, 3], quats [N, 4], scales [N, 3], opacities [N], viewmat [4, 4]: float32.
        intrinsics: [6] fx, fy, cx, cy, width, height. limits: [3] near, far, eps2d.
        means2d [N, 2], conics [N, 3], depths [N], radii [N, 2] int32, extents [N, 2]: written; extents are
            the exact half sizes in px of the box in which alpha can reach 1/255.
    """
    V = viewmat
    fx, fy, cx, cy, width, height = intrinsics
    near, far, eps2d = limits
    for n in numba.prange(means.shape[0]):
        means2d[n, 0] = means2d[n, 1] = depths[n] = ZERO
        conics[n, 0] = conics[n, 1] = conics[n, 2] = ZERO
        radii[n, 0] = radii[n, 1] = 0
        extents[n, 0] = extents[n, 1] = ZERO
        mx, my, mz = means[n, 0], means[n, 1], means[n, 2]
        z = V[2, 0] * mx + V[2, 1] * my + V[2, 2] * mz + V[2, 3]
        opacity = opacities[n]
        if z < near or z > far or not opacity >= ALPHA_THRESHOLD:
            continue
        x = V[0, 0] * mx + V[0, 1] * my + V[0, 2] * mz + V[0, 3]
        y = V[1, 0] * mx + V[1, 1] * my + V[1, 2] * mz + V[1, 3]
        rz = ONE / z
        u, v = fx * x * rz + cx, fy * y * rz + cy
        tx, ty = clamped_ratio(x * rz, fx, cx, width), clamped_ratio(y * rz, fy, cy, height)
        w, qx, qy, qz, inverse_norm = unit_quat(quats, n)
        if inverse_norm == ZERO:
            continue
        R = rotation(w, qx, qy, qz)
        xx, xy, yy = eps2d, ZERO, eps2d
        for axis in range(3):
            s = scales[n, axis]
            m0, m1, m2 = R[axis] * s, R[3 + axis] * s, R[6 + axis] * s
            p0 = V[0, 0] * m0 + V[0, 1] * m1 + V[0, 2] * m2
            p1 = V[1, 0] * m0 + V[1, 1] * m1 + V[1, 2] * m2
            p2 = V[2, 0] * m0 + V[2, 1] * m1 + V[2, 2] * m2
            u0, u1 = fx * rz * (p0 - tx * p2), fy * rz * (p1 - ty * p2)
            xx += u0 * u0
            xy += u0 * u1
            yy += u1 * u1
        determinant = xx * yy - xy * xy
        # The size is bounded so that every radius fits an int32.
        if not (determinant > ZERO and xx < MAX_VARIANCE and yy < MAX_VARIANCE):
            continue
        sigma_x, sigma_y = F32(math.sqrt(xx)), F32(math.sqrt(yy))
        reach = F32(math.sqrt(TWO * F32(math.log(opacity / ALPHA_THRESHOLD))))
        radius_x = F32(math.ceil(min(MAX_EXTENT, reach) * sigma_x))
        radius_y = F32(math.ceil(min(MAX_EXTENT, reach) * sigma_y))
        if radius_x <= ZERO and radius_y <= ZERO:
            continue
        if u + radius_x <= ZERO or u - radius_x >= width or v + radius_y <= ZERO or v - radius_y >= height:
            continue
        inverse = ONE / determinant
        means2d[n, 0], means2d[n, 1], depths[n] = u, v, z
        conics[n, 0], conics[n, 1], conics[n, 2] = yy * inverse, -xy * inverse, xx * inverse
        radii[n, 0], radii[n, 1] = np.int32(radius_x), np.int32(radius_y)
        extents[n, 0], extents[n, 1] = reach * sigma_x, reach * sigma_y


@numba.njit(parallel=True, cache=True, nogil=True, fastmath=FASTMATH, error_model="numpy")
def project_backward(
    means,
    quats,
    scales,
    viewmat,
    intrinsics,
    conics,
    radii,
    v_means2d,
    v_conics,
    v_depths,
    v_means,
    v_quats,
    v_scales,
):
    """Gradients of a loss through `project_forward`; rows of culled Gaussians are zero.

    Args:
        means, quats, scales, viewmat, intrinsics, conics, radii: as in the forward pass.
        v_means2d [N, 2], v_conics [N, 3], v_depths [N]: gradients of its outputs.
        v_means [N, 3], v_quats [N, 4], v_scales [N, 3]: written.
    """
    V = viewmat
    fx, fy, cx, cy, width, height = intrinsics
    for n in numba.prange(means.shape[0]):
        for axis in range(3):
            v_means[n, axis] = v_scales[n, axis] = ZERO
        for axis in range(4):
            v_quats[n, axis] = ZERO
        if radii[n, 0] <= 0:
            continue
        mx, my, mz = means[n, 0], means[n, 1], means[n, 2]
        x = V[0, 0] * mx + V[0, 1] * my + V[0, 2] * mz + V[0, 3]
        y = V[1, 0] * mx + V[1, 1] * my + V[1, 2] * mz + V[1, 3]
        z = V[2, 0] * mx + V[2, 1] * my + V[2, 2] * mz + V[2, 3]
        rz = ONE / z
        tx, ty = clamped_ratio(x * rz, fx, cx, width), clamped_ratio(y * rz, fy, cy, height)
        w, qx, qy, qz, inverse_norm = unit_quat(quats, n)
        R = rotation(w, qx, qy, qz)

        # G = dL/dΣ₂ = -Q V Q, with Q the conic and V the symmetric matrix of its gradient
        a, b, c = conics[n, 0], conics[n, 1], conics[n, 2]
        va, vb, vc = v_conics[n, 0], HALF * v_conics[n, 1], v_conics[n, 2]
        h00, h01 = va * a + vb * b, va * b + vb * c
        h10, h11 = vb * a + vc * b, vb * b + vc * c
        g00, g01, g11 = -(a * h00 + b * h10), -(a * h01 + b * h11), -(b * h01 + c * h11)

        # dL/dU = 2 G U, column by column; then to J, P, M, R and s
        j00, j11 = fx * rz, fy * rz
        v_j00 = v_j02 = v_j11 = v_j12 = ZERO
        v_r0 = v_r1 = v_r2 = v_r3 = v_r4 = v_r5 = v_r6 = v_r7 = v_r8 = ZERO
        for axis in range(3):
            s = scales[n, axis]
            r0, r1, r2 = R[axis], R[3 + axis], R[6 + axis]
            p0 = (V[0, 0] * r0 + V[0, 1] * r1 + V[0, 2] * r2) * s
            p1 = (V[1, 0] * r0 + V[1, 1] * r1 + V[1, 2] * r2) * s
            p2 = (V[2, 0] * r0 + V[2, 1] * r1 + V[2, 2] * r2) * s
            u0, u1 = j00 * (p0 - tx * p2), j11 * (p1 - ty * p2)
            v_u0, v_u1 = TWO * (g00 * u0 + g01 * u1), TWO * (g01 * u0 + g11 * u1)
            v_j00 += v_u0 * p0
            v_j02 += v_u0 * p2
            v_j11 += v_u1 * p1
            v_j12 += v_u1 * p2
            v_p0, v_p1 = j00 * v_u0, j11 * v_u1
            v_p2 = -(tx * v_p0 + ty * v_p1)
            v_m0 = V[0, 0] * v_p0 + V[1, 0] * v_p1 + V[2, 0] * v_p2
            v_m1 = V[0, 1] * v_p0 + V[1, 1] * v_p1 + V[2, 1] * v_p2
            v_m2 = V[0, 2] * v_p0 + V[1, 2] * v_p1 + V[2, 2] * v_p2
            v_scales[n, axis] = v_m0 * r0 + v_m1 * r1 + v_m2 * r2
            if axis == 0:
                v_r0, v_r3, v_r6 = v_m0 * s, v_m1 * s, v_m2 * s
            elif axis == 1:
                v_r1, v_r4, v_r7 = v_m0 * s, v_m1 * s, v_m2 * s
            else:
                v_r2, v_r5, v_r8 = v_m0 * s, v_m1 * s, v_m2 * s

        # J = [[fx/z, 0, -fx tx/z], [0, fy/z, -fy ty/z]]; tx = x/z where not clamped
        v_u, v_v = v_means2d[n, 0], v_means2d[n, 1]
        v_tx, v_ty = -j00 * v_j02, -j11 * v_j12
        v_x, v_y = j00 * v_u, j11 * v_v
        v_z = v_depths[n] - rz * (x * v_x + y * v_y)
        v_z -= rz * (j00 * (v_j00 - tx * v_j02) + j11 * (v_j11 - ty * v_j12))
        if tx == x * rz:
            v_x += v_tx * rz
            v_z -= v_tx * tx * rz
        if ty == y * rz:
            v_y += v_ty * rz
            v_z -= v_ty * ty * rz
        for axis in range(3):
            v_means[n, axis] = V[0, axis] * v_x + V[1, axis] * v_y + V[2, axis] * v_z

        v_w = TWO * (qx * (v_r7 - v_r5) + qy * (v_r2 - v_r6) + qz * (v_r3 - v_r1))
        v_qx = TWO * (qy * (v_r1 + v_r3) + qz * (v_r2 + v_r6) - TWO * qx * (v_r4 + v_r8) + w * (v_r7 - v_r5))
        v_qy = TWO * (qx * (v_r1 + v_r3) + qz * (v_r5 + v_r7) - TWO * qy * (v_r0 + v_r8) + w * (v_r2 - v_r6))
        v_qz = TWO * (qx * (v_r2 + v_r6) + qy * (v_r5 + v_r7) - TWO * qz * (v_r0 + v_r4) + w * (v_r3 - v_r1))
        along = w * v_w + qx * v_qx + qy * v_qy + qz * v_qz
        v_quats[n, 0] = (v_w - w * along) * inverse_norm
        v_quats[n, 1] = (v_qx - qx * along) * inverse_norm
        v_quats[n, 2] = (v_qy - qy * along) * inverse_norm
        v_quats[n, 3] = (v_qz - qz * along) * inverse_norm
