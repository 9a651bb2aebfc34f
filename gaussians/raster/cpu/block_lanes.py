"""One block of a tile and its list of Gaussians: the inner loops of blending, in whole vectors.

All of a block's state stays in registers, and all factors come from memory as they are. A processor that
looks ahead sees only some three Gaussians of such a loop, fewer than their arithmetic takes to come through.
So it is laid out in three stages: a turn finishes two Gaussians, has alpha computed for the next two, and the
exponent for those after.

A pixel is finished when its transmittance would fall to 1e-4. That is rare, so it has a branch of its own.
With its last pixel a block is.
"""

# pyright: reportIndexIssue=false, reportCallIssue=false
# (Numba types are called to build signatures; its stubs don't say so.)

import functools
import math
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from gaussians.raster.constants import ALPHA_MAX, TRANSMITTANCE_MIN
from gaussians.raster.cpu.deal import FIELD_COLOR, NEAR, PLACE, ROOM, SQUARES, TERMS
from gaussians.raster.cpu.lanes import FLOAT, INT64, LANES, Builder, Lanes, constant, splat
from gaussians.raster.cpu.layout import (
    BLOCKS,
    EXPONENT_MIN,
    LAST,
    PIXELS,
    QUARTERS,
    RGB,
    TRANSMITTANCE,
    UNFINISHED,
    block_pixels,
    quarter_centre,
)
from gaussians.raster.cpu.planes import Plane
from gaussians.raster.cpu.registers import Registers

TURN = 2  # Gaussians in each


