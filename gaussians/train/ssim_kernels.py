"""Fused L1 and SSIM on the CPU: both means, and the gradient image of the weighted loss, in one sweep.

Images are rows of interleaved floats [H, 3 W], so a horizontal neighbour in the same channel is 3 floats away
and no pass needs to separate the channels. With x rendered, y target, * the blur by the 11 x 11 Gaussian
window, μ = *x, ν = *y, q = *(x² + y²), r = *(xy):

    SSIM = n₁ n₂ / (d₁ d₂),  n₁ = 2 μ ν + C₁,  n₂ = 2 (r - μ ν) + C₂,
                             d₁ = μ² + ν² + C₁,  d₂ = q - μ² - ν² + C₂       (Wang et al. 2004, eq. 13)

The two variances only ever occur as their sum, hence 4 blurs and not 5. Backward, with the window symmetric:

    ∂ΣSSIM/∂x = *(∂SSIM/∂μ) + 2 x *(∂SSIM/∂q) + y *(∂SSIM/∂r)

The first two blurs are linear in SSIM's weight, so that several targets of one rendered image share them.

The window is separable: every blur is one along rows, fused with what produces the row, and one across rows,
fused with what consumes it. A worker sweeps over a patch of the image from top to bottom, 16 rows at a time.
Of what lies between the two blurs it keeps the last 26 rows alone, in rings that stay in its core's cache:
memory sees the images and the gradient, and nothing else. What patches that meet need of each other is
computed in both, to the same bits.
"""

# pyright: reportCallIssue=false
# (An intrinsic's first parameter is the typing context, which callers in kernels don't pass.)

import numpy as np
from numba import njit, prange

from gaussians.kernels import aligned_floats, fetch_add
from gaussians.raster.cpu.lanes import LANES
from gaussians.train.blur_kernels import OPTIONS, RADIUS, REACH, SPARE, STRIP, blur_across, blur_row
from gaussians.train.ssim_lane_kernels import STATISTICS, add_gradient, compare, multiply

NARROWEST = 18  # floats of a row, at least: a vector's
BEYOND = LANES  # floats behind a mask that are read, to no effect
_RING = STRIP + 2 * RADIUS  # rows from which as many can be blurred
_WIDE = 1024  # floats of a row in a patch, at most: its rings are to stay in a core's cache
_LOW = 48  # rows of a patch, at least: 20 more are computed for the neighbours' sake
_ZERO = np.float32(0)


