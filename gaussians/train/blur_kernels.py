"""SSIM's window, and blurs by it along and across rows of interleaved floats [H, 3 W]."""

# pyright: reportCallIssue=false, reportIndexIssue=false
# (An intrinsic's first parameter is the typing context, which callers in kernels don't pass; Numba types are
# called to build signatures, and its stubs don't say so.)

from typing import Any

import numpy as np
from numba import njit
from numba.core import cgutils, types
from numba.extending import intrinsic

from gaussians.kernels import FASTMATH
from gaussians.raster.cpu.lanes import LANES, Builder, Lanes, has_wide_tables, shuffled
from gaussians.raster.cpu.planes import Plane
from gaussians.raster.cpu.registers import Registers

RADIUS = 5
SIGMA = 1.5
REACH = 3 * RADIUS  # floats of the window on each side in an interleaved row
SPARE = LANES  # more after a padded row, which are read and have no effect

# The NumPy error model: Python's would test each divisor for zero, and the loop could not be vectorised.
OPTIONS = {"fastmath": FASTMATH, "error_model": "numpy", "nogil": True, "cache": True}


def gaussian_window() -> np.ndarray:
    """[11] float64, sums to 1: the 1-D window of SSIM, σ = 1.5 pixels."""
    window = np.exp(-(np.arange(-RADIUS, RADIUS + 1) ** 2) / (2 * SIGMA**2))
    return window / window.sum()


_W0, _W1, _W2, _W3, _W4, _W5 = (np.float32(weight) for weight in gaussian_window()[: RADIUS + 1])


def _weighted(taps: list[Lanes]) -> Lanes:
    """The window's sum of 11 neighbours."""
    total = taps[RADIUS] * float(_W5)
    for tap, weight in enumerate((_W0, _W1, _W2, _W3, _W4)):
        total = (taps[tap] + taps[2 * RADIUS - tap]).times_plus(float(weight), total)
    return total


def _neighbours(row: Plane, window: list[Lanes]) -> list[Lanes]:
    """The 11 in the window along a row, of 16 floats REACH after it; `window` holds 48 floats from there on.

    Where shifting two registers is one instruction, each float is read once instead of eleven times, of which
    most would be across a cache line's end.
    """
    if not has_wide_tables():
        return [row.at(3 * tap).load() for tap in range(2 * RADIUS + 1)]
    taps = []
    for shift in range(0, 6 * RADIUS + 1, 3):
        pair, by = window[shift // LANES :], shift % LANES
        taps.append(shuffled(pair[0], pair[1], list(range(by, by + LANES))) if by else pair[0])
    return taps


@intrinsic
def _blur_along(typingctx: Any, row: Any, out: Any, width: Any) -> Any:
    """`blur_row` of 16 floats and more."""

    def codegen(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        source = Plane.of(context, builder, signature.args[0], args[0])
        target, width = Plane.of(context, builder, signature.args[1], args[1]), args[2]
        lanes = width.type(LANES)
        window = Registers(builder)
        for part in range(2):
            window[part] = source.at(LANES * part).load()
        with cgutils.for_range(builder, builder.udiv(width, lanes)) as loop:
            place = builder.mul(loop.index, lanes)
            row = source.at(place)
            held = [window[0], window[1], row.at(2 * LANES).load()]
            target.at(place).store(_weighted(_neighbours(row, held)))
            window[0], window[1] = held[1], held[2]
        last = builder.sub(width, lanes)  # repeats some of those before
        row = source.at(last)
        held = [row.at(LANES * part).load() for part in range(3)]
        target.at(last).store(_weighted(_neighbours(row, held)))
        return context.get_dummy_value()

    return types.void(row, out, types.int64), codegen


@njit(**OPTIONS)
def blur_row(row, out):
    """Blur along a row that has REACH floats of padding on each side, and SPARE after it; `out` has none."""
    width = out.shape[0]
    if width >= LANES:
        _blur_along(row, out, width)
        return
    for i in range(width):
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
    """16 columns of `blur_columns`, from `column` on."""

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
            target.at(builder.mul(loop.index, width)).store(_weighted(taps))
            for tap in range(2 * RADIUS):
                window[tap] = taps[tap + 1]
        return context.get_dummy_value()

    whole = types.int64
    return types.void(plane, whole, whole, whole, whole, out), codegen


@njit(**OPTIONS)
def blur_columns(plane, first, rows, out):
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
