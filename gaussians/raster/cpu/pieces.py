"""Gaussians in pieces of some rows, few enough to stay in a core's second cache with what is made of them.

And many enough that a row of each of two dozen arrays is not read for a few lines only: pieces of 64 made a
step of a large model slower by a tenth than no pieces at all, those of 512 faster by as much.
"""

import numba

ROWS = 512
MOST_ROWS = 2 * ROWS - 1  # of the last, so that none has fewer than a vector has lanes unless all have
FEW_ROWS, FEW = 64, 16 * ROWS  # of fewer Gaussians, so that there is something to do for all cores


@numba.njit
def _rows(count):
    return FEW_ROWS if count < FEW else ROWS


@numba.njit
def piece_count(count):
    """Into how many pieces `count` Gaussians go."""
    return max(1, count // _rows(count))


@numba.njit
def rows_of_piece(piece, pieces, count):
    """The rows of one, as a slice."""
    rows = _rows(count)
    return slice(piece * rows, count if piece == pieces - 1 else (piece + 1) * rows)
