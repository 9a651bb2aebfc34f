"""Projection of 3-D Gaussians to 2-D, and its gradient (EWA splatting, Zwicker et al. 2002, eq. 31).

With M = R diag(s), P = W M in camera axes and J the Jacobian of the perspective division, U = J P is a
2x3 factor of the covariance: Σ₂ = U Uᵀ + eps2d I. Working on the factor keeps the backward pass short.
Constants and culling are gsplat's: see gaussians/raster/reference.py. Sixteen Gaussians are computed at a
time (project_lanes.py).
"""

# pyright: reportCallIssue=false
# (An intrinsic's first parameter is the typing context, which callers in kernels don't pass.)

import numba
import numpy as np

from gaussians.kernels import FASTMATH
from gaussians.raster.cpu.lanes import LANES
from gaussians.raster.cpu.pieces import piece_count, rows_of_piece
from gaussians.raster.cpu.project_lanes import backward_block, forward_block

FOV_MARGIN = 0.3  # of the half field of view, beyond the image: where the Jacobian is held fixed


def frame_of(
    viewmat: np.ndarray, K: np.ndarray, size: tuple[int, int], limits: tuple[float, ...]
) -> np.ndarray:
    """[25] float32 a camera as the kernels take it; project_lanes.py names the places.

    Args:
        viewmat: [4, 4] world to camera.
        K: [3, 3] intrinsics in pixels.
        size: width and height in pixels.
        limits: near, far, and eps2d, the px² added to the covariance's diagonal.
    """
    focal, centre = (K[0, 0], K[1, 1]), (K[0, 2], K[1, 2])
    ranges: list[float] = []
    for f, c, pixels in zip(focal, centre, size, strict=True):
        margin = FOV_MARGIN * 0.5 * pixels / f
        ranges += [-(c / f + margin), (pixels - c) / f + margin]
    return np.array([*viewmat[:3].ravel(), *focal, *centre, *size, *limits, *ranges], np.float32)


@numba.njit(parallel=True, cache=True, nogil=True, fastmath=FASTMATH, error_model="numpy")
def project_forward(frame, means, quats, scales, opacities, means2d, conics, depths, radii):
    """Project each of N >= 16 Gaussians; radii 0 marks the culled, of which all else is zero, too.

    Args:
        frame: of `frame_of`.
        means [N, 3], quats [N, 4], scales [N, 3], opacities [N]: float32.
        means2d [N, 2], conics [N, 3], depths [N], radii [N, 2] int32: written.
    """
    count = means.shape[0]
    for block in numba.prange((count + LANES - 1) // LANES):
        # The last block may repeat some of the one before.
        n = min(block * LANES, count - LANES)
        forward_block(n, frame, means, quats, scales, opacities, means2d, conics, depths, radii)


@numba.njit(parallel=True, cache=True, nogil=True, fastmath=FASTMATH, error_model="numpy")
def project_backward(
    frame, means, quats, scales, conics, radii, v_means2d, v_conics, v_depths, v_means, v_quats, v_scales
):
    """Gradients of a loss through `project_forward`; rows of culled Gaussians are zero.

    Args:
        frame, means, quats, scales, conics, radii: as in the forward pass.
        v_means2d [N, 2], v_conics [N, 3], v_depths [N]: gradients of its outputs.
        v_means [N, 3], v_quats [N, 4], v_scales [N, 3]: written.
    """
    pieces = piece_count(means.shape[0])
    for piece in numba.prange(pieces):
        some = rows_of_piece(piece, pieces, means.shape[0])
        project_backward_rows(
            frame, means[some], quats[some], scales[some], conics[some], radii[some], v_means2d[some],
            v_conics[some], v_depths[some], v_means[some], v_quats[some], v_scales[some],
        )  # fmt: skip


@numba.njit(fastmath=FASTMATH, error_model="numpy")
def project_backward_rows(
    frame, means, quats, scales, conics, radii, v_means2d, v_conics, v_depths, v_means, v_quats, v_scales
):
    """The same of some Gaussians, sixteen or more, whose rows the arrays have, one after another."""
    count = means.shape[0]
    for block in range((count + LANES - 1) // LANES):
        n = min(block * LANES, count - LANES)
        backward_block(
            n, frame, means, quats, scales, conics, radii, v_means2d, v_conics, v_depths, v_means, v_quats,
            v_scales,
        )  # fmt: skip
