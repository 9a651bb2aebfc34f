"""One Gaussian over the rows of one tile, in whole vectors: the inner loops of blending.

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
EXPONENT_MIN, EXPONENT_MAX = math.log2(ALPHA_MIN), math.log2(ALPHA_MAX)

# Columns of a packed Gaussian; colours follow.
X, Y, A, B, C, LOG_OPACITY, EXTENT_Y, COLOR = 0, 1, 2, 3, 4, 5, 6, 8
PACKED = 12

# Planes of 256 floats that a tile keeps while it is blended.
TRANSMITTANCE, LAST, SUFFIX, RGB = 0, 1, 2, 3

# Columns of the moments of v, the gradient with respect to the Gaussian's natural exponent: Σ v, Σ v dx,
# Σ v dy, Σ v dx², Σ v dx dy, Σ v dy²; then two that depend on the kernel, and the colours' gradient.
S0, SX, SY, SXX, SXY, SYY, EXTRA_X, EXTRA_Y, V_COLOR = 0, 1, 2, 3, 4, 5, 6, 7, 8
MOMENTS = LANES  # a single store, and a cache line


class _Tile:
    """What both passes share: the Gaussian's numbers in all lanes, and alpha row by row."""

    def __init__(self, builder: Builder, gaussian: Plane, left: ir.Value, top: ir.Value) -> None:
        self.builder, self.gaussian = builder, gaussian
        self.top = builder.sitofp(top, FLOAT)
        columns = constant(builder, [i + 0.5 for i in range(LANES)]) + splat(
            builder, builder.sitofp(left, FLOAT)
        )
        self.dx = columns - self.of(X)
        self.a, self.b, self.c = self.of(A), self.of(B), self.of(C)
        self.log_opacity = self.of(LOG_OPACITY)

    def of(self, column: int) -> Lanes:
        """A packed column, in all lanes."""
        return splat(self.builder, self.gaussian.scalar(column))

    def row(self, j: ir.Value) -> tuple[Lanes, Lanes, Lanes]:
        """dy, b dy and the base-2 exponent in row j."""
        builder = self.builder
        centre = builder.fadd(builder.fadd(self.top, builder.sitofp(j, FLOAT)), ir.Constant(FLOAT, 0.5))
        dy = splat(builder, builder.fsub(centre, self.gaussian.scalar(Y)))
        linear = self.b * dy
        power = self.a.times_plus(self.dx, linear).times_plus(
            self.dx, (self.c * dy).times_plus(dy, self.log_opacity)
        )
        return dy, linear, power


def _planes(builder: Builder, state: Plane, j: ir.Value, channels: int) -> list[Plane]:
    """Row j of each plane of the state."""
    offset = builder.mul(j, INT64(LANES))
    return [state.at(builder.add(offset, INT64(plane * PIXELS))) for plane in range(RGB + channels)]


