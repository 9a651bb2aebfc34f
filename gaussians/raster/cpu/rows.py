"""One Gaussian over the rows of one tile, in whole vectors: the inner loops of blending.

A vector is two rows of eight pixels: a Gaussian that reaches only one half of the tile, as small ones do,
costs half of what whole rows would. The tile's planes hold its pixels in this order: by pair of rows, then
by half.

The pixel's centre is (left + 0.5 + i, top + 0.5 + j), d = pixel - mean, and the packed Gaussian holds the
exponent in base 2, so alpha = 2^(a dx² + b dx dy + c dy² + log2 opacity): one exp2. A finished pixel
(transmittance would fall to 1e-4) keeps its transmittance with a negative sign, which makes every later
Gaussian fail the same test: no separate flag, no branch.
"""

# pyright: reportIndexIssue=false, reportCallIssue=false
# (Numba types are called to build signatures; its stubs don't say so.)

import functools
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from gaussians.raster.constants import ALPHA_MAX, ALPHA_MIN, TRANSMITTANCE_MIN
from gaussians.raster.cpu.lanes import (
    FLOAT,
    INT64,
    LANES,
    Builder,
    Lanes,
    Plane,
    Sums,
    constant,
    splat,
    totals,
)

PIXELS = LANES * LANES
SPAN = LANES // 2  # columns of a vector
LEFT, RIGHT, BOTH = 1, 2, 3  # halves of a tile
EXPONENT_MIN, EXPONENT_MAX = math.log2(ALPHA_MIN), math.log2(ALPHA_MAX)

# Columns of a packed Gaussian; colours follow.
X, Y, A, B, C, LOG_OPACITY, EXTENT_X, EXTENT_Y, COLOR = 0, 1, 2, 3, 4, 5, 6, 7, 8
PACKED = LANES  # a cache line

# Planes of 256 floats that a tile keeps while it is blended.
TRANSMITTANCE, LAST, SUFFIX, RGB = 0, 1, 2, 3

# Columns of the moments of v, the gradient with respect to the Gaussian's natural exponent: Σ v, Σ v dx,
# Σ v dy, Σ v dx², Σ v dx dy, Σ v dy²; then two that depend on the kernel, and the colours' gradient.
S0, SX, SY, SXX, SXY, SYY, EXTRA_X, EXTRA_Y, V_COLOR = 0, 1, 2, 3, 4, 5, 6, 7, 8
MOMENTS = LANES  # a single store, and a cache line


class _Splat:
    """What both passes share: the Gaussian's numbers in all lanes, and alpha vector by vector."""

    def __init__(self, builder: Builder, gaussian: Plane, left: ir.Value, top: ir.Value) -> None:
        self.builder, self.gaussian = builder, gaussian
        self.left = builder.sitofp(left, FLOAT)
        first_pair = [0.5 + (lane >= SPAN) for lane in range(LANES)]
        self.centres = constant(builder, first_pair) + splat(builder, builder.sitofp(top, FLOAT))
        self.y, self.b, self.c = self.of(Y), self.of(B), self.of(C)

    def of(self, column: int) -> Lanes:
        """A packed column, in all lanes."""
        return splat(self.builder, self.gaussian.scalar(column))

    def dy(self, pair: ir.Value) -> Lanes:
        """Of the rows of a pair."""
        rows = self.builder.sitofp(self.builder.shl(pair, INT64(1)), FLOAT)
        return self.centres + splat(self.builder, rows) - self.y


class _Half:
    """The columns of one half of the tile, 0 or 1: all of the exponent that does not change by row."""

    def __init__(self, splatted: _Splat, half: ir.Value) -> None:
        builder = splatted.builder
        self.offset = builder.mul(half, INT64(LANES))
        shift = builder.fadd(splatted.left, builder.sitofp(builder.mul(half, INT64(SPAN)), FLOAT))
        columns = constant(builder, [0.5 + lane % SPAN for lane in range(LANES)]) + splat(builder, shift)
        self.splat = splatted
        self.dx = columns - splatted.of(X)
        self.a_dx, self.b_dx = splatted.of(A) * self.dx, splatted.b * self.dx
        self.across = self.a_dx.times_plus(self.dx, splatted.of(LOG_OPACITY))

    def power(self, dy: Lanes) -> Lanes:
        """The base-2 exponent."""
        return self.splat.c.times_plus(dy, self.b_dx).times_plus(dy, self.across)

    def planes(self, state: Plane, pair: ir.Value, channels: int) -> list[Plane]:
        """A pair's vector of each plane of the state."""
        builder = self.splat.builder
        place = builder.add(builder.mul(pair, INT64(2 * LANES)), self.offset)
        return [state.at(builder.add(place, INT64(plane * PIXELS))) for plane in range(RGB + channels)]


