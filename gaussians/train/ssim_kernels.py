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

# pyright: reportCallIssue=false, reportIndexIssue=false
# (An intrinsic's first parameter is the typing context, which callers in kernels don't pass; Numba types are
# called to build signatures, and its stubs don't say so.)

from typing import Any

import numpy as np
from numba import njit, prange
from numba.core import cgutils, types
from numba.extending import intrinsic

from gaussians.kernels import FASTMATH, fetch_add
from gaussians.raster.cpu.lanes import LANES, Builder, Plane
from gaussians.raster.cpu.registers import Registers

RADIUS = 5
SIGMA = 1.5
C1 = np.float32(0.01**2)
C2 = np.float32(0.03**2)
# Of the rows' type: with a bare 1 or 2, an int64, Numba would compute in float64.
_ONE = np.float32(1)
_TWO = np.float32(2)
REACH = 3 * RADIUS  # floats of the window on each side in an interleaved row
STATISTICS = 4  # planes per target: μ, ν, q, r
_STRIP = 16  # rows a thread takes at a time: enough to share its temporaries, few enough to balance the load


def gaussian_window() -> np.ndarray:
    """[11] float64, sums to 1: the 1-D window of SSIM, σ = 1.5 pixels."""
    window = np.exp(-(np.arange(-RADIUS, RADIUS + 1) ** 2) / (2 * SIGMA**2))
    return window / window.sum()


# The NumPy error model: Python's would test each divisor for zero, and the loop could not be vectorised.
_OPTIONS = {"fastmath": FASTMATH, "error_model": "numpy", "nogil": True, "cache": True}

_W0, _W1, _W2, _W3, _W4, _W5 = (np.float32(weight) for weight in gaussian_window()[: RADIUS + 1])


@njit(**_OPTIONS)
def _blur_row(row, out):
    """Blur along a row that has REACH floats of padding on each side; `out` has none."""
    for i in range(out.shape[0]):
        out[i] = (
            _W0 * (row[i] + row[i + 30])
            + _W1 * (row[i + 3] + row[i + 27])
            + _W2 * (row[i + 6] + row[i + 24])
            + _W3 * (row[i + 9] + row[i + 21])
            + _W4 * (row[i + 12] + row[i + 18])
            + _W5 * row[i + 15]
        )


@intrinsic
def _blur_down(
    typingctx: Any, plane: Any, first: Any, rows: Any, width: Any, column: Any, out: Any
) -> Any:  # fmt: skip
    """16 columns of `_blur_columns`, from `column` on."""

    def codegen(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        first, rows, width, column = args[1:5]
        start = builder.add(builder.mul(first, width), column)
        source = Plane.of(context, builder, signature.args[0], args[0]).at(start)
        target = Plane.of(context, builder, signature.args[5], args[5]).at(column)
        window = Registers(builder)
        for tap in range(2 * RADIUS):
            window[tap] = source.at(builder.mul(width, width.type(tap))).load()
        with cgutils.for_range(builder, rows) as loop:
            newest = builder.add(loop.index, width.type(2 * RADIUS))
            taps = [window[tap] for tap in range(2 * RADIUS)]
            taps.append(source.at(builder.mul(newest, width)).load())
            total = taps[RADIUS] * float(_W5)
            for tap, weight in enumerate((_W0, _W1, _W2, _W3, _W4)):
                total = (taps[tap] + taps[2 * RADIUS - tap]).times_plus(float(weight), total)
            target.at(builder.mul(loop.index, width)).store(total)
            for tap in range(2 * RADIUS):
                window[tap] = taps[tap + 1]
        return context.get_dummy_value()

    whole = types.int64
    return types.void(plane, whole, whole, whole, whole, out), codegen


@njit(**_OPTIONS)
def _blur_columns(plane, first, rows, out):
    """Blur `rows` image rows of a plane across rows, from `first` on, into the first rows of `out`.

    The plane [H + 10, width] has RADIUS rows of padding above and below.
    """
    width = out.shape[1]
    if width >= LANES:
        for column in range(0, width, LANES):
            # The last columns may repeat some of those before.
            _blur_down(plane, first, rows, width, min(column, width - LANES), out)
    else:
        for row in range(rows):
            y = first + row
            for i in range(width):
                out[row, i] = (
                    _W0 * (plane[y, i] + plane[y + 10, i])
                    + _W1 * (plane[y + 1, i] + plane[y + 9, i])
                    + _W2 * (plane[y + 2, i] + plane[y + 8, i])
                    + _W3 * (plane[y + 3, i] + plane[y + 7, i])
                    + _W4 * (plane[y + 4, i] + plane[y + 6, i])
                    + _W5 * plane[y + 5, i]
                )


@njit(**_OPTIONS)
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


@njit(**_OPTIONS)
def _keep(x, y, counted, out):
    """The rendered row, the target's where a pixel does not count."""
    for i in range(x.shape[0]):
        out[i] = x[i] if counted[i] > 0 else y[i]


@njit(**_OPTIONS)
def _clear_padding(planes, strip, height):
    """Zero the rows above the image in the first strip, those below it in the last."""
    if strip == 0:
        planes[..., :RADIUS, :] = 0
    if (strip + 1) * _STRIP >= height:
        planes[..., height + RADIUS :, :] = 0


@njit(**_OPTIONS, parallel=True)
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
        padded = np.zeros((STATISTICS, width + 2 * REACH), np.float32)
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
                        _blur_row(padded[s], planes[t, s, y + RADIUS])
            _clear_padding(planes, strip, height)


@njit(**_OPTIONS)
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


@njit(**_OPTIONS, parallel=True)
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
        padded = np.zeros((3, width + 2 * REACH), np.float32)
        all_counted = np.ones(width, np.float32)
        while True:
            strip = fetch_add(counter, 1)
            if strip >= strips:
                break
            first, end = strip * _STRIP, min(height, (strip + 1) * _STRIP)
            for t in range(targets):
                for s in range(STATISTICS):
                    _blur_columns(planes[t, s], first, end - first, blurred[t, s])
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
                    _blur_row(padded[2], slopes[2 + t, y + RADIUS])
                _blur_row(padded[0], slopes[0, y + RADIUS])
                _blur_row(padded[1], slopes[1, y + RADIUS])
            _clear_padding(slopes, strip, height)


@njit(**_OPTIONS)
def _start_gradient(by_mu, by_q, x, out):
    for i in range(x.shape[0]):
        out[i] = by_mu[i] + _TWO * x[i] * by_q[i]


@njit(**_OPTIONS)
def _add_gradient(by_r, x, y, weight, out):
    for i in range(x.shape[0]):
        difference = x[i] - y[i]
        sign = np.float32(difference > 0) - np.float32(difference < 0)
        out[i] += y[i] * by_r[i] + weight * sign


@njit(**_OPTIONS)
def _only_counted(counted, out):
    for i in range(out.shape[0]):
        out[i] *= counted[i]


@njit(**_OPTIONS, parallel=True)
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
                _blur_columns(slopes[s], first, end - first, blurred[s])
            for y in range(first, end):
                row = y - first
                _start_gradient(blurred[0, row], blurred[1, row], rendered[y], gradient[y])
                for t in range(targets.shape[0]):
                    _add_gradient(blurred[2 + t, row], rendered[y], targets[t, y], weights[t], gradient[y])
                if counted is not None:
                    _only_counted(counted[y], gradient[y])