@intrinsic(prefer_literal=True)
def forward_rows(
    typingctx: Any, channels: Any, packed: Any, rank: Any, state: Any, left: Any, top: Any, first: Any,
    end: Any, place: Any,
) -> Any:  # fmt: skip
    """Blend a Gaussian into rows [first, end) of a tile's state; `channels` is a constant."""
    count = channels.literal_value

    def codegen(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        gaussians = Plane.of(context, builder, signature.args[1], args[1])
        tile_state = Plane.of(context, builder, signature.args[3], args[3])
        gaussian = gaussians.at(builder.mul(args[2], INT64(PACKED)))
        tile = _Tile(builder, gaussian, args[4], args[5])
        colors = [tile.of(COLOR + channel) for channel in range(count)]
        place_number = splat(builder, builder.sitofp(args[8], FLOAT))
        with cgutils.for_range_slice(builder, args[6], args[7], INT64(1), INT64) as (j, _):
            _, _, power = tile.row(j)
            planes = _planes(builder, tile_state, j, count)
            alpha = (power >= EXPONENT_MIN).where(power.exp2().at_most(ALPHA_MAX), 0.0)
            t = planes[TRANSMITTANCE].load()
            weight = alpha * t
            after = t - weight
            live = after > TRANSMITTANCE_MIN
            weight = live.where(weight, 0.0)
            planes[TRANSMITTANCE].store(live.where(after, -abs(t)))
            planes[LAST].store((weight > 0.0).where(place_number, planes[LAST].load()))
            for plane, color in zip(planes[RGB:], colors, strict=True):
                plane.store(weight.times_plus(color, plane.load()))
        return context.get_dummy_value()

    whole = types.int64
    return types.void(channels, packed, whole, state, whole, whole, whole, whole, whole), codegen


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
    first: Any, end: Any, place: Any, moments: Any, slot: Any,
) -> Any:  # fmt: skip
    """The moments of a Gaussian's gradient over rows [first, end) of a tile's state.

    `channels` and `extra` are constants. `extra` fills EXTRA_X and EXTRA_Y: "absgrad" with Σ |2-D gradient| /
    log2 e, "count" with the number of pixels drawn and 0, "" with zeros.
    """
    count, kind = channels.literal_value, extra.literal_value

    def codegen(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        gaussians = Plane.of(context, builder, signature.args[2], args[2])
        tile_state = Plane.of(context, builder, signature.args[4], args[4])
        target = Plane.of(context, builder, signature.args[10], args[10])
        tile = _Tile(builder, gaussians.at(builder.mul(args[3], INT64(PACKED))), args[5], args[6])
        colors = [tile.of(COLOR + channel) for channel in range(count)]
        place_number = splat(builder, builder.sitofp(args[9], FLOAT))
        # Per column: Σ v, Σ v dy, Σ v dy², the extras, the colours. dx enters after the loop.
        sums = Sums(builder, 5 + count)
        with cgutils.for_range_slice(builder, args[7], args[8], INT64(1), INT64) as (j, _):
            dy, linear, power = tile.row(j)
            planes = _planes(builder, tile_state, j, count)
            drawn = (power >= EXPONENT_MIN) & (planes[LAST].load() >= place_number)
            alpha = drawn.where(power.exp2().at_most(ALPHA_MAX), 0.0)
            remains = (1.0 - alpha).reciprocal()
            t = planes[TRANSMITTANCE].load() * remains
            weight = alpha * t
            toward = constant(builder, 0.0)
            for channel, color in enumerate(colors):
                v = planes[RGB + channel].load()
                toward = v.times_plus(color, toward)
                sums.add_product(5 + channel, weight, v)
            suffix = planes[SUFFIX].load()
            # At the clamp alpha no longer depends on the exponent.
            slope = (power <= EXPONENT_MAX).where(alpha, 0.0)
            v_power = slope * (toward * t - suffix * remains)
            planes[TRANSMITTANCE].store(t)
            planes[SUFFIX].store(weight.times_plus(toward, suffix))
            v_dy = v_power * dy
            sums.add(0, v_power)
            sums.add(1, v_dy)
            sums.add_product(2, v_dy, dy)
            if kind == "absgrad":
                b_dx = tile.b * tile.dx
                sums.add(3, abs(v_power * (tile.a * 2.0).times_plus(tile.dx, linear)))
                sums.add(4, abs(v_power * (tile.c * 2.0).times_plus(dy, b_dx)))
            elif kind == "count":
                sums.add(3, (alpha > 0.0).where(constant(builder, 1.0), 0.0))
        v_dx = sums[0] * tile.dx
        columns = {
            S0: sums[0],
            SX: v_dx,
            SY: sums[1],
            SXX: v_dx * tile.dx,
            SXY: sums[1] * tile.dx,
            SYY: sums[2],
            EXTRA_X: sums[3],
            EXTRA_Y: sums[4],
            **{V_COLOR + channel: sums[5 + channel] for channel in range(count)},
        }
        row = target.at(builder.mul(args[11], INT64(MOMENTS)))
        row.store(totals([columns[column] for column in range(len(columns))]))
        return context.get_dummy_value()

    whole = types.int64
    return types.void(
        channels, extra, packed, whole, state, whole, whole, whole, whole, whole, moments, whole
    ), codegen