def _over_halves(splatted: _Splat, halves: ir.Value, emit: Callable[[list[_Half]], None]) -> None:
    """Emit code for both halves side by side, and for one alone, and choose when it runs."""
    builder = splatted.builder
    both = builder.icmp_signed("==", halves, INT64(BOTH))
    with builder.if_else(both) as (two, one):
        with two:
            emit([_Half(splatted, INT64(0)), _Half(splatted, INT64(1))])
        with one:
            emit([_Half(splatted, builder.ashr(halves, INT64(1)))])


@intrinsic(prefer_literal=True)
def forward_rows(
    typingctx: Any, channels: Any, packed: Any, rank: Any, state: Any, left: Any, top: Any, first: Any,
    end: Any, halves: Any, place: Any,
) -> Any:  # fmt: skip
    """Blend a Gaussian into the pairs [first, end) of rows of a tile's state; `channels` is a constant.

    `halves` says which columns: LEFT, RIGHT or BOTH.
    """
    count = channels.literal_value

    def codegen(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        gaussians = Plane.of(context, builder, signature.args[1], args[1])
        tile_state = Plane.of(context, builder, signature.args[3], args[3])
        tile = _Splat(builder, gaussians.at(builder.mul(args[2], INT64(PACKED))), args[4], args[5])
        colors = [tile.of(COLOR + channel) for channel in range(count)]
        place_number = splat(builder, builder.sitofp(args[9], FLOAT))

        def blend(half: _Half, pair: ir.Value, dy: Lanes) -> None:
            planes = half.planes(tile_state, pair, count)
            power = half.power(dy)
            reached = power >= EXPONENT_MIN
            t = planes[TRANSMITTANCE].load()
            weight = power.exp2().at_most(ALPHA_MAX) * t
            after = t - weight
            drawn = reached & (after > TRANSMITTANCE_MIN)
            weight = drawn.where(weight, 0.0)
            planes[TRANSMITTANCE].store(drawn.where(after, reached.where(-abs(t), t)))
            planes[LAST].store(drawn.where(place_number, planes[LAST].load()))
            for plane, color in zip(planes[RGB:], colors, strict=True):
                plane.store(weight.times_plus(color, plane.load()))

        def emit(parts: list[_Half]) -> None:
            with cgutils.for_range_slice(builder, args[6], args[7], INT64(1), INT64) as (pair, _):
                dy = tile.dy(pair)
                for half in parts:
                    blend(half, pair, dy)

        _over_halves(tile, args[8], emit)
        return context.get_dummy_value()

    whole = types.int64
    return types.void(channels, packed, whole, state, *[whole] * 6), codegen


@intrinsic
def prefetch(typingctx: Any, packed: Any, rank: Any) -> Any:
    """Ask for a packed Gaussian's cache line before it is needed."""

    def codegen(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        row = Plane.of(context, builder, signature.args[0], args[0]).at(builder.mul(args[1], INT64(PACKED)))
        pointer = builder.bitcast(row.pointer, ir.IntType(8).as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [pointer.type, *[ir.IntType(32)] * 3])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(function, [pointer, *(ir.Constant(ir.IntType(32), value) for value in (0, 3, 1))])
        return context.get_dummy_value()

    return types.void(packed, types.int64), codegen


@intrinsic
def lets_through(typingctx: Any, state: Any) -> Any:
    """Whether any pixel of a tile's state is unfinished."""

    def codegen(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        plane = Plane.of(context, builder, signature.args[0], args[0]).at(TRANSMITTANCE * PIXELS)
        rows = [plane.at(j * LANES).load() >= 0.0 for j in range(LANES)]
        return functools.reduce(operator.or_, rows).any()

    return types.boolean(state), codegen


@intrinsic(prefer_literal=True)
def backward_rows(
    typingctx: Any, channels: Any, extra: Any, packed: Any, rank: Any, state: Any, left: Any, top: Any,
    first: Any, end: Any, halves: Any, place: Any, moments: Any, slot: Any,
) -> Any:  # fmt: skip
    """The moments of a Gaussian's gradient over the pairs [first, end) of rows of a tile's state.

    `channels` and `extra` are constants. `extra` fills EXTRA_X and EXTRA_Y: "absgrad" with Σ |2-D gradient| /
    log2 e, "count" with the number of pixels drawn and 0, "" with zeros. `halves` as in `forward_rows`.
    """
    count, kind = channels.literal_value, extra.literal_value

    def codegen(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        gaussians = Plane.of(context, builder, signature.args[2], args[2])
        tile_state = Plane.of(context, builder, signature.args[4], args[4])
        target = Plane.of(context, builder, signature.args[11], args[11])
        tile = _Splat(builder, gaussians.at(builder.mul(args[3], INT64(PACKED))), args[5], args[6])
        colors = [tile.of(COLOR + channel) for channel in range(count)]
        place_number = splat(builder, builder.sitofp(args[10], FLOAT))

        def emit(parts: list[_Half]) -> None:
            sums = _Gradient(builder, count, kind, len(parts))
            with cgutils.for_range_slice(builder, args[7], args[8], INT64(1), INT64) as (pair, _):
                dy = tile.dy(pair)
                for index, half in enumerate(parts):
                    planes = half.planes(tile_state, pair, count)
                    _backward(half, dy, planes, colors, place_number, sums, index)
            row = target.at(builder.mul(args[12], INT64(MOMENTS)))
            row.store(sums.moments([half.dx for half in parts]))

        _over_halves(tile, args[9], emit)
        return context.get_dummy_value()

    whole = types.int64
    return types.void(channels, extra, packed, whole, state, *[whole] * 6, moments, whole), codegen


class _Gradient:
    """What the backward pass adds up by lane: over both halves, but where dx enters after the loop."""

    def __init__(self, builder: Builder, channels: int, kind: str, halves: int) -> None:
        self.builder, self.channels, self.kind, self.halves = builder, channels, kind, halves
        self.colors = 3 + 2 * halves  # Σ v dy² and the extras, then Σ v and Σ v dy of each half, then colours
        self.sums = Sums(builder, self.colors + channels)

    def moments(self, dx: Sequence[Lanes]) -> Lanes:
        """A row of the moments, given the dx of each half."""
        zero = constant(self.builder, 0.0)
        v = [self.sums[3 + 2 * half] for half in range(self.halves)]
        v_dy = [self.sums[4 + 2 * half] for half in range(self.halves)]
        v_dx = [a * b for a, b in zip(v, dx, strict=True)]

        def dot(terms: Sequence[Lanes], factors: Sequence[Lanes]) -> Lanes:
            pairs = zip(terms, factors, strict=True)
            return functools.reduce(lambda total, pair: pair[0].times_plus(pair[1], total), pairs, zero)

        columns = {
            S0: functools.reduce(operator.add, v),
            SX: functools.reduce(operator.add, v_dx),
            SY: functools.reduce(operator.add, v_dy),
            SXX: dot(v_dx, dx),
            SXY: dot(v_dy, dx),
            SYY: self.sums[0],
            EXTRA_X: self.sums[1],
            EXTRA_Y: self.sums[2],
            **{V_COLOR + channel: self.sums[self.colors + channel] for channel in range(self.channels)},
        }
        return totals([columns[column] for column in range(len(columns))])


def _backward(
    half: _Half, dy: Lanes, planes: list[Plane], colors: list[Lanes], place: Lanes, gradient: _Gradient,
    index: int,
) -> None:  # fmt: skip
    """One vector of the backward pass: `index` is that of the half among those that are summed."""
    builder, sums = half.splat.builder, gradient.sums
    power = half.power(dy)
    drawn = (power >= EXPONENT_MIN) & (planes[LAST].load() >= place)
    # Nothing is drawn in corners of the box and behind finished pixels. Forward, where a vector costs less,
    # to skip such ones gained nothing.
    with builder.if_then(drawn.any()):
        alpha = drawn.where(power.exp2().at_most(ALPHA_MAX), 0.0)
        remains = (1.0 - alpha).reciprocal()
        t = planes[TRANSMITTANCE].load() * remains
        weight = alpha * t
        toward = constant(builder, 0.0)
        for channel, color in enumerate(colors):
            v = planes[RGB + channel].load()
            toward = v.times_plus(color, toward)
            sums.add_product(gradient.colors + channel, weight, v)
        suffix = planes[SUFFIX].load()
        # At the clamp alpha no longer depends on the exponent.
        slope = (power <= EXPONENT_MAX).where(alpha, 0.0)
        v_power = slope * (toward * t - suffix * remains)
        planes[TRANSMITTANCE].store(t)
        planes[SUFFIX].store(weight.times_plus(toward, suffix))
        v_dy = v_power * dy
        sums.add_product(0, v_dy, dy)
        sums.add(3 + 2 * index, v_power)
        sums.add(4 + 2 * index, v_dy)
        if gradient.kind == "absgrad":
            sums.add(1, abs(v_power * half.splat.b.times_plus(dy, half.a_dx * 2.0)))
            sums.add(2, abs(v_power * (half.splat.c * 2.0).times_plus(dy, half.b_dx)))
        elif gradient.kind == "count":
            sums.add(1, (alpha > 0.0).where(constant(builder, 1.0), 0.0))
