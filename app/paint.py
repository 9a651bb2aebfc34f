"""What is drawn over the cells: plates with titles, a colour bar, words where there is no image."""

import dearpygui.dearpygui as dpg

from app import text
from app.compare import Mode
from app.comparison import Comparison
from app.layout import Rect
from app.theme import DIM, FAINT, FONT_SIZE, INK, PANEL

DRAWING = "viewport drawing"
PLATE = (12, 12, 14, 200)


def draw_plate(scale: float, place: Rect, x: float, title: str, *facts: str, right: bool = False) -> None:
    """A title and facts on a dark plate in a top corner of a cell, at x or, if `right`, up to x.

    In a narrow cell the last facts come first: how good a model is before how large.
    """
    size, pad = FONT_SIZE * scale * 0.93, 7 * scale
    while True:
        words = "  ·  ".join(facts)
        wide = _width(title, size) + (pad + _width(words, size) if facts else 0) + 2 * pad
        if wide <= place.width or not facts:
            break
        facts = facts[1:]
    left = x - wide if right else x
    low, high = (left, place.y), (left + wide, place.y + size + pad)
    dpg.draw_rectangle(low, high, color=(0, 0, 0, 0), fill=PLATE, parent=DRAWING)
    dpg.draw_text((left + pad, place.y + pad / 2), title, color=INK, size=size, parent=DRAWING)
    if facts:
        at = left + 2 * pad + _width(title, size)
        dpg.draw_text((at, place.y + pad / 2), words, color=FAINT, size=size, parent=DRAWING)


def draw_waiting(scale: float, place: Rect, lines: tuple[str, ...]) -> None:
    """Words in the middle of a cell that has no image."""
    size = FONT_SIZE * scale
    y = place.y + place.height / 2 - len(lines) * size * 0.7
    for line in lines:
        x = place.x + (place.width - _width(line, size)) / 2
        dpg.draw_text((x, y), line, color=DIM, size=size, parent=DRAWING)
        y += size * 1.4


def draw_bar(scale: float, texture: int | str, place: Rect, most: str) -> None:
    """A colour bar from 0 to `most` in the bottom right corner of a cell."""
    size, pad = FONT_SIZE * scale * 0.87, 8 * scale
    wide, high = min(160 * scale, place.width * 0.4), 10 * scale
    right = place.x + place.width - 2 * pad - _width(most, size)
    top = place.y + place.height - high - 1.5 * pad
    left = right - wide
    corner = (place.x + place.width, place.y + place.height)
    dpg.draw_rectangle((left - 3 * pad, top - pad), corner, color=(0, 0, 0, 0), fill=PLATE, parent=DRAWING)
    dpg.draw_image(texture, (left, top), (right, top + high), parent=DRAWING)
    y = top + (high - size) / 2 - scale
    dpg.draw_text((left - pad - _width("0", size), y), "0", color=FAINT, size=size, parent=DRAWING)
    dpg.draw_text((right + pad, y), most, color=FAINT, size=size, parent=DRAWING)


def draw_comparison(
    scale: float,
    bar: int | str,
    place: Rect,
    comparison: Comparison,
    models: tuple[str, str],
    there: bool,
    waits: str | None = None,
) -> None:
    """Which two models are compared, and by the mode the divider's handle or the colour bar.

    Args:
        scale: of text.
        bar: texture of the colour bar.
        place: of the cell.
        comparison: how they are compared.
        models: that are, as of their images.
        there: whether its image is.
        waits: why there is no FLIP map, where there will be none.
    """
    first, second = map(text.model, models)
    if comparison.mode is Mode.FLIP:
        draw_plate(scale, place, place.x, second if comparison.flipped else first, "F flips")
    elif comparison.mode is Mode.ERROR:
        draw_plate(scale, place, place.x, f"{first} against {second}", _with_mean("difference", comparison))
        if there:
            draw_bar(scale, bar, place, f"{comparison.most:g}")
    elif comparison.mode is Mode.FLIP_MAP and comparison.mean is None:
        draw_plate(scale, place, place.x, second, waits or "FLIP follows when the camera rests")
    elif comparison.mode is Mode.FLIP_MAP:
        draw_plate(scale, place, place.x, f"{first} against {second}", _with_mean("FLIP", comparison))
        if there:
            draw_bar(scale, bar, place, "1")
    else:
        draw_plate(scale, place, place.x, first)
        draw_plate(scale, place, place.x + place.width, second, right=True)
    if comparison.mode is Mode.DIVIDER and there:
        _draw_handle(scale, place.x + comparison.share * place.width, place.y + place.height / 2)


def _with_mean(name: str, comparison: Comparison) -> str:
    return name if comparison.mean is None else f"{name}, mean {comparison.mean:.4f}"


def _draw_handle(scale: float, x: float, y: float) -> None:
    """A knob with two arrows: drag it to either side."""
    radius = 9 * scale
    dpg.draw_circle((x, y), radius, color=INK, fill=PANEL, parent=DRAWING, thickness=1.5)
    for sign in (-1, 1):
        tip, base = x + sign * radius * 0.6, x + sign * radius * 0.2
        high, low = (base, y - radius * 0.35), (base, y + radius * 0.35)
        dpg.draw_triangle((tip, y), high, low, color=INK, fill=INK, parent=DRAWING)


def _width(words: str, size: float) -> float:
    """Of a line of text at this size, px."""
    measured = dpg.get_text_size(words)
    if not measured:  # before the first frame
        return len(words) * size * 0.55
    # The toolkit measures at its own size; text grows in proportion.
    return measured[0] * size / max(1.0, measured[1])
