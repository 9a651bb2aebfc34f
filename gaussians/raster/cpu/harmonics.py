"""View-dependent colour from real spherical harmonics up to degree 3, and its gradient.

colour = max(0, 0.5 + Σ_k Y_k(d) c_k), with d the unit vector from the camera to the Gaussian. The basis and
its signs are those of Kerbl et al. 2023; where the clamp bites, the gradient is zero.
"""

import math

import numba
import numpy as np

from gaussians.kernels import FASTMATH

F32 = np.float32
ZERO, HALF, ONE, TWO = F32(0.0), F32(0.5), F32(1.0), F32(2.0)
THREE, FIVE, SIX = F32(3.0), F32(5.0), F32(6.0)
Y0 = F32(0.28209479177387814)  # 1 / (2 √π)
Y1 = F32(0.4886025119029199)  # √(3 / 4π)
Y2A = F32(1.0925484305920792)  # √(15 / 4π)
Y2B = F32(0.31539156525252005)  # √(5 / 16π)
Y2C = F32(0.5462742152960396)  # √(15 / 16π)
Y3A = F32(0.5900435899266435)  # √(35 / 32π)
Y3B = F32(2.890611442640554)  # √(105 / 4π)
Y3C = F32(0.4570457994644658)  # √(21 / 32π)
Y3D = F32(0.3731763325901154)  # √(7 / 16π)
Y3E = F32(1.445305721320277)  # √(105 / 16π)


@numba.njit(fastmath=FASTMATH)
def basis(x, y, z, degree, out):
    """The (degree + 1)² basis functions at the unit direction (x, y, z), into out [16]."""
    xx, yy, zz = x * x, y * y, z * z
    out[0] = Y0
    if degree >= 1:
        out[1], out[2], out[3] = -Y1 * y, Y1 * z, -Y1 * x
    if degree >= 2:
        out[4], out[5] = Y2A * x * y, -Y2A * y * z
        out[6] = Y2B * (THREE * zz - ONE)
        out[7], out[8] = -Y2A * x * z, Y2C * (xx - yy)
    if degree >= 3:
        ring = ONE - FIVE * zz
        out[9], out[10] = -Y3A * y * (THREE * xx - yy), Y3B * x * y * z
        out[11], out[12] = Y3C * y * ring, Y3D * z * (FIVE * zz - THREE)
        out[13], out[14] = Y3C * x * ring, Y3E * z * (xx - yy)
        out[15] = -Y3A * x * (xx - THREE * yy)


@numba.njit(fastmath=FASTMATH)
def basis_gradient(x, y, z, degree, g):
    """Gradient with respect to (x, y, z) of Σ_k g[k] Y_k(x, y, z), each Y_k as the polynomial above."""
    gx, gy, gz = ZERO, ZERO, ZERO
    if degree >= 1:
        gx, gy, gz = -Y1 * g[3], -Y1 * g[1], Y1 * g[2]
    if degree >= 2:
        gx += Y2A * (y * g[4] - z * g[7]) + TWO * Y2C * x * g[8]
        gy += Y2A * (x * g[4] - z * g[5]) - TWO * Y2C * y * g[8]
        gz += SIX * Y2B * z * g[6] - Y2A * (y * g[5] + x * g[7])
    if degree >= 3:
        xx, yy, zz = x * x, y * y, z * z
        ring = ONE - FIVE * zz
        gx += -SIX * Y3A * x * y * g[9] + Y3B * y * z * g[10] + Y3C * ring * g[13]
        gx += TWO * Y3E * x * z * g[14] - THREE * Y3A * (xx - yy) * g[15]
        gy += -THREE * Y3A * (xx - yy) * g[9] + Y3B * x * z * g[10] + Y3C * ring * g[11]
        gy += -TWO * Y3E * y * z * g[14] + SIX * Y3A * x * y * g[15]
        gz += Y3B * x * y * g[10] - TWO * FIVE * Y3C * z * (y * g[11] + x * g[13])
        gz += THREE * Y3D * (FIVE * zz - ONE) * g[12] + Y3E * (xx - yy) * g[14]
    return gx, gy, gz


@numba.njit(fastmath=FASTMATH)
def direction(means, centre, n):
    """Unit vector from the camera's centre to Gaussian n, and 1 / distance."""
    x, y, z = means[n, 0] - centre[0], means[n, 1] - centre[1], means[n, 2] - centre[2]
    squared = x * x + y * y + z * z
    inverse = ONE / F32(math.sqrt(squared)) if squared > ZERO else ZERO
    return x * inverse, y * inverse, z * inverse, inverse


@numba.njit(parallel=True, cache=True, nogil=True, fastmath=FASTMATH, error_model="numpy")
def harmonics_forward(means, coefficients, centre, radii, degree, colors):
    """Colours of the visible Gaussians; zero for the others.

    Args:
        means [N, 3], coefficients [N, K, 3], centre [3]: float32. radii [N, 2] int32. degree: used bands.
        colors [N, 3]: written.
    """
    bands = (degree + 1) * (degree + 1)
    for n in numba.prange(means.shape[0]):
        if radii[n, 0] <= 0:
            colors[n, 0] = colors[n, 1] = colors[n, 2] = ZERO
            continue
        y = np.empty(16, np.float32)
        dx, dy, dz, _ = direction(means, centre, n)
        basis(dx, dy, dz, degree, y)
        red = green = blue = HALF
        for k in range(bands):
            red += y[k] * coefficients[n, k, 0]
            green += y[k] * coefficients[n, k, 1]
            blue += y[k] * coefficients[n, k, 2]
        colors[n, 0], colors[n, 1], colors[n, 2] = max(red, ZERO), max(green, ZERO), max(blue, ZERO)


@numba.njit(parallel=True, cache=True, nogil=True, fastmath=FASTMATH, error_model="numpy")
def harmonics_backward(means, coefficients, centre, radii, degree, colors, v_colors, v_coefficients, v_means):
    """Gradients of a loss through `harmonics_forward`.

    Args:
        means, coefficients, centre, radii, degree, colors: as in and out of the forward pass.
        v_colors [N, 3]: gradient of the colours.
        v_coefficients [N, K, 3], v_means [N, 3]: written; zero for the invisible.
    """
    bands = (degree + 1) * (degree + 1)
    for n in numba.prange(means.shape[0]):
        v_means[n, 0] = v_means[n, 1] = v_means[n, 2] = ZERO
        if radii[n, 0] <= 0:
            v_coefficients[n, :, :] = ZERO
            continue
        y = np.empty(16, np.float32)
        g = np.empty(16, np.float32)
        dx, dy, dz, inverse = direction(means, centre, n)
        basis(dx, dy, dz, degree, y)
        red = v_colors[n, 0] if colors[n, 0] > ZERO else ZERO
        green = v_colors[n, 1] if colors[n, 1] > ZERO else ZERO
        blue = v_colors[n, 2] if colors[n, 2] > ZERO else ZERO
        for k in range(bands):
            v_coefficients[n, k, 0] = y[k] * red
            v_coefficients[n, k, 1] = y[k] * green
            v_coefficients[n, k, 2] = y[k] * blue
            c = coefficients[n, k]
            g[k] = red * c[0] + green * c[1] + blue * c[2]
        v_coefficients[n, bands:, :] = ZERO
        gx, gy, gz = basis_gradient(dx, dy, dz, degree, g)
        along = gx * dx + gy * dy + gz * dz
        v_means[n, 0] = (gx - along * dx) * inverse
        v_means[n, 1] = (gy - along * dy) * inverse
        v_means[n, 2] = (gz - along * dz) * inverse
