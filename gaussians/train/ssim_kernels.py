"""Fused L1 and SSIM on the CPU: both means, and the gradient image of the weighted loss, in three passes.

Images are rows of interleaved floats [H, 3 W], so a horizontal neighbour in the same channel is 3 floats away
and no pass needs to separate the channels. The 11 x 11 Gaussian window is separable: every blur is one pass
along rows, which is row-local and fused with what produces the row, and one across rows, which is fused with
what consumes it: 16 rows at a time, in columns of a vector, whose window stays in registers. With x rendered,
y target, * the window's blur, μ = *x, ν = *y, q = *(x² + y²), r = *(xy):

    SSIM = n₁ n₂ / (d₁ d₂),  n₁ = 2 μ ν + C₁,  n₂ = 2 (r - μ ν) + C₂,
                             d₁ = μ² + ν² + C₁,  d₂ = q - μ² - ν² + C₂       (Wang et al. 2004, eq. 13)

The two variances only ever occur as their sum, hence 4 blurs and not 5. Backward, with the window symmetric:

    ∂ΣSSIM/∂x = *(∂SSIM/∂μ) + 2 x *(∂SSIM/∂q) + y *(∂SSIM/∂r)

The first two blurs are linear in SSIM's weight, so that several targets of one rendered image share them.
"""

# pyright: reportCallIssue=false
# (An intrinsic's first parameter is the typing context, which callers in kernels don't pass.)

import numpy as np
from numba import njit, prange

from gaussians.kernels import fetch_add
from gaussians.train.blur_kernels import OPTIONS, RADIUS, REACH, SPARE, blur_columns, blur_row

C1 = np.float32(0.01**2)
C2 = np.float32(0.03**2)
# Of the rows' type: with a bare 1 or 2, an int64, Numba would compute in float64.
_ONE = np.float32(1)
_TWO = np.float32(2)
STATISTICS = 4  # planes per target: μ, ν, q, r
_STRIP = 16  # rows a thread takes at a time: enough to share its temporaries, few enough to balance the load


@njit(**OPTIONS)
def _products(x, y, padded):
    """Fill the four padded rows that are blurred; returns Σ|x - y|."""
    padded_x, padded_y, squares, product = padded[0], padded[1], padded[2], padded[3]
    distance = np.float32(0)
    for i in range(x.shape[0]):
        distance += abs(x[i] - y[i])
        padded_x[i + REACH] = x[i]
        padded_y[i + REACH] = y[i]
        squares[i + REACH] = x[i] * x[i] + y[i] * y[i]
        product[i + REACH] = x[i] * y[i]
    return distance


@njit(**OPTIONS)
def _keep(x, y, counted, out):
    """The rendered row, the target's where a pixel does not count."""
    for i in range(x.shape[0]):
        out[i] = x[i] if counted[i] > 0 else y[i]


@njit(**OPTIONS)
def _clear_padding(planes, strip, height):
    """Zero the rows above the image in the first strip, those below it in the last."""
    if strip == 0:
        planes[..., :RADIUS, :] = 0
    if (strip + 1) * _STRIP >= height:
        planes[..., height + RADIUS :, :] = 0


@njit(**OPTIONS, parallel=True)
def blur_along_rows(n_workers, rendered, targets, counted, planes, distances):
    """Pass 1: L1 sums, and the four statistics blurred along rows.

    Args:
        n_workers: threads. (Asked for in here, it would keep the kernel from being cached on disk.)
        rendered: [H, 3 W] float32.
        targets: [T, H, 3 W] float32.
        counted: [H, 3 W] float32, 1 where the pixel counts, else 0; or None.
        planes: [T, 4, H + 10, 3 W] float32, written from row 5 to H + 4; the padding is zeroed.
        distances: [T, H] float32, written: Σ|rendered - target| of each row.
    """
    height, width = rendered.shape
    strips, counter = (height + _STRIP - 1) // _STRIP, np.zeros(1, np.int64)
    for _ in prange(n_workers):
        padded = np.zeros((STATISTICS, width + 2 * REACH + SPARE), np.float32)
        mixed = np.empty(width, np.float32)
        while True:
            strip = fetch_add(counter, 1)
            if strip >= strips:
                break
            for y in range(strip * _STRIP, min(height, (strip + 1) * _STRIP)):
                for t in range(targets.shape[0]):
                    x = rendered[y]
                    if counted is not None:
                        _keep(rendered[y], targets[t, y], counted[y], mixed)
                        x = mixed
                    distances[t, y] = _products(x, targets[t, y], padded)
                    for s in range(STATISTICS):
                        blur_row(padded[s], planes[t, s, y + RADIUS])
            _clear_padding(planes, strip, height)


