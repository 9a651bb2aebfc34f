"""Where the blending kernels keep what: tiles and their blocks, packed Gaussians, moments of gradients.

A block is what one vector holds, four rows of four pixels: a tile has sixteen, four to a quarter. Squares
meet fewer Gaussians than wide blocks would. A tile's planes hold its pixels by quarter, then by block.
"""

import math

from gaussians.raster.constants import ALPHA_MIN, TILE_SIZE
from gaussians.raster.cpu.lanes import LANES

TILE = TILE_SIZE
PIXELS = TILE * TILE
SPAN = 4  # rows and columns of a block
BLOCKS = PIXELS // LANES
STRIPS = TILE // SPAN  # of blocks side by side, in a tile
QUARTERS = 4  # of a tile, as halves by halves
CENTRE = TILE / 2  # kernels count pixels from a tile's centre
EXPONENT_MIN = math.log2(ALPHA_MIN)

# Columns of a packed Gaussian; colours follow.
X, Y, A, B, C, LOG_OPACITY, COLOR = 0, 1, 2, 3, 4, 5, 8
PACKED = LANES  # a cache line

# Columns of a tile's list: a Gaussian's place among the visible, and where its moments in this tile go.
WHO, SLOT = 0, 1
MEMBER = 2

# Planes of 256 floats that a tile keeps while it is blended: transmittance; how many places of the tile's
# list a pixel takes part in; and colours. The backward pass keeps gradients of colours there, and BEHIND what
# shines through to a pixel from behind, along its gradient, for each unit of transmittance.
TRANSMITTANCE, LAST, BEHIND, RGB = 0, 1, 2, 3
UNFINISHED = float(1 << 30)  # LAST of a pixel that no Gaussian has ended yet

# Columns of the moments of v, the gradient with respect to the Gaussian's natural exponent: Σ v, Σ v dx,
# Σ v dy, Σ v dx², Σ v dx dy, Σ v dy²; then two that depend on the kernel, and the colours' gradient.
S0, SX, SY, SXX, SXY, SYY, EXTRA_X, EXTRA_Y, V_COLOR = 0, 1, 2, 3, 4, 5, 6, 7, 8
MOMENTS = LANES  # a single store, and a cache line


def block_at(row: int, column: int) -> int:
    """The block in a row and a column of a tile's blocks."""
    return 8 * (row // 2) + 4 * (column // 2) + 2 * (row % 2) + column % 2


def block_pixels(block: int) -> tuple[list[float], list[float]]:
    """x and y of the centres of a block's pixels, from the tile's centre."""
    row, column = next((j, i) for j in range(STRIPS) for i in range(STRIPS) if block_at(j, i) == block)
    left, top = SPAN * column + 0.5 - CENTRE, SPAN * row + 0.5 - CENTRE
    return [left + lane % SPAN for lane in range(LANES)], [top + lane // SPAN for lane in range(LANES)]


def quarter_centre(quarter: int) -> tuple[float, float]:
    """x and y of a quarter's centre, from the tile's."""
    half = TILE / 2
    return half * (quarter % 2) + half / 2 - CENTRE, half * (quarter // 2) + half / 2 - CENTRE
