"""The gradient of one Gaussian over the blocks of a tile that it reaches, in whole vectors."""

# pyright: reportIndexIssue=false, reportCallIssue=false
# (Numba types are called to build signatures; its stubs don't say so.)

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from gaussians.raster.constants import ALPHA_MAX
from gaussians.raster.cpu.deal import CENTRE_X, CENTRE_Y, FIELD_COLOR, ROOM, SQUARES, TERMS
from gaussians.raster.cpu.lanes import INT, INT64, LANES, Builder, Lanes, constant, splat, totals
from gaussians.raster.cpu.layout import BEHIND, MOMENTS, PIXELS, RGB
from gaussians.raster.cpu.planes import Plane
from gaussians.raster.cpu.registers import Sums

_EXTRA, _COLORS = 1 + TERMS, 3 + TERMS  # places among the sums, after Σ v and Σ v times each shape


@intrinsic(prefer_literal=True)
def gradient_of(
    typingctx: Any, channels: Any, extra: Any, mask: Any, entry: Any, fields: Any, shapes: Any, weights: Any,
    left: Any, state: Any, moments: Any, slot: Any,
) -> Any:  # fmt: skip
    """Take a Gaussian's alphas and weights off the end of its blocks' lists, and sum up its moments.

    Args:
        channels: a constant. extra: a constant that says what EXTRA_X and EXTRA_Y are: "absgrad" for
            Σ |2-D gradient| / log2 e, "" for zeros; or "drawn", see below.
        mask: of blocks, not 0. entry: the Gaussian's number in the fields.
        fields, shapes, weights: as from `deal`, `fill_tile_shapes` and `weigh_block`.
        left [BLOCKS] int64: how many entries of each block are left, changed.
        state [RGB + channels, PIXELS]: BEHIND, changed, and the gradient of colours.
        moments [slots, 16], slot: the row that is written.

    With "drawn" there are no gradients. BEHIND holds what a pixel counts, in place of the colours' gradient
    is what shines through to it, changed; EXTRA_X is the number of pixels drawn, EXTRA_Y the squared change
    of their colours without the Gaussian, and V_COLOR the sum of its weights, the latter two as pixels count.
    """
    count, kind = channels.literal_value, extra.literal_value

    def codegen(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        planes = [Plane.of(context, builder, signature.args[i], args[i]) for i in range(4, 10)]
        fields, shapes, weights, left, state, target = planes
        entry = fields.at(args[3])

        def of(field: int) -> Lanes:
            return splat(builder, entry.scalar(field * ROOM))

        colors = [of(FIELD_COLOR + channel) for channel in range(count)]
        sums = Sums(builder, _COLORS + count)
        rest = cgutils.alloca_once(builder, INT)
        builder.store(builder.trunc(args[2], INT), rest)
        loop, after = builder.append_basic_block("blocks"), builder.append_basic_block("summed")
        builder.branch(loop)
        builder.position_at_end(loop)
        block = _taken_off(builder, rest)
        remaining = left.at(block)
        place = builder.sub(remaining.scalar(), INT64(1))
        builder.store(place, remaining.pointer)
        row = weights.at(builder.mul(builder.add(builder.mul(block, INT64(ROOM)), place), INT64(2 * LANES)))
        own = [shapes.at(builder.mul(block, INT64(TERMS * LANES))).at(t * LANES).load() for t in range(TERMS)]
        pixels = state.at(builder.mul(block, INT64(LANES)))
        alpha, weight = row.load(), row.at(LANES).load()
        if kind == "drawn":
            _add_drawn(builder, sums, pixels, alpha, weight, colors)
        else:
            v_power = _add_gradient(builder, sums, pixels, alpha, weight, colors)
            for term, shape in enumerate(own):
                sums.add_product(1 + term, v_power, shape)
            if kind == "absgrad":
                dx, dy = own[0] - of(CENTRE_X), own[1] - of(CENTRE_Y)
                a, b, c = (of(SQUARES + term) for term in range(3))
                sums.add(_EXTRA, abs(v_power * b.times_plus(dy, (a * 2.0) * dx)))
                sums.add(_EXTRA + 1, abs(v_power * b.times_plus(dx, (c * 2.0) * dy)))
        builder.cbranch(builder.icmp_unsigned("!=", builder.load(rest), INT(0)), loop, after)
        builder.position_at_end(after)
        target.at(builder.mul(args[10], INT64(MOMENTS))).store(
            totals(_about_centre(sums, of(CENTRE_X), of(CENTRE_Y), _COLORS + count))
        )
        return context.get_dummy_value()

    whole = types.int64
    return types.void(
        channels, extra, whole, whole, fields, shapes, weights, left, state, moments, whole
    ), codegen


def _add_gradient(
    builder: Builder, sums: Sums, pixels: Plane, alpha: Lanes, weight: Lanes, colors: list[Lanes]
) -> Lanes:
    """Of a block: adds to the colours' gradient and Σ v, moves BEHIND, and returns v, of the exponent."""
    toward = constant(builder, 0.0)
    for channel, color in enumerate(colors):
        v = pixels.at((RGB + channel) * PIXELS).load()
        toward = v.times_plus(color, toward)
        sums.add_product(_COLORS + channel, weight, v)
    behind = pixels.at(BEHIND * PIXELS).load()
    nearer = toward - behind
    pixels.at(BEHIND * PIXELS).store(alpha.times_plus(nearer, behind))
    # At the clamp alpha no longer depends on the exponent.
    v_power = (alpha < ALPHA_MAX).where(weight * nearer, 0.0)
    sums.add(0, v_power)
    return v_power


def _add_drawn(
    builder: Builder, sums: Sums, pixels: Plane, alpha: Lanes, weight: Lanes, colors: list[Lanes]
) -> None:
    """Of a block: what "drawn" adds up, see `gradient_of`."""
    squared = constant(builder, 0.0)
    for channel, color in enumerate(colors):
        place = pixels.at((RGB + channel) * PIXELS)
        behind = place.load()
        nearer = color - behind
        place.store(alpha.times_plus(nearer, behind))
        change = weight * nearer
        squared = change.times_plus(change, squared)
    counted = pixels.at(BEHIND * PIXELS).load()
    sums.add(_EXTRA, (alpha > 0.0).where(constant(builder, 1.0), 0.0))
    sums.add_product(_EXTRA + 1, squared, counted)
    sums.add_product(_COLORS, weight, counted)


def _taken_off(builder: Builder, mask: ir.Value) -> ir.Value:
    """The lowest bit that is set in the mask at that address, which is cleared there."""
    bits = builder.load(mask)
    kind = ir.FunctionType(INT, [INT, ir.IntType(1)])
    zeros = cgutils.get_or_insert_function(builder.module, kind, "llvm.cttz.i32")
    builder.store(builder.and_(bits, builder.sub(bits, INT(1))), mask)
    return builder.zext(builder.call(zeros, [bits, ir.IntType(1)(1)]), INT64)


def _about_centre(sums: Sums, u: Lanes, v: Lanes, count: int) -> list[Lanes]:
    """The sums as moments about the Gaussian's centre instead of the tile's, column by column."""
    s0, sx, sy, sxx, sxy, syy = (sums[i] for i in range(1 + TERMS))
    dx, dy = sx - u * s0, sy - v * s0
    moved = [s0, dx, dy, sxx - u * (sx + dx), sxy - u * sy - v * dx, syy - v * (sy + dy)]
    return [*moved, *(sums[i] for i in range(_EXTRA, count))]


@intrinsic
def sum_rows(typingctx: Any, moments: Any, first: Any, end: Any, total: Any) -> Any:
    """Add up the rows [first, end) of moments [slots, 16] into total [16]."""

    def codegen(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        moments, total = (Plane.of(context, builder, signature.args[i], args[i]) for i in (0, 3))
        sums = Sums(builder, 1)
        with cgutils.for_range_slice(builder, args[1], args[2], INT64(1), INT64) as (row, _):
            sums.add(0, moments.at(builder.mul(row, INT64(MOMENTS))).load())
        total.store(sums[0])
        return context.get_dummy_value()

    return types.void(moments, types.int64, types.int64, total), codegen
