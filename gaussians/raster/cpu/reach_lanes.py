"""Which tiles a Gaussian's ellipse meets, sixteen at a time.

The test is that of blocks in deal.py, of a whole tile and with more slack, so that what a tile leaves out
none of its blocks would have.
"""

# pyright: reportIndexIssue=false, reportCallIssue=false
# (Numba types are called to build signatures; its stubs don't say so.)

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from gaussians.raster.cpu.by_gaussian import LOG2E
from gaussians.raster.cpu.lanes import FLOAT, INT, INT64, INTS, LANES, Builder, Lanes, chosen, constant, splat
from gaussians.raster.cpu.layout import EXPONENT_MIN, TILE
from gaussians.raster.cpu.planes import Plane

# Sixteen Gaussians' outlines, LANES floats each: centre, conic and opacity, of which `complete_outlines`
# makes the exponent's coefficients of dx², dx dy and dy², the level that it must reach less that of the
# centre, and the slopes of the lines on which it is largest along a column and along a row.
OUTLINE_X, OUTLINE_Y, OUTLINE_A, OUTLINE_B, OUTLINE_C, OUTLINE_OPACITY, SLOPE_Y, SLOPE_X = range(8)
OUTLINE = 8
# More than deal's slack, as the two tests round otherwise: a long needle's in proportion to its terms, which
# cancel. A tile too many costs little.
_SLACK = 0.03  # of the exponent of 2
_ROUNDING = 2.0**-20  # of each term
_LOG2E = float(LOG2E)
_HALF = ir.VectorType(INT, LANES // 2)


@intrinsic
def complete_outlines(typingctx: Any, outlines: Any) -> Any:
    """Turn conics and opacities, of 1/255 and more, into what `reach` looks at, in place."""

    def codegen(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        plane = Plane.of(context, builder, signature.args[0], args[0])
        a, b, c, opacity = (
            plane.at(field * LANES).load() for field in (OUTLINE_A, OUTLINE_B, OUTLINE_C, OUTLINE_OPACITY)
        )
        a, b, c = a * (-0.5 * _LOG2E), b * -_LOG2E, c * (-0.5 * _LOG2E)
        made = {
            OUTLINE_A: a,
            OUTLINE_B: b,
            OUTLINE_C: c,
            OUTLINE_OPACITY: opacity.log().times_plus(-_LOG2E, EXPONENT_MIN - _SLACK),
            SLOPE_Y: b * (-0.5 * c.reciprocal()),
            SLOPE_X: b * (-0.5 * a.reciprocal()),
        }
        for field, lanes in made.items():
            plane.at(field * LANES).store(lanes)
        return context.get_dummy_value()

    return types.void(outlines), codegen


@intrinsic
def reach(
    typingctx: Any, outlines: Any, lane: Any, rectangle: Any, first: Any, tiles_x: Any, tiles: Any, slot: Any
) -> Any:
    """Write which of sixteen tiles of a Gaussian's rectangle its ellipse meets, and return how many.

    Args:
        outlines [OUTLINE, 16]: from `complete_outlines`. lane: of the Gaussian.
        rectangle: left and top in tiles, tiles a row, and tiles.
        first: the first tile, counted row by row.
        tiles_x: tiles in a row of the image.
        tiles int32: sixteen are written from `slot` on, first those that it meets.
    """

    def codegen(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        outlines, tiles = (Plane.of(context, builder, signature.args[i], args[i]) for i in (0, 5))
        entry = outlines.at(args[1])

        def of(field: int) -> Lanes:
            return splat(builder, entry.scalar(field * LANES))

        def number(value: ir.Value) -> Lanes:
            return splat(builder, builder.sitofp(value, FLOAT))

        left, top, wide, count = (number(side) for side in cgutils.unpack_tuple(builder, args[2], 4))
        place = number(args[3]) + constant(builder, [float(lane) for lane in range(LANES)])
        row = ((place + 0.5) * wide.reciprocal()).floor()
        column = place - row * wide + left
        row = row + top
        x = column.times_plus(TILE, 0.5) - of(OUTLINE_X)
        y = row.times_plus(TILE, 0.5) - of(OUTLINE_Y)
        a, b, c = of(OUTLINE_A), of(OUTLINE_B), of(OUTLINE_C)
        right, bottom = x + (TILE - 1.0), y + (TILE - 1.0)
        zero = constant(builder, 0.0)
        dx, dy = zero.at_least(x).at_most(right), zero.at_least(y).at_most(bottom)
        best_dy = (of(SLOPE_Y) * dx).at_least(y).at_most(bottom)
        best_dx = (of(SLOPE_X) * dy).at_least(x).at_most(right)
        a_dx, c_dy = a * dx * dx, c * dy * dy
        on_column = c.times_plus(best_dy, b * dx).times_plus(best_dy, a_dx)
        on_row = a.times_plus(best_dx, b * dy).times_plus(best_dx, c_dy)
        least = (a_dx + c_dy).times_plus(_ROUNDING, of(OUTLINE_OPACITY))  # both terms are negative
        mask = ((on_column.at_least(on_row) >= least) & (place < count)).value
        numbers = builder.fptosi(row.times_plus(number(args[4]), column).value, INTS)
        met, more = chosen(builder, numbers, mask)
        tiles.at(args[6]).store(met)
        return more

    whole = types.int64
    four = types.UniTuple(whole, 4)
    return whole(outlines, whole, four, whole, whole, tiles, whole), codegen


@intrinsic
def spread(typingctx: Any, tiles: Any, first: Any, who: Any, numbers: Any, members: Any, at: Any) -> Any:
    """Copy sixteen of a Gaussian's tiles, with what their lists will say of it.

    Args:
        tiles int32, first: those from `first` on.
        who: the Gaussian's place among the visible.
        numbers int32 or uint32, at: sixteen are written from `at` on: numbers of tiles.
        members [.., 2] int32: likewise: WHO, and SLOT.
    """

    def codegen(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        tiles, numbers, members = (Plane.of(context, builder, signature.args[i], args[i]) for i in (0, 3, 4))
        at = args[5]
        numbers.at(at).store(tiles.at(args[1]).load())
        pair = builder.or_(args[2], builder.shl(args[1], INT64(32)))  # as they lie in memory: WHO is first
        pairs = ir.VectorType(INT64, LANES // 2)
        one = builder.insert_element(ir.Constant(pairs, ir.Undefined), pair, INT(0))
        same = builder.shuffle_vector(one, ir.Constant(pairs, ir.Undefined), ir.Constant(_HALF, [0] * 8))
        for half in range(2):
            steps = [(half * LANES // 2 + lane) << 32 for lane in range(LANES // 2)]
            values = builder.bitcast(builder.add(same, ir.Constant(pairs, steps)), INTS)
            target = members.at(builder.add(builder.mul(at, INT64(2)), INT64(half * LANES)))
            target.store(Lanes.of_bits(builder, values))
        return context.get_dummy_value()

    whole = types.int64
    return types.void(tiles, whole, whole, numbers, members, whole), codegen
