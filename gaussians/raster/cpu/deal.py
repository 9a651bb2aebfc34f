"""Gaussians of a tile's list, sixteen at a time, taken apart and dealt to the blocks that they reach.

The exponent of alpha is a polynomial of x, y, x², xy and y², and from a fixed origin these are the same for a
block in every tile. So what blending needs of a Gaussian are six coefficients; all other arithmetic is done
here, once for a tile, with a Gaussian in each lane. The origin is the centre of a quarter of the tile: from
farther away, the terms of a small Gaussian's exponent are larger, and rounding tells. Then the constant and
the coefficients of x and y are a quarter's own. A block's list holds only those that reach alpha 1/255
somewhere in it.
"""

# pyright: reportIndexIssue=false, reportCallIssue=false
# (Numba types are called to build signatures; its stubs don't say so.)

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from gaussians.raster.cpu.lanes import (
    FLOAT,
    INT,
    INT64,
    INTS,
    LANES,
    Builder,
    Lanes,
    chosen,
    constant,
    splat,
    transposed,
)
from gaussians.raster.cpu.layout import (
    BLOCKS,
    CENTRE,
    COLOR,
    EXPONENT_MIN,
    LOG_OPACITY,
    MEMBER,
    PACKED,
    QUARTERS,
    SPAN,
    STRIPS,
    WHO,
    A,
    B,
    C,
    X,
    Y,
    block_at,
    block_pixels,
    quarter_centre,
)
from gaussians.raster.cpu.planes import Plane

CHUNK = 128  # places of a tile's list that are dealt before they are blended
ROOM = CHUNK + LANES  # of a field, and of a block's list: sixteen are written at once

# Fields of a chunk's Gaussians, ROOM floats each: the polynomial's coefficients, those of 1, x and y for each
# quarter, and those of x², xy and y²; the place in the tile's list; the centre; colours.
NEAR = 3  # of a quarter
SQUARES = QUARTERS * NEAR
PLACE, CENTRE_X, CENTRE_Y, FIELD_COLOR = SQUARES + 3, SQUARES + 4, SQUARES + 5, SQUARES + 6
TERMS = 5  # x, y, x², xy and y²
NOBODY = CHUNK  # an entry that is never drawn, to end lists with
_NEVER = -1000.0  # its exponent
_SLACK = 0.01  # of the exponent, so that rounding keeps no block from a Gaussian that is drawn in it


