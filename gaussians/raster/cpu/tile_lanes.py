"""Whole tiles between images and the planes of a tile's state, a pair of rows at a time."""

# pyright: reportIndexIssue=false, reportCallIssue=false
# (Numba types are called to build signatures; its stubs don't say so.)

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from gaussians.raster.cpu.lanes import (
    FLOATS,
    INT64,
    INTS,
    LANES,
    Builder,
    Lanes,
    Plane,
    constant,
    shuffled,
    splat,
)
from gaussians.raster.cpu.layout import BEHIND, LAST, PIXELS, RGB, SPAN, TILE, TRANSMITTANCE

# A pair of rows is two blocks, each of two half rows; to exchange their inner ones turns one into the other.
_UPPER = [*range(SPAN), *range(LANES, LANES + SPAN)]
_LOWER = [*range(SPAN, LANES), *range(LANES + SPAN, 2 * LANES)]


def _exchanged(a: Lanes, b: Lanes) -> tuple[Lanes, Lanes]:
    """The two rows of two neighbouring blocks, or the two blocks of two rows."""
    return shuffled(a, b, _UPPER), shuffled(a, b, _LOWER)


def _pairs(builder: Builder, at: ir.Value, width: ir.Value) -> list[tuple[int, list[ir.Value]]]:
    """Of each pair of rows the number of its first float in a plane, and those of its pixels in the image."""
    rows = [builder.add(at, builder.mul(width, INT64(row))) for row in range(TILE)]
    return [(2 * LANES * pair, rows[2 * pair : 2 * pair + 2]) for pair in range(TILE // 2)]


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
        for first, rows in _pairs(builder, args[4], args[5]):

            def both_rows(plane: int, first: int = first) -> tuple[Lanes, Lanes]:
                block = state.at(plane * PIXELS + first)
                return _exchanged(block.load(), block.at(LANES).load())

            light, places = both_rows(TRANSMITTANCE), both_rows(LAST)
            colors = [both_rows(RGB + channel) for channel in range(count)]
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
        for first, rows in _pairs(builder, args[5], args[6]):
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
            for plane, (upper, lower) in values.items():
                for block, lanes in enumerate(_exchanged(upper, lower)):
                    state.at(plane * PIXELS + first + block * LANES).store(lanes)
        return builder.fptosi(most.largest(), INT64)

    whole = types.int64
    return types.int64(channels, v_image, v_alpha, last, background, whole, whole, state), codegen