def patch_columns(width: int) -> int:
    """Floats of a row in a patch; the last patch may have a few less."""
    patches = -(-width // _WIDE)
    return -(-width // (3 * patches)) * 3


def patch_rows(height: int, across: int, n_workers: int) -> int:
    """Rows of a patch, of which `across` lie side by side; the lowest may have fewer."""
    return max(_LOW, -(-height * across // (2 * n_workers)))


@njit
def _stride(width):
    """Floats from row to row in a ring: an odd number of lines, so that rows don't meet in the first cache."""
    return (-(-width // 16) | 1) * 16


@njit(**OPTIONS)
def _blur_products(y, left, right, rendered, targets, counted, padded, statistics, row):
    """Statistics of image row y, from column `left` to `right`, blurred along it; zeros beyond the image.

    Args:
        padded [4, W + ...]: zeros where products are beyond the image; used up.
        statistics [T, 4, _RING, W], row: written there.
    """
    height, width = rendered.shape
    if y < 0 or y >= height:
        statistics[:, :, row] = _ZERO
        return
    begin, end = max(0, left - REACH), min(width, right + REACH)
    for t in range(targets.shape[0]):
        place = y * width + begin
        multiply(
            rendered, place, targets, t * height * width + place, counted, end - begin, padded,
            begin - left + REACH, padded.shape[1],
        )  # fmt: skip
        for s in range(STATISTICS):
            blur_row(padded[s], statistics[t, s, row, : right - left])


@njit(**OPTIONS)
def _sweep(top, bottom, left, right, rendered, targets, counted, by_ssim, by_l1, scratch, gradient, distances, sums):
    """Loss and gradient of the patch of the image from row `top` to `bottom` and column `left` to `right`."""
    height, width = rendered.shape
    count = targets.shape[0]
    statistics, slopes, products, derivatives = scratch
    far_left, far_right = max(0, left - REACH), min(width, right + REACH)
    span, own, inner = far_right - far_left, right - left, left - far_left
    at = far_left - left + REACH  # of derivatives
    products[:], derivatives[:] = _ZERO, _ZERO
    wide, narrow, deep = statistics.shape[3], slopes.shape[2], derivatives.shape[2]
    plane, ring, block = _RING * wide, _RING * narrow, STRIP * deep
    lead = 2 * RADIUS - top  # rows of rings count from here
    rows = np.empty(_RING, np.int64)
    totals, blurred = np.empty((STRIP, LANES), np.float32), aligned_floats(STATISTICS * STRIP * LANES)
    for strip in range(top - 2 * RADIUS, bottom + 2 * RADIUS, STRIP):
        low = min(strip + STRIP, bottom + 2 * RADIUS)
        for y in range(strip, low):
            _blur_products(
                y, far_left, far_right, rendered, targets, counted, products, statistics, (y + lead) % _RING
            )

        # Slopes of SSIM, blurred along rows, as far down as statistics suffice.
        first, end = max(strip, top) - RADIUS, low - RADIUS
        for k in range(_RING):
            rows[k] = (first - RADIUS + k + lead) % _RING * wide
        for y in range(max(first, end - STRIP), end):
            if y < 0 or y >= height:
                slopes[:, (y + lead) % _RING] = _ZERO
        begin, stop = max(first, 0), min(end, height)
        for t in range(count):
            totals[:] = _ZERO
            for column in range(0, span, LANES):
                blur_across(
                    STATISTICS, statistics, STATISTICS * t * plane + column, plane, rows, blurred, 0
                )
                for y in range(begin, stop):
                    row, place = y - first, (y - first) * deep + at + column
                    mask = 0 if counted is None else y * width + far_left + column
                    if t == 0:
                        compare(
                            False, blurred, row, column, span, inner, inner + own, by_ssim[t], counted, mask,
                            derivatives, place, block, totals,
                        )  # fmt: skip
                    else:
                        compare(
                            True, blurred, row, column, span, inner, inner + own, by_ssim[t], counted, mask,
                            derivatives, place, block, totals,
                        )  # fmt: skip
            for y in range(begin, stop):
                blur_row(derivatives[2, y - first], slopes[2 + t, (y + lead) % _RING, :own])
                if top <= y < bottom:
                    sums[t, y] = totals[y - first].sum()
        for y in range(begin, stop):
            for s in range(2):
                blur_row(derivatives[s, y - first], slopes[s, (y + lead) % _RING, :own])

        # The gradient, as far down as slopes suffice.
        first, end = max(strip - 2 * RADIUS, top), end - RADIUS
        for k in range(_RING):
            rows[k] = (first - RADIUS + k + lead) % _RING * narrow
        for t in range(count):
            totals[:] = _ZERO
            for begin in range(0, own, LANES):
                column = min(begin, own - LANES)  # the last ones may repeat some of those before
                blur_across(1, slopes, (2 + t) * ring + column, ring, rows, blurred, 0)
                if t == 0:
                    blur_across(2, slopes, column, ring, rows, blurred, STRIP * LANES)
                for y in range(first, end):
                    row, place = y - first, y * width + left + column
                    other = t * height * width + place
                    if t == 0:
                        add_gradient(
                            False, blurred, row, begin - column, by_l1[t], rendered, targets, counted, place,
                            other, gradient, totals,
                        )  # fmt: skip
                    else:
                        add_gradient(
                            True, blurred, row, begin - column, by_l1[t], rendered, targets, counted, place,
                            other, gradient, totals,
                        )  # fmt: skip
            for y in range(first, end):
                distances[t, y] = totals[y - first].sum()


@njit(**OPTIONS, parallel=True)
def color_gradient(
    n_workers, rows, columns, rendered, targets, counted, by_ssim, by_l1, gradient, distances, sums
):
    """Sums of |x - y| and SSIM, and the gradient by the rendered image of their weighted sum.

    Args:
        n_workers: threads. (Asked for in here, it would keep the kernel from being cached on disk.)
        rows, columns: of a patch, see `patch_rows`; results are the same to the bit whatever its rows.
        rendered: [H, 3 W] float32, of NARROWEST floats a row or more.
        targets: [T, H, 3 W] float32 in [0, 1], or uint8.
        counted: [H, 3 W] float32, 1 where the pixel counts, else 0; or None.
        by_ssim, by_l1: [T] float32, weights of each target's ΣSSIM and Σ|x - y| in the loss.
        gradient: [H, 3 W] float32, written.
        distances, sums: [patches side by side, T, H] float32, written: Σ|x - y| and ΣSSIM of each row.
    """
    height, width = rendered.shape
    count = targets.shape[0]
    down, across = (height + rows - 1) // rows, (width + columns - 1) // columns
    counter = np.zeros(1, np.int64)
    for _ in prange(n_workers):
        wide, narrow = _stride(columns + 2 * REACH), _stride(columns)
        scratch = (
            aligned_floats(count * STATISTICS * _RING * wide).reshape((count, STATISTICS, _RING, wide)),
            aligned_floats((2 + count) * _RING * narrow).reshape((2 + count, _RING, narrow)),
            np.empty((STATISTICS, columns + 4 * REACH + SPARE), np.float32),
            np.empty((3, STRIP, _stride(columns + 4 * REACH + 2 * SPARE)), np.float32),
        )
        while True:
            patch = fetch_add(counter, 1)
            if patch >= down * across:
                break
            top, left = patch // across * rows, patch % across * columns
            _sweep(
                top, min(top + rows, height), left, min(left + columns, width), rendered, targets, counted,
                by_ssim, by_l1, scratch, gradient, distances[patch % across], sums[patch % across],
            )  # fmt: skip
