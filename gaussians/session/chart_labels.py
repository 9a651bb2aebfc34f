"""What charts share: colours, text, and where labels and ticks go."""

import math
from collections.abc import Sequence
from html import escape

INK, FAINT, GRID = "#18181b", "#71717a", "#e4e4e7"
COLORS = ("#2563eb", "#dc2626", "#059669", "#d97706", "#7c3aed", "#0891b2", "#be185d", "#4d7c0f")


def svg(width: int, height: int, parts: Sequence[str]) -> str:
    """The text of an SVG file of so many px, on white."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="Helvetica, Arial, sans-serif" font-size="12">'
    )
    return (
        "\n".join([head, f'<rect width="{width}" height="{height}" fill="white"/>', *parts, "</svg>"]) + "\n"
    )


def text(x: float, y: float, words: str, color: str, attributes: str = "") -> str:
    """An SVG text whose baseline begins at x, y, px."""
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{color}" {attributes}>{escape(words)}</text>'


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten within 0 < `low` < `high`; 1, 2 and 5 times these, where they are fewer than three."""
    tens = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found = [value for ten in tens if low <= (value := 10.0**ten) <= high]
    if len(found) < 3:
        found = [
            value for ten in tens for factor in (1, 2, 5) if low <= (value := factor * 10.0**ten) <= high
        ]
    return found


def ticks(low: float, high: float, most: int) -> list[float]:
    """Round values (1, 2 or 5 times a power of ten apart) between `low` < `high`, at most `most` of them."""
    step = 10.0 ** math.floor(math.log10((high - low) / most))
    step = next(step * factor for factor in (1, 2, 5, 10, 20) if (high - low) / (step * factor) <= most - 1)
    return [index * step for index in range(math.ceil(low / step), math.floor(high / step) + 1)]


def apart(places: Sequence[float], distance: float, low: float, high: float) -> list[float]:
    """Places as near as may be to `places`, sorted, but `distance` apart and within `low` to `high`.

    Labels that would overlap share the space around their mean (isotonic regression by pooling neighbours).
    Where all don't fit, they reach beyond `high`.
    """
    blocks: list[tuple[float, int]] = []  # where the first of each wants to be, and how many
    for place in places:
        blocks.append((place, 1))
        while len(blocks) > 1 and blocks[-2][0] + distance * blocks[-2][1] > blocks[-1][0]:
            (first, many), (second, more) = blocks[-2:]
            # each of the second block's labels wants its first at second - distance * many
            start = (first * many + (second - distance * many) * more) / (many + more)
            blocks[-2:] = [(start, many + more)]
    found = [start + distance * index for start, many in blocks for index in range(many)]
    most = len(found) - 1
    found = [min(place, high - distance * (most - index)) for index, place in enumerate(found)]
    return [max(place, low + distance * index) for index, place in enumerate(found)]