@intrinsic
def fill_shapes(typingctx: Any, shapes: Any) -> Any:
    """x, y, x², xy and y² of the pixels of a quarter's blocks, from its centre: [BLOCKS // 4, TERMS, 16]."""

    def codegen(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        left, top = quarter_centre(0)
        blocks = [block_pixels(block) for block in range(BLOCKS // QUARTERS)]
        centred = [([i - left for i in x], [j - top for j in y]) for x, y in blocks]
        _store_shapes(builder, Plane.of(context, builder, signature.args[0], args[0]), centred)
        return context.get_dummy_value()

    return types.void(shapes), codegen


@intrinsic
def fill_tile_shapes(typingctx: Any, shapes: Any) -> Any:
    """The same of all blocks, from the tile's centre: [BLOCKS, TERMS, 16]."""

    def codegen(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        blocks = [block_pixels(block) for block in range(BLOCKS)]
        _store_shapes(builder, Plane.of(context, builder, signature.args[0], args[0]), blocks)
        return context.get_dummy_value()

    return types.void(shapes), codegen


def _store_shapes(builder: Builder, plane: Plane, blocks: list[tuple[list[float], list[float]]]) -> None:
    for block, (x, y) in enumerate(blocks):
        terms = [x, y, *([a * b for a, b in zip(p, q, strict=True)] for p, q in ((x, x), (x, y), (y, y)))]
        for term, values in enumerate(terms):
            plane.at((TERMS * block + term) * LANES).store(constant(builder, values))


class _Walk:
    """A block's list, walked in stages.

    In the body of a turn kept["power", i] is the exponent of its Gaussian i, and kept["alpha", i] is alpha,
    at ALPHA_MAX at most, for what reaches EXPONENT_MIN; for what doesn't it is nonsense.
    """

    def __init__(self, builder: Builder, fields: Plane, near: Plane, entries: Plane, shapes: Plane) -> None:
        self.builder, self.fields, self.near, self.entries = builder, fields, near, entries
        self.shapes = [shapes.at(term * LANES).load() for term in range(TERMS)]
        self.kept = Registers(builder)
        self._stop = cgutils.alloca_once(builder, INT64)

    def entry(self, place: ir.Value, ahead: int) -> Plane:
        """The fields of an entry."""
        return self.fields.at(self._number(place, ahead))

    def _number(self, place: ir.Value, ahead: int) -> ir.Value:
        number = self.entries.at(self.builder.add(place, INT64(ahead))).scalar()
        return self.builder.zext(number, INT64)

    def of(self, entry: Plane, field: int) -> Lanes:
        """A field of an entry, in all lanes."""
        return splat(self.builder, entry.scalar(field * ROOM))

    def run(self, length: ir.Value, body: Callable[[ir.Value], None]) -> None:
        """Emit the loop over `length` entries; the body gets the place of each turn's first."""
        builder = self.builder
        self._look(INT64(0))
        self._advance(INT64(TURN))
        at = cgutils.alloca_once_value(builder, INT64(0))
        builder.store(length, self._stop)
        check, turn, done = (builder.append_basic_block(f"walk.{name}") for name in ("check", "turn", "done"))
        builder.branch(check)
        builder.position_at_end(check)
        place = builder.load(at)
        builder.cbranch(builder.icmp_signed("<", place, builder.load(self._stop)), turn, done)
        builder.position_at_end(turn)
        body(place)
        self._advance(builder.add(place, INT64(2 * TURN)))
        builder.store(builder.add(place, INT64(TURN)), at)
        builder.branch(check)
        builder.position_at_end(done)

    def stop_unless(self, on: ir.Value) -> None:
        """Have the turn that it is called in be the last, unless a flag is set."""
        stop = self.builder.load(self._stop)
        self.builder.store(self.builder.select(on, stop, INT64(0)), self._stop)

    def _look(self, place: ir.Value) -> None:
        for ahead in range(TURN):
            number = self._number(place, ahead)
            near, entry = self.near.at(number), self.fields.at(number)
            power = self.of(near, 0)
            factors = [self.of(near, 1), self.of(near, 2), *(self.of(entry, SQUARES + i) for i in range(3))]
            for factor, shape in zip(factors, self.shapes, strict=True):
                power = factor.times_plus(shape, power)
            self.kept["next", ahead] = power

    def _advance(self, place: ir.Value) -> None:
        for ahead in range(TURN):
            power = self.kept["next", ahead]
            self.kept["power", ahead] = power
            self.kept["alpha", ahead] = power.exp2().at_most(ALPHA_MAX)
        self._look(place)


def _block(context: Any, builder: Builder, signature: Any, args: Any, first: int) -> tuple[Plane, _Walk]:
    """A block's pixels in the state, and its walk, of arguments block, fields, lists, shapes and state."""
    block = args[first]
    planes = [Plane.of(context, builder, signature.args[first + i], args[first + i]) for i in range(1, 5)]
    fields, lists, shapes, state = planes
    entries = lists.at(builder.mul(block, INT64(ROOM)))
    quarter, within = builder.lshr(block, INT64(2)), builder.and_(block, INT64(3))
    near = fields.at(builder.mul(quarter, INT64(NEAR * ROOM)))
    walk = _Walk(builder, fields, near, entries, shapes.at(builder.mul(within, INT64(TERMS * LANES))))
    return state.at(builder.mul(block, INT64(LANES))), walk


@intrinsic(prefer_literal=True)
def blend_block(
    typingctx: Any, channels: Any, length: Any, block: Any, fields: Any, lists: Any, shapes: Any, state: Any
) -> Any:
    """Blend a block's entries, front to back.

    Args:
        channels: a constant. length: of the block's list. block: which.
        fields, lists: from `deal` and `end_lists`. shapes: from `fill_shapes`.
        state [RGB + channels, PIXELS]: the tile's planes, changed.
    """
    count = channels.literal_value

    def codegen(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        pixels, walk = _block(context, builder, signature, args, 2)
        kept, zero = walk.kept, constant(builder, 0.0)
        planes = [TRANSMITTANCE, LAST, *range(RGB, RGB + count)]
        for plane in planes:
            kept[plane] = pixels.at(plane * PIXELS).load()
        # What a pixel's exponent must reach: of one that is finished none does.
        kept["least"] = (kept[LAST] >= UNFINISHED).where(constant(builder, EXPONENT_MIN), math.inf)

        def body(place: ir.Value) -> None:
            pair = [walk.entry(place, ahead) for ahead in range(TURN)]
            light = [kept[TRANSMITTANCE]]
            for ahead in range(TURN):
                alpha, t = kept["alpha", ahead], light[-1]
                drawn = kept["power", ahead] >= kept["least"]
                kept["weight", ahead] = drawn.where(alpha * t, 0.0)
                light.append(drawn.where((-alpha).times_plus(t, t), t))
            kept[TRANSMITTANCE] = light[2]
            second = light[2] <= TRANSMITTANCE_MIN
            with builder.if_then(second.any(), likely=False):
                first = light[1] <= TRANSMITTANCE_MIN
                kept["weight", 0] = first.where(zero, kept["weight", 0])
                kept["weight", 1] = second.where(zero, kept["weight", 1])
                kept[TRANSMITTANCE] = first.where(light[0], second.where(light[1], light[2]))
                places = [walk.of(entry, PLACE) for entry in pair]
                kept[LAST] = first.where(places[0], second.where(places[1], kept[LAST]))
                kept["least"] = second.where(constant(builder, math.inf), kept["least"])
                walk.stop_unless((kept["least"] < math.inf).any())
            for ahead, entry in enumerate(pair):
                weight = kept["weight", ahead]
                for channel in range(count):
                    color = walk.of(entry, FIELD_COLOR + channel)
                    kept[RGB + channel] = weight.times_plus(color, kept[RGB + channel])

        walk.run(args[1], body)
        for plane in planes:
            pixels.at(plane * PIXELS).store(kept[plane])
        return context.get_dummy_value()

    whole = types.int64
    return types.void(channels, whole, whole, fields, lists, shapes, state), codegen


@intrinsic
def weigh_block(
    typingctx: Any, length: Any, block: Any, fields: Any, lists: Any, shapes: Any, state: Any, weights: Any
) -> Any:
    """Alpha and weight of a block's entries: 0 where one isn't drawn.

    Args:
        length ... shapes: as `blend_block` has them.
        state: TRANSMITTANCE at the chunk's beginning, changed, and LAST.
        weights [BLOCKS, ROOM, 2, 16] float32: written, from the block's first entry on.
    """

    def codegen(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        pixels, walk = _block(context, builder, signature, args, 1)
        weights = Plane.of(context, builder, signature.args[6], args[6])
        target = weights.at(builder.mul(args[1], INT64(ROOM * 2 * LANES)))
        kept = walk.kept
        kept[TRANSMITTANCE], last = pixels.load(), pixels.at(LAST * PIXELS).load()

        def body(place: ir.Value) -> None:
            for ahead in range(TURN):
                t = kept[TRANSMITTANCE]
                ends = last > walk.of(walk.entry(place, ahead), PLACE)
                drawn = (kept["power", ahead] >= EXPONENT_MIN) & ends
                alpha = drawn.where(kept["alpha", ahead], 0.0)
                weight = alpha * t
                kept[TRANSMITTANCE] = (-alpha).times_plus(t, t)  # to the bit as in the forward pass
                row = target.at(builder.mul(builder.add(place, INT64(ahead)), INT64(2 * LANES)))
                row.store(alpha)
                row.at(LANES).store(weight)

        walk.run(args[0], body)
        return context.get_dummy_value()

    whole = types.int64
    return types.void(whole, whole, fields, lists, shapes, state, weights), codegen


@intrinsic
def close_finished(typingctx: Any, state: Any, ends: Any) -> Any:
    """Set `ends` [BLOCKS] float32 of the blocks of a tile that are finished to 0; whether others are left."""

    def codegen(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        state, ends = (Plane.of(context, builder, signature.args[i], args[i]) for i in range(2))
        flags = []
        for block in range(BLOCKS):
            open_still = (state.at(LAST * PIXELS + block * LANES).load() >= UNFINISHED).any()
            end = ends.at(block)
            builder.store(builder.select(open_still, end.scalar(), FLOAT(0.0)), end.pointer)
            flags.append(open_still)
        return functools.reduce(builder.or_, flags)

    return types.boolean(state, ends), codegen


@intrinsic
def end_with_pixels(typingctx: Any, state: Any, ends: Any) -> Any:
    """Set `ends` [BLOCKS] float32 to the largest LAST of each block of a tile."""

    def codegen(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        state, ends = (Plane.of(context, builder, signature.args[i], args[i]) for i in range(2))
        for block in range(BLOCKS):
            places = state.at(LAST * PIXELS + block * LANES).load()
            builder.store(places.largest(), ends.at(block).pointer)
        return context.get_dummy_value()

    return types.void(state, ends), codegen
