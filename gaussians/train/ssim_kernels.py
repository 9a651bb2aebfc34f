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

import functools

import numpy as np
from numba import njit, prange

from gaussians.kernels import aligned_floats, fetch_add
from gaussians.raster.cpu.lanes import LANES
from gaussians.train.blur_kernels import OPTIONS, RADIUS, REACH, SPARE, STRIP, blur_across, blur_row
from gaussians.train.ssim_lane_kernels import STATISTICS, add_gradient, compare, multiply

NARROWEST = 18  # floats of a row, at least: a vector's
BEYOND = LANES  # floats behind a mask that are read, to no effect
_RING = STRIP + 2 * RADIUS  # rows from which as many can be blurred
_WIDE = 1024  # floats of a row in a patch, about: its rings are to stay in a core's cache
_LOWEST = 24  # rows of a patch, unless the image has fewer: 20 more are computed for the neighbours' sake
_WORTH = 1.1  # what two patches a worker may cost, in rows of one
_ZERO = np.float32(0)


def patch_columns(width: int) -> int:
    """Floats of a row in a patch; the last patch may have fewer, but not than NARROWEST."""
    patches = -(-width // _WIDE)
    while True:
        columns = -(-width // (3 * patches)) * 3
        if patches == 1 or width - (patches - 1) * columns >= NARROWEST:
            return columns
        patches -= 1


@functools.lru_cache(maxsize=256)
def patch_rows(height: int, across: int, n_workers: int) -> int:
    """Rows of a patch, of which `across` lie side by side; the lowest may have fewer.

    As many as are done soonest. But where it costs little there are two patches or more for each worker, so
    that one whose core is wanted elsewhere doesn't hold up the others for half of the image.
    """
    least = []  # (rows that one worker goes through, rows of a patch): of few patches, and of enough
    for fewest in (1, 2 * n_workers):
        choices = []
        for down in range(1, max(1, height // _LOWEST) + 1):
            if down * across >= fewest or down == 1:
                rows, turns = -(-height // down), -(-down * across // n_workers)
                choices.append((turns * (rows + 4 * RADIUS), rows))
        least.append(min(choices))
    best, enough = least
    return enough[1] if enough[0] <= _WORTH * best[0] else best[1]


@njit
def _stride(width):
    """Floats from row to row: an odd number of lines, so that rows don't meet in the first cache."""
    return (-(-width // 16) | 1) * 16


@njit(**OPTIONS)
def _blur_products(y, patch, images, padded, statistics):
    """Row y of the ring of statistics [T, 4, _RING, W]; zeros beyond the image.

    Args:
        y: of the image, or above or below it.
        patch: its top, and the columns of the statistics.
        images: rendered, targets and counted, as in `color_gradient`.
        padded [4, W + ...]: zeros where products are beyond the image; used up.
    """
    (top, left, right), (rendered, targets, counted) = patch, images
    height, width = rendered.shape
    row = _ring_row(y, top)
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


@njit
def _ring_row(y, top):
    """Where row y is in the rings of a patch that begins with `top`."""
    return (y - top + 2 * RADIUS) % _RING


@njit
def _window_rows(first, top, stride, rows):
    """Fill `rows`: where in a plane of a ring those are from which rows from `first` on are blurred."""
    for k in range(_RING):
        rows[k] = _ring_row(first - RADIUS + k, top) * stride


@njit(**OPTIONS)
def _compare(
    first, end, patch, images, by_ssim, statistics, derivatives, slopes, rows, blurred, totals, sums
):
    """Slopes of SSIM of rows `first` to `end`, blurred along them: by μ, by q, and by r of each target.

    Args:
        first, end: at most STRIP rows; some may be beyond the image.
        patch, images: as in `_sweep`.
        by_ssim [T]: weights.
        statistics [T, 4, _RING, W]: with the rows that are needed.
        derivatives [3, STRIP, W + ...]: zeros where slopes are beyond the image; used up.
        slopes [2 + T, _RING, W']: the rows are written.
        rows, blurred, totals: to work in.
        sums [T, H]: ΣSSIM of rows of the patch.
    """
    (top, bottom, left, right), (rendered, _, counted) = patch, images
    height, width = rendered.shape
    far_left, far_right = _far(left, right, width)
    span, inner = far_right - far_left, left - far_left
    plane, deep = statistics.shape[2] * statistics.shape[3], derivatives.shape[2]
    for y in range(first, end):
        if y < 0 or y >= height:
            slopes[:, _ring_row(y, top)] = _ZERO
    _window_rows(first, top, statistics.shape[3], rows)
    begin, stop = max(first, 0), min(end, height)
    for t in range(statistics.shape[0]):
        totals[:] = _ZERO
        for column in range(0, span, LANES):
            blur_across(STATISTICS, statistics, STATISTICS * t * plane + column, plane, rows, blurred, 0)
            for y in range(begin, stop):
                compare(
                    t, blurred, y - first, column, span, inner, inner + right - left, by_ssim[t], counted,
                    y * width + far_left + column, derivatives,
                    (y - first) * deep + REACH - inner + column, STRIP * deep, totals,
                )  # fmt: skip
        for y in range(begin, stop):
            blur_row(derivatives[2, y - first], slopes[2 + t, _ring_row(y, top), : right - left])
            if top <= y < bottom:
                sums[t, y] = totals[y - first].sum()
    for y in range(begin, stop):
        for s in range(2):
            blur_row(derivatives[s, y - first], slopes[s, _ring_row(y, top), : right - left])


@njit(**OPTIONS)
def _write_gradient(first, end, patch, images, by_l1, slopes, rows, blurred, totals, gradient, distances):
    """The gradient of rows `first` to `end` of a patch, at most STRIP of them, from blurred slopes.

    Args:
        as in `_compare`; by_l1 [T]: weights. gradient [H, 3 W], distances [T, H]: written.
    """
    (top, _, left, right), (rendered, targets, counted) = patch, images
    height, width = rendered.shape
    ring = slopes.shape[1] * slopes.shape[2]
    _window_rows(first, top, slopes.shape[2], rows)
    for t in range(targets.shape[0]):
        totals[:] = _ZERO
        for begin in range(0, right - left, LANES):
            column = min(begin, right - left - LANES)  # the last ones may repeat some of those before
            blur_across(1, slopes, (2 + t) * ring + column, ring, rows, blurred, 0)
            if t == 0:
                blur_across(2, slopes, column, ring, rows, blurred, STRIP * LANES)
            for y in range(first, end):
                place = y * width + left + column
                add_gradient(
                    t, blurred, y - first, begin - column, by_l1[t], rendered, targets, counted, place,
                    t * height * width + place, gradient, totals,
                )  # fmt: skip
        for y in range(first, end):
            distances[t, y] = totals[y - first].sum()


@njit
def _far(left, right, width):
    """Columns whose slopes reach those from `left` to `right`."""
    return max(0, left - REACH), min(width, right + REACH)


@njit(**OPTIONS)
def _sweep(patch, images, by_ssim, by_l1, scratch, gradient, distances, sums):
    """Loss and gradient of a patch of the image.

    Args:
        patch: its top, bottom, left and right.
        images: rendered, targets and counted; these and all others as in `color_gradient`.
        scratch: from `_scratch`.
    """
    statistics, slopes, products, derivatives, rows, blurred, totals = scratch
    top, bottom, left, right = patch
    far_left, far_right = _far(left, right, gradient.shape[1])
    products[:], derivatives[:] = _ZERO, _ZERO
    for strip in range(top - 2 * RADIUS, bottom + 2 * RADIUS, STRIP):
        low = min(strip + STRIP, bottom + 2 * RADIUS)
        for y in range(strip, low):
            _blur_products(y, (top, far_left, far_right), images, products, statistics)
        # Each as far down as what it is made of suffices.
        _compare(
            max(strip, top) - RADIUS, low - RADIUS, patch, images, by_ssim, statistics, derivatives, slopes,
            rows, blurred, totals, sums,
        )  # fmt: skip
        first, end = max(strip - 2 * RADIUS, top), low - 2 * RADIUS
        if first < end:
            _write_gradient(
                first, end, patch, images, by_l1, slopes, rows, blurred, totals, gradient, distances
            )


@njit
def _scratch(count, columns):
    """What a worker needs for patches as wide and so many targets: two rings, and room to work in."""
    wide, narrow = _stride(columns + 2 * REACH), _stride(columns)
    deep = _stride(columns + 4 * REACH + 2 * SPARE)
    return (
        aligned_floats(count * STATISTICS * _RING * wide).reshape((count, STATISTICS, _RING, wide)),
        aligned_floats((2 + count) * _RING * narrow).reshape((2 + count, _RING, narrow)),
        np.empty((STATISTICS, columns + 4 * REACH + SPARE), np.float32),
        np.empty((3, STRIP, deep), np.float32),
        np.empty(_RING, np.int64),
        aligned_floats(STATISTICS * STRIP * LANES),
        np.empty((STRIP, LANES), np.float32),
    )


@njit(**OPTIONS, parallel=True)
def color_gradient(
    n_workers, rows, columns, rendered, targets, counted, by_ssim, by_l1, gradient, distances, sums
):
    """Sums of |x - y| and SSIM, and the gradient by the rendered image of their weighted sum.

    Args:
        n_workers: threads. (Asked for in here, it would keep the kernel from being cached on disk.)
        rows, columns: of a patch, see `patch_rows` and `patch_columns`; results are the same to the bit
            whatever its rows. The last patch of a row must have 16 columns or more, too.
        rendered: [H, 3 W] float32, of NARROWEST floats a row or more.
        targets: [T, H, 3 W] float32 in [0, 1], or uint8.
        counted: [H, 3 W] float32, 1 where the pixel counts, else 0, and BEYOND floats after it in memory;
            without rows all count.
        by_ssim, by_l1: [T] float32, weights of each target's ΣSSIM and Σ|x - y| in the loss.
        gradient: [H, 3 W] float32, written.
        distances, sums: [patches side by side, T, H] float32, written: Σ|x - y| and ΣSSIM of each row.
    """
    height, width = rendered.shape
    count = targets.shape[0]
    down, across = (height + rows - 1) // rows, (width + columns - 1) // columns
    counter = np.zeros(1, np.int64)
    for _ in prange(n_workers):
        scratch = _scratch(count, columns)
        while True:
            turn = fetch_add(counter, 1)
            if turn >= down * across:
                break
            top, left, beside = turn // across * rows, turn % across * columns, turn % across
            patch = (top, min(top + rows, height), left, min(left + columns, width))
            _sweep(
                patch, (rendered, targets, counted), by_ssim, by_l1, scratch, gradient, distances[beside],
                sums[beside],
            )  # fmt: skip
