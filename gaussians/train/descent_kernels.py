"""From what images say of each Gaussian straight to its next parameters: all gradients and Adam in one pass.

Apart, each of these steps goes through memory for what the one before has left there, up to a quarter of all
that a step of a large model waits for. Here some rows of Gaussians are taken through all of them while they
are in a core's cache; gradients of parameters are never written anywhere else.
"""

# pyright: reportCallIssue=false
# (An intrinsic's first parameter is the typing context, which callers in kernels don't pass.)

import numba
import numpy as np

from gaussians.kernels import FASTMATH, aligned_floats, fetch_add
from gaussians.raster.cpu.by_gaussian import gather_rows, to_stored_rows
from gaussians.raster.cpu.harmonics import harmonics_backward_rows
from gaussians.raster.cpu.layout import MOMENTS
from gaussians.raster.cpu.pieces import MOST_ROWS, piece_count, rows_of_piece
from gaussians.raster.cpu.project import project_backward_rows
from gaussians.train.adam_kernels import update


@numba.njit
def _scratch(width):
    """Room for a piece's rows of so many floats."""
    return aligned_floats(MOST_ROWS * width)


@numba.njit
def _rows_of(scratch, rows, width):
    """[rows, width] of it."""
    return scratch[: rows * width].reshape(rows, width)


@numba.njit(parallel=True, cache=True, nogil=True, fastmath=FASTMATH, error_model="numpy")
def descend(
    n_workers, visible, spans, moments, frame, centre, degree, scales, opacities, conics, radii, colors,
    v_means2d, extra, means, quats, sh0, shN, params, firsts, seconds, numbers,
):  # fmt: skip
    """What `gather`, `harmonics_backward`, `project_backward`, `to_stored` and `update_all` do, to the bit.

    Args:
        visible, spans, moments: as for `gather`.
        frame, centre, degree: of the camera.
        scales [N, 3], opacities [N]: activated.
        conics [N, 3], radii [N, 2], colors [N, 3]: of the forward pass.
        v_means2d [N, 2], extra [N or 0, 2]: written, as by `gather`.
        means [N, 3], quats [N, 4], sh0 [N, 1, 3], shN [N, K - 1, 3]: the parameters that are read.
        params, firsts, seconds: of means, quats, scales, opacities, sh0 and shN what is stored, and Adam's
            moments of it, all flat, updated in place; a parameter that stays has none of these.
        numbers [6, 6]: of each what follows its arrays in `update_all`, see `BoundAdam`.
    """
    count, width = opacities.shape[0], 3 * shN.shape[1]
    pieces, counter = piece_count(count), np.zeros(1, np.int64)
    no_depth = np.zeros(MOST_ROWS, np.float32)
    for _ in numba.prange(n_workers):
        total = aligned_floats(MOMENTS)
        by_conics, by_colors, by_direction = _scratch(3), _scratch(3), _scratch(3)
        gradients = (_scratch(3), _scratch(4), _scratch(3), _scratch(1), _scratch(3), _scratch(width))
        while True:
            turn = fetch_add(counter, 1)
            if turn >= pieces:
                break
            some = rows_of_piece(pieces - 1 - turn, pieces, count)  # the last first: it may be twice as large
            rows = some.stop - some.start
            v_means, v_quats = _rows_of(gradients[0], rows, 3), _rows_of(gradients[1], rows, 4)
            v_scales, v_opacities = _rows_of(gradients[2], rows, 3), gradients[3][:rows]
            v_sh0 = _rows_of(gradients[4], rows, 3).reshape(rows, 1, 3)
            v_shN = _rows_of(gradients[5], rows, width).reshape(rows, shN.shape[1], 3)
            v_conics, v_colors = _rows_of(by_conics, rows, 3), _rows_of(by_colors, rows, 3)
            v_direction = _rows_of(by_direction, rows, 3)
            gather_rows(
                some.start, np.searchsorted(visible, some.start), visible, spans, moments, total,
                conics[some], opacities[some], v_means2d[some], extra[some], v_conics, v_opacities, v_colors,
            )  # fmt: skip
            harmonics_backward_rows(
                means[some], shN[some], centre, radii[some], degree, colors[some], v_colors, v_sh0, v_shN,
                v_direction,
            )  # fmt: skip
            project_backward_rows(
                frame, means[some], quats[some], scales[some], conics[some], radii[some], v_means2d[some],
                v_conics, no_depth, v_means, v_quats, v_scales,
            )  # fmt: skip
            to_stored_rows(scales[some], opacities[some], v_direction, v_means, v_scales, v_opacities)
            for p in range(len(params)):
                each = params[p].shape[0] // count  # floats of a Gaussian
                s, n = slice(each * some.start, each * some.stop), numbers[p]
                update(
                    params[p][s], gradients[p][: each * rows], firsts[p][s], seconds[p][s], None, n[0], n[1],
                    n[2], n[3], n[4], n[5],
                )  # fmt: skip
