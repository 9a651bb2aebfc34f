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
from gaussians.raster.cpu.lanes import INT64, LANES, Builder, Lanes, has_wide_tables, shuffled
from gaussians.raster.cpu.planes import Plane
from gaussians.raster.cpu.registers import Registers

RADIUS = 5
SIGMA = 1.5
REACH = 3 * RADIUS  # floats of the window on each side in an interleaved row
STRIP = 16  # rows that are blurred across rows at a time
SPARE = LANES  # more after a padded row, which are read and have no effect

# The NumPy error model: Python's would test each divisor for zero, and the loop could not be vectorised.
OPTIONS = {"fastmath": FASTMATH, "error_model": "numpy", "nogil": True, "cache": True}


def gaussian_window() -> np.ndarray:
    """[11] float64, sums to 1: the 1-D window of SSIM, σ = 1.5 pixels."""
    window = np.exp(-(np.arange(-RADIUS, RADIUS + 1) ** 2) / (2 * SIGMA**2))
    return window / window.sum()


_W0, _W1, _W2, _W3, _W4, _W5 = (np.float32(weight) for weight in gaussian_window()[: RADIUS + 1])


def _weighted(taps: list[Lanes]) -> Lanes:
    """The window's sum of the first 11 neighbours."""
    total = taps[RADIUS] * float(_W5)
    for tap, weight in enumerate((_W0, _W1, _W2, _W3, _W4)):
        total = (taps[tap] + taps[2 * RADIUS - tap]).times_plus(float(weight), total)
    return total


def _neighbours(row: Plane, window: list[Lanes]) -> list[Lanes]:
    """The 11 in the window along a row, of 16 floats REACH after it; `window` holds 48 floats from there on.

    Most loads are across a cache line's end and count twice. Where shifting two registers is one instruction
    every other neighbour is had by that, so that neither way is the only one that is busy.
    """
    taps = []
    for shift in range(0, 6 * RADIUS + 1, 3):
        pair, by = window[shift // LANES :], shift % LANES
        if by == 0:
            taps.append(pair[0])
        elif has_wide_tables() and shift % 2 == 0:
            taps.append(shuffled(pair[0], pair[1], list(range(by, by + LANES))))
        else:
            taps.append(row.at(shift).load())
    return taps


@intrinsic
def _blur_along(typingctx: Any, row: Any, out: Any, width: Any) -> Any:
    """`blur_row` of `width` floats."""

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
    """Blur along a row of at least 16 floats that has REACH more on each side, and SPARE after it."""
    _blur_along(row, out, out.shape[0])


@intrinsic(prefer_literal=True)
def blur_across(
    typingctx: Any, count: Any, rings: Any, at: Any, plane: Any, rows: Any, out: Any, out_at: Any
) -> Any:
    """Blur STRIP rows of 16 columns across rows, in each of some planes.

    Args:
        count: a constant: planes. rings, at, plane: the first one's columns are at `at`, the others' each
            `plane` floats after.
        rows: int64, STRIP + 10 of them: where in a plane the rows are.
        out [planes, STRIP, 16], out_at: written, the first plane from `out_at` on.
    """

    def codegen(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        source, places, target = (Plane.of(context, builder, signature.args[i], args[i]) for i in (1, 4, 5))
        source, target = source.at(args[2]), target.at(args[6])
        for number in range(count.literal_value):
            columns = source.at(builder.mul(args[3], INT64(number)))
            # All written out, so that no register has to be moved as the window moves on.
            taps = [columns.at(places.scalar(tap)).load() for tap in range(2 * RADIUS)]
            for row in range(STRIP):
                taps.append(columns.at(places.scalar(row + 2 * RADIUS)).load())
                target.at((number * STRIP + row) * LANES).store(_weighted(taps[row:]))
        return context.get_dummy_value()

    whole = types.int64
    return types.void(count, rings, whole, whole, rows, out, whole), codegen