@njit(**OPTIONS)
def _similarity(mu, nu, q, r, counted, weight, padded):
    """ΣSSIM over a row's counted pixels; `weight` times its slopes by μ and q are added, by r stored."""
    by_mu, by_q, by_r = padded[0], padded[1], padded[2]
    total = np.float32(0)
    for i in range(mu.shape[0]):
        means = mu[i] * mu[i] + nu[i] * nu[i]
        both = mu[i] * nu[i]
        n1 = _TWO * both + C1
        n2 = _TWO * (r[i] - both) + C2
        d1 = means + C1
        d2 = q[i] - means + C2
        over = counted[i] / (d1 * d2)
        ssim = n1 * n2 * over
        total += ssim
        scaled = weight * over
        # 1/d₂ = d₁ over and 1/d₁ = d₂ over: one division for all.
        by_mu[i + REACH] += _TWO * scaled * (nu[i] * (n2 - n1) + mu[i] * ssim * (d1 - d2))
        by_q[i + REACH] -= scaled * ssim * d1
        by_r[i + REACH] = _TWO * scaled * n1
    return total


@njit(**OPTIONS, parallel=True)
def similarities(n_workers, planes, counted, weights, slopes, sums):
    """Pass 2: SSIM sums, and their weighted derivatives blurred along rows.

    Args:
        n_workers, planes: of pass 1.
        counted: as in pass 1.
        weights: [T] float32, of each target's ΣSSIM in the loss.
        slopes: [2 + T, H + 10, 3 W] float32, written like `planes`: by μ, by q, by r of each target.
        sums: [T, H] float32, written: Σ SSIM of each row.
    """
    targets, height, width = planes.shape[0], planes.shape[2] - 2 * RADIUS, planes.shape[3]
    strips, counter = (height + _STRIP - 1) // _STRIP, np.zeros(1, np.int64)
    for _ in prange(n_workers):
        blurred = np.empty((targets, STATISTICS, _STRIP, width), np.float32)
        padded = np.zeros((3, width + 2 * REACH + SPARE), np.float32)
        all_counted = np.ones(width, np.float32)
        while True:
            strip = fetch_add(counter, 1)
            if strip >= strips:
                break
            first, end = strip * _STRIP, min(height, (strip + 1) * _STRIP)
            for t in range(targets):
                for s in range(STATISTICS):
                    blur_columns(planes[t, s], first, end - first, blurred[t, s])
            for y in range(first, end):
                padded[:2] = 0
                for t in range(targets):
                    mu, nu, q, r = (
                        blurred[t, 0, y - first],
                        blurred[t, 1, y - first],
                        blurred[t, 2, y - first],
                        blurred[t, 3, y - first],
                    )
                    row = all_counted if counted is None else counted[y]
                    sums[t, y] = _similarity(mu, nu, q, r, row, weights[t], padded)
                    blur_row(padded[2], slopes[2 + t, y + RADIUS])
                blur_row(padded[0], slopes[0, y + RADIUS])
                blur_row(padded[1], slopes[1, y + RADIUS])
            _clear_padding(slopes, strip, height)


@njit(**OPTIONS)
def _start_gradient(by_mu, by_q, x, out):
    for i in range(x.shape[0]):
        out[i] = by_mu[i] + _TWO * x[i] * by_q[i]


@njit(**OPTIONS)
def _add_gradient(by_r, x, y, weight, out):
    for i in range(x.shape[0]):
        difference = x[i] - y[i]
        sign = np.float32(difference > 0) - np.float32(difference < 0)
        out[i] += y[i] * by_r[i] + weight * sign


@njit(**OPTIONS)
def _only_counted(counted, out):
    for i in range(out.shape[0]):
        out[i] *= counted[i]


@njit(**OPTIONS, parallel=True)
def gradient_image(n_workers, rendered, targets, counted, slopes, weights, gradient):
    """Pass 3: the gradient of Σ (weight of SSIM) ΣSSIM + Σ (weight of L1) Σ|x - y| by the rendered image.

    Args:
        n_workers, rendered, targets, counted: as in pass 1.
        slopes: of pass 2.
        weights: [T] float32, of each target's Σ|x - y| in the loss.
        gradient: [H, 3 W] float32, written.
    """
    height, width = rendered.shape
    strips, counter = (height + _STRIP - 1) // _STRIP, np.zeros(1, np.int64)
    for _ in prange(n_workers):
        blurred = np.empty((slopes.shape[0], _STRIP, width), np.float32)
        while True:
            strip = fetch_add(counter, 1)
            if strip >= strips:
                break
            first, end = strip * _STRIP, min(height, (strip + 1) * _STRIP)
            for s in range(slopes.shape[0]):
                blur_columns(slopes[s], first, end - first, blurred[s])
            for y in range(first, end):
                row = y - first
                _start_gradient(blurred[0, row], blurred[1, row], rendered[y], gradient[y])
                for t in range(targets.shape[0]):
                    _add_gradient(blurred[2 + t, row], rendered[y], targets[t, y], weights[t], gradient[y])
                if counted is not None:
                    _only_counted(counted[y], gradient[y])
