"""The numbers that every rasterizer here shares with gsplat 1.5.3, so that renders agree across backends.

Those that gsplat's kernels write as float32 literals are given as the float32 value: at alpha 0.999 the
difference is 1.3e-5 of the transmittance behind the Gaussian, more than a float64 oracle should be off by.
"""

TILE_SIZE = 16
"""Side of a square tile in pixels."""

ALPHA_MAX = 0.9990000128746033
"""A Gaussian hides at most this share of what is behind it (float32 0.999)."""

ALPHA_MIN = 0.003921568859368563
"""Fainter than one step of an 8-bit image is not drawn (float32 1/255)."""

TRANSMITTANCE_MIN = 9.999999747378752e-05
"""A pixel is finished before the Gaussian that would bring its transmittance to this (float32 1e-4)."""

EXTENT_MAX = 3.3299999237060547
"""Half-width of the culling box in standard deviations, at most (float32 3.33)."""

EXPECTED_DEPTH_ALPHA_MIN = 1e-10
"""Expected depth is accumulated depth over alpha, and alpha is taken as at least this."""

SH_DEGREE_MAX = 3
RENDER_MODES = ("RGB", "D", "ED", "RGB+D", "RGB+ED")