@intrinsic(prefer_literal=True)
def clear_fields(typingctx: Any, channels: Any, fields: Any) -> Any:
    """Make NOBODY."""
    count = FIELD_COLOR + channels.literal_value

    def codegen(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        plane = Plane.of(context, builder, signature.args[1], args[1])
        for field in range(count):
            is_constant = field < SQUARES and field % NEAR == 0
            plane.at(field * ROOM + NOBODY).store(constant(builder, _NEVER if is_constant else 0.0))
        return context.get_dummy_value()

    return types.void(channels, fields), codegen


@intrinsic(prefer_literal=True)
def deal(
    typingctx: Any, channels: Any, packed: Any, members: Any, places: Any, entry: Any, corner: Any,
    fields: Any, lists: Any, counts: Any, masks: Any, ends: Any,
) -> Any:  # fmt: skip
    """Take apart up to sixteen Gaussians and append their entries to the lists of the blocks that they reach.

    Args:
        channels: a constant. packed [V, 16], members [M, 2]: as blending has them.
        places: begin, first and end: where in `members` the tile's list begins, where the Gaussians do, and
            where they end at the latest.
        entry: where in the fields the first goes.
        corner: left and top of the tile, pixels.
        fields [FIELD_COLOR + channels, ROOM] float32: written at [entry, entry + 16).
        lists [BLOCKS, ROOM] int32, counts [BLOCKS] int64: entries by block, and how many they are: added to.
        masks [ROOM] int32: written at [entry, entry + 16): bit b of one's is set where block b gets it.
        ends [BLOCKS] float32: place in the tile's list from which on a block gets none; its end, at most.
    """
    count = channels.literal_value

    def codegen(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        planes = [Plane.of(context, builder, signature.args[i], args[i]) for i in (1, 2, 6, 7, 8, 9, 10)]
        gaussians, members, fields, lists, counts, masks, ends = planes
        begin, first, end = cgutils.unpack_tuple(builder, args[3], 3)
        entry, corner = args[4], cgutils.unpack_tuple(builder, args[5], 2)
        columns = _gathered(builder, gaussians, members, first, end)
        u, v = (
            columns[column] - splat(builder, builder.fadd(builder.sitofp(edge, FLOAT), FLOAT(CENTRE)))
            for column, edge in zip((X, Y), corner, strict=True)
        )
        a, b, c, level = columns[A], columns[B], columns[C], columns[LOG_OPACITY]
        place = splat(builder, builder.sitofp(builder.sub(first, begin), FLOAT))
        place = place + constant(builder, [float(lane) for lane in range(LANES)])
        values = [
            *(value for quarter in range(QUARTERS) for value in _near(u, v, a, b, c, level, quarter)),
            a,
            b,
            c,
            place,
            u,
            v,
            *columns[COLOR : COLOR + count],
        ]
        for field, lanes in enumerate(values):
            fields.at(entry).at(field * ROOM).store(lanes)
        numbers, bits = _counted_from(builder, entry), ir.Constant(INTS, [0] * LANES)
        for block, reached in enumerate(_reached(builder, u, v, a, b, c, level)):
            mask = (reached & (place < splat(builder, ends.scalar(block)))).value
            bits = builder.select(mask, builder.or_(bits, ir.Constant(INTS, [1 << block] * LANES)), bits)
            length = counts.at(block)
            so_far = length.scalar()
            own, more = chosen(builder, numbers, mask)
            lists.at(builder.add(so_far, INT64(block * ROOM))).store(own)
            builder.store(builder.add(so_far, more), length.pointer)
        masks.at(entry).store(Lanes.of_bits(builder, bits))
        return context.get_dummy_value()

    whole = types.int64
    pair, three = types.UniTuple(whole, 2), types.UniTuple(whole, 3)
    given = (channels, packed, members, three, whole, pair, fields, lists, counts, masks, ends)
    return types.void(*given), codegen


@intrinsic
def end_lists(typingctx: Any, lists: Any, counts: Any) -> Any:
    """Let sixteen times NOBODY follow each block's entries: blending looks ahead, and at two at a time."""

    def codegen(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        lists, counts = (Plane.of(context, builder, signature.args[i], args[i]) for i in range(2))
        nobody = Lanes.of_bits(builder, ir.Constant(INTS, [NOBODY] * LANES))
        for block in range(BLOCKS):
            lists.at(builder.add(counts.at(block).scalar(), INT64(block * ROOM))).store(nobody)
        return context.get_dummy_value()

    return types.void(lists, counts), codegen


def _gathered(
    builder: Builder, gaussians: Plane, members: Plane, first: ir.Value, end: ir.Value
) -> list[Lanes]:
    """Packed Gaussians by column; beyond the end the last one again. The next ones are fetched ahead."""
    last = builder.sub(end, INT64(1))

    def row(lane: int) -> Plane:
        place = builder.add(first, INT64(lane))
        place = builder.select(builder.icmp_signed("<", place, last), place, last)
        number = builder.sext(members.at(builder.mul(place, INT64(MEMBER))).scalar(WHO), INT64)
        return gaussians.at(builder.mul(number, INT64(PACKED)))

    rows = [row(lane).load() for lane in range(LANES)]
    for lane in range(LANES, 2 * LANES):
        row(lane).fetch()
    return transposed(rows)


def _near(u: Lanes, v: Lanes, a: Lanes, b: Lanes, c: Lanes, level: Lanes, quarter: int) -> list[Lanes]:
    """The exponent's coefficients of 1, x and y, from the centre of a quarter; u and v from the tile's."""
    x, y = quarter_centre(quarter)
    u, v = u - x, v - y
    au, cv = a * u, c * v
    return [level + u * (au + b * v) + cv * v, -(2.0 * au + b * v), -(2.0 * cv + b * u)]


def _reached(builder: Builder, u: Lanes, v: Lanes, a: Lanes, b: Lanes, c: Lanes, level: Lanes) -> list[Lanes]:
    """Of each block, which Gaussians reach alpha 1/255 somewhere in the rectangle of its pixels' centres.

    The point of a rectangle that is nearest in a Gaussian's metric lies on an edge that faces the Gaussian's
    centre: on the nearest column or the nearest row of the rectangle, at the minimum along it as far as the
    rectangle goes.
    """
    zero = constant(builder, 0.0)
    least = constant(builder, EXPONENT_MIN - _SLACK) - level
    # Along a column at dx the exponent is largest at dy = slope_y dx, along a row at dx = slope_x dy.
    slope_y, slope_x = b * (-0.5 * c.reciprocal()), b * (-0.5 * a.reciprocal())
    columns = []
    for column in range(STRIPS):
        left = block_pixels(block_at(0, column))[0][0] - u
        right = left + (SPAN - 1.0)
        dx = zero.at_least(left).at_most(right)
        columns.append((left, right, slope_y * dx, b * dx, a * dx * dx))
    masks = {}
    for row in range(STRIPS):
        above = block_pixels(block_at(row, 0))[1][0] - v
        below = above + (SPAN - 1.0)
        dy = zero.at_least(above).at_most(below)
        best_dx, b_dy, c_dy = slope_x * dy, b * dy, c * dy * dy
        for column, (left, right, best_dy, b_dx, a_dx) in enumerate(columns):
            along_column = best_dy.at_least(above).at_most(below)
            along_row = best_dx.at_least(left).at_most(right)
            on_column = c.times_plus(along_column, b_dx).times_plus(along_column, a_dx)
            on_row = a.times_plus(along_row, b_dy).times_plus(along_row, c_dy)
            masks[block_at(row, column)] = on_column.at_least(on_row) >= least
    return [masks[block] for block in range(BLOCKS)]


def _counted_from(builder: Builder, first: ir.Value) -> ir.Value:
    """first, first + 1, ... as 16 int32."""
    undefined = ir.Constant(INTS, ir.Undefined)
    one = builder.insert_element(undefined, builder.trunc(first, INT), INT(0))
    same = builder.shuffle_vector(one, undefined, ir.Constant(INTS, [0] * LANES))
    return builder.add(same, ir.Constant(INTS, list(range(LANES))))
