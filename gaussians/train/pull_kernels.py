"""How strongly one image pulls at the projected centres, in one pass over memory: PyTorch takes eight."""

import numpy as np
from numba import njit, prange

from gaussians.kernels import FASTMATH


@njit(fastmath=FASTMATH, error_model="numpy", nogil=True, cache=True, parallel=True)
def pulls(gradients, radii, half_width, half_height, norms, seen):
    """The norm of each gradient in NDC units, and whether the Gaussian is seen.

    Args:
        gradients [N, 2]: pixels, float32. radii [N, 2]: int32, 0 where it is not seen.
        half_width, half_height: float32, of the image.
        norms, seen: [N] float32, written.
    """
    for n in prange(gradients.shape[0]):
        x, y = gradients[n, 0] * half_width, gradients[n, 1] * half_height
        norms[n] = np.sqrt(y * y + x * x)  # so PyTorch's last digits are met, too, where it fuses
        seen[n] = np.float32((radii[n, 0] > 0) & (radii[n, 1] > 0))
