"""Whole tiles between images and the planes of a tile's state, four rows at a time."""

# pyright: reportIndexIssue=false, reportCallIssue=false
# (Numba types are called to build signatures; its stubs don't say so.)

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from gaussians.raster.cpu.lanes import FLOATS, INT64, INTS, LANES, Builder, Lanes, constant, shuffled, splat
from gaussians.raster.cpu.layout import (
    BEHIND,
    LAST,
    PIXELS,
    RGB,
    SPAN,
    STRIPS,
    TRANSMITTANCE,
    block_at,
)
from gaussians.raster.cpu.planes import Plane


def _exchanged(four: list[Lanes]) -> list[Lanes]:
    """The four rows of four blocks side by side, or the four blocks of four rows."""

    def fours(a: Lanes, b: Lanes, *numbers: int) -> Lanes:
        return shuffled(a, b, [SPAN * number + i for number in numbers for i in range(SPAN)])

    (a, b), (c, d) = four[:2], four[2:]
    exchanged = []
    for first in (0, 2):
        upper, lower = (fours(*pair, first, first + 1, first + 4, first + 5) for pair in ((a, b), (c, d)))
        exchanged += [fours(upper, lower, *range(second, 8, 2)) for second in (0, 1)]
    return exchanged


def _strips(builder: Builder, at: ir.Value, width: ir.Value) -> list[tuple[list[int], list[ir.Value]]]:
    """Of each four rows, where in a plane their blocks begin, and the numbers of the image's pixels."""
    strips = []
    for strip in range(STRIPS):
        blocks = [LANES * block_at(strip, column) for column in range(STRIPS)]
        numbers = [builder.mul(width, INT64(SPAN * strip + row)) for row in range(SPAN)]
        strips.append((blocks, [builder.add(at, number) for number in numbers]))
    return strips


@intrinsic(prefer_literal=True)
def write_tile(
    typingctx: Any, channels: Any, state: Any, length: Any, background: Any, at: Any, width: Any, image: Any,
    alpha: Any, last: Any,
) -> Any:  # fmt: skip
    """Write a tile that lies within the image.

    Args:
        channels: a constant. state: the tile's. length: of its list.
        background [channels]: what is seen by the light that is left over.
        at: number of the image's pixel in the tile's corner. width: of the image.
        image [H, W, channels], alpha [H, W], last [H, W] int32: written.
    """
    count = channels.literal_value

    def codegen(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        planes = [Plane.of(context, builder, signature.args[i], args[i]) for i in (1, 3, 6, 7, 8)]
        state, background, image, alpha, last = planes
        behind = [splat(builder, background.scalar(channel)) for channel in range(count)]
        most = splat(builder, builder.sitofp(args[2], ir.FloatType()))
        for blocks, rows in _strips(builder, args[4], args[5]):

            def by_row(plane: int, blocks: list[int] = blocks) -> list[Lanes]:
                return _exchanged([state.at(plane * PIXELS + block).load() for block in blocks])

            light, places = by_row(TRANSMITTANCE), by_row(LAST)
            colors = [by_row(RGB + channel) for channel in range(count)]
            for row, pixel in enumerate(rows):
                alpha.at(pixel).store(1.0 - light[row])
                whole = builder.fptosi(places[row].at_most(most).value, INTS)
                last.at(pixel).store(Lanes.of_bits(builder, whole))
                seen = [
                    light[row].times_plus(back, color[row])
                    for color, back in zip(colors, behind, strict=True)
                ]
                image.at(builder.mul(pixel, INT64(count))).store_columns(*seen)
        return context.get_dummy_value()

    whole = types.int64
    return types.void(channels, state, whole, background, whole, whole, image, alpha, last), codegen


@intrinsic(prefer_literal=True)
def read_tile(
    typingctx: Any, channels: Any, v_image: Any, v_alpha: Any, last: Any, background: Any, at: Any,
    width: Any, state: Any,
) -> Any:  # fmt: skip
    """Read a tile that lies within the image for the backward pass, and return the largest of `last`.

    Args:
        channels: a constant. v_image [H, W, channels], v_alpha [H, W]: gradients. last [H, W] int32.
        background [channels]. at, width: as `write_tile` has them.
        state: the tile's; gradients, BEHIND and LAST are written.
    """
    count = channels.literal_value

    def codegen(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        planes = [Plane.of(context, builder, signature.args[i], args[i]) for i in (1, 2, 3, 4, 7)]
        v_image, v_alpha, last, background, state = planes
        behind = [splat(builder, background.scalar(channel)) for channel in range(count)]
        most = constant(builder, 0.0)
        for blocks, rows in _strips(builder, args[5], args[6]):
            values: dict[int, list[Lanes]] = {}
            for pixel in rows:
                whole = builder.bitcast(last.at(pixel).load().value, INTS)
                place = Lanes(builder, builder.sitofp(whole, FLOATS))
                most = most.at_least(place)
                v = v_image.at(builder.mul(pixel, INT64(count))).load_columns(count)
                v_light = -v_alpha.at(pixel).load()
                for color, back in zip(v, behind, strict=True):
                    v_light = color.times_plus(back, v_light)
                by_plane = {LAST: place, BEHIND: v_light, **{RGB + c: lanes for c, lanes in enumerate(v)}}
                for plane, lanes in by_plane.items():
                    values.setdefault(plane, []).append(lanes)
            for plane, four in values.items():
                for block, lanes in zip(blocks, _exchanged(four), strict=True):
                    state.at(plane * PIXELS + block).store(lanes)
        return builder.fptosi(most.largest(), INT64)

    whole = types.int64
    return types.int64(channels, v_image, v_alpha, last, background, whole, whole, state), codegen
