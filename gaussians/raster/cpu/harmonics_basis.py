"""The real spherical harmonics up to degree 3 as polynomials, for numbers as for whole vectors of them."""

from typing import Any

import numpy as np

F32 = np.float32
COEFFICIENTS = 16  # (3 + 1)²
ONE, TWO, THREE, FIVE, SIX = F32(1.0), F32(2.0), F32(3.0), F32(5.0), F32(6.0)
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


def basis(x: Any, y: Any, z: Any) -> tuple[Any, ...]:
    """Y_1 to Y_15 at the unit direction (x, y, z)."""
    xx, yy, zz = x * x, y * y, z * z
    ring = ONE - FIVE * zz
    return (
        -Y1 * y,
        Y1 * z,
        -Y1 * x,
        Y2A * x * y,
        -Y2A * y * z,
        Y2B * (THREE * zz - ONE),
        -Y2A * x * z,
        Y2C * (xx - yy),
        -Y3A * y * (THREE * xx - yy),
        Y3B * x * y * z,
        Y3C * y * ring,
        Y3D * z * (FIVE * zz - THREE),
        Y3C * x * ring,
        Y3E * z * (xx - yy),
        -Y3A * x * (xx - THREE * yy),
    )


def basis_gradient(x: Any, y: Any, z: Any, g: Any) -> tuple[Any, Any, Any]:
    """Gradient with respect to (x, y, z) of Σ g[k - 1] Y_k(x, y, z), k from 1 to 15."""
    xx, yy, zz = x * x, y * y, z * z
    ring = ONE - FIVE * zz
    gx = -Y1 * g[2] + Y2A * (y * g[3] - z * g[6]) + TWO * Y2C * x * g[7]
    gy = -Y1 * g[0] + Y2A * (x * g[3] - z * g[4]) - TWO * Y2C * y * g[7]
    gz = Y1 * g[1] + SIX * Y2B * z * g[5] - Y2A * (y * g[4] + x * g[6])
    gx += -SIX * Y3A * x * y * g[8] + Y3B * y * z * g[9] + Y3C * ring * g[12]
    gx += TWO * Y3E * x * z * g[13] - THREE * Y3A * (xx - yy) * g[14]
    gy += -THREE * Y3A * (xx - yy) * g[8] + Y3B * x * z * g[9] + Y3C * ring * g[10]
    gy += -TWO * Y3E * y * z * g[13] + SIX * Y3A * x * y * g[14]
    gz += Y3B * x * y * g[9] - TWO * FIVE * Y3C * z * (y * g[10] + x * g[12])
    gz += THREE * Y3D * (FIVE * zz - ONE) * g[11] + Y3E * (xx - yy) * g[13]
    return gx, gy, gz
