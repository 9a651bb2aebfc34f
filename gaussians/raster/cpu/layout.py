"""Where the blending kernels keep what: tiles and their blocks, packed Gaussians, moments of gradients.

A block is what one vector holds, two rows of eight pixels: a tile has sixteen. Rectangles that are nearly
square meet fewer Gaussians than rows of sixteen pixels would. A tile's planes hold its pixels by pair of
rows, then by half.
"""

import math

from gaussians.raster.constants import ALPHA_MIN, TILE_SIZE
from gaussians.raster.cpu.lanes import LANES

TILE = TILE_SIZE
PIXELS = TILE * TILE
SPAN = LANES // 2  # columns of a block
BLOCKS = PIXELS // LANES
QUARTERS = 4  # of a tile, as halves by halves
CENTRE = TILE / 2  # kernels count pixels from a tile's centre
EXPONENT_MIN = math.log2(ALPHA_MIN)

# Columns of a packed Gaussian; colours follow.
X, Y, A, B, C, LOG_OPACITY, COLOR = 0, 1, 2, 3, 4, 5, 8
PACKED = LANES  # a cache line

# Planes of 256 floats that a tile keeps while it is blended: transmittance; how many places of the tile's
# list a pixel takes part in; and colours. The backward pass keeps gradients of colours there, and BEHIND what
# shines through to a pixel from behind, along its gradient, for each unit of transmittance.
TRANSMITTANCE, LAST, BEHIND, RGB = 0, 1, 2, 3
UNFINISHED = float(1 << 30)  # LAST of a pixel that no Gaussian has ended yet

# Columns of the moments of v, the gradient with respect to the Gaussian's natural exponent: Σ v, Σ v dx,
# Σ v dy, Σ v dx², Σ v dx dy, Σ v dy²; then two that depend on the kernel, and the colours' gradient.
S0, SX, SY, SXX, SXY, SYY, EXTRA_X, EXTRA_Y, V_COLOR = 0, 1, 2, 3, 4, 5, 6, 7, 8
MOMENTS = LANES  # a single store, and a cache line


def block_pixels(block: int) -> tuple[list[float], list[float]]:
    """x and y of the centres of a block's pixels, from the tile's centre."""
    left, top = SPAN * (block % 2) + 0.5 - CENTRE, 2 * (block // 2) + 0.5 - CENTRE
    return [left + lane % SPAN for lane in range(LANES)], [top + lane // SPAN for lane in range(LANES)]


def quarter_centre(quarter: int) -> tuple[float, float]:
    """x and y of a quarter's centre, from the tile's."""
    return SPAN * (quarter % 2) + (SPAN - TILE) / 2, SPAN * (quarter // 2) + (SPAN - TILE) / 2
