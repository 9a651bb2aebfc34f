"""Gaussians in pieces of some rows, few enough to stay in a core's second cache with what is made of them.

And many enough that a row of each of two dozen arrays is not read for a few lines only: pieces of 64 made a
step of a large model slower by a tenth than no pieces at all, those of 512 faster by as much.
"""

import numba

ROWS = 512
MOST_ROWS = 2 * ROWS - 1  # of the last, so that none has fewer than a vector has lanes unless all have


@numba.njit
def piece_count(count):
    """Into how many pieces `count` Gaussians go."""
    return max(1, count // ROWS)


@numba.njit
def rows_of_piece(piece, pieces, count):
    """The rows of one, as a slice."""
    return slice(piece * ROWS, count if piece == pieces - 1 else (piece + 1) * ROWS)
