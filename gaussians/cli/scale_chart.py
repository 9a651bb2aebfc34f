"""What `bench scale` measures as curves: time and memory against Gaussians, pixels and photos, in one SVG.

Both axes are logarithmic: a cost that grows in proportion is a line of slope 1, as the dashed one is.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gaussians.session.chart_labels import COLORS, FAINT, GRID, INK, log_ticks, svg, text

# px
WIDTH, HEIGHT = 400, 310
LEFT, RIGHT, TOP, BOTTOM = 58, 20, 58, 48
COLUMNS = 3
MARGIN = 1.25  # of the axes, beyond the values
MEASURED = 2  # points of a series that make a curve


@dataclass(frozen=True)
class Panel:
    """A chart of its own.

    Attributes:
        x, y: what its axes are.
        series: points (x, y), both above 0, by name.
    """

    title: str
    x: str
    y: str
    series: dict[str, list[tuple[float, float]]]


def scale_chart(steps: Sequence[dict[str, Any]], views: Sequence[dict[str, Any]]) -> str:
    """The SVG file's text.

    Args:
        steps, views: lines of `bench_scale` and of `bench_views`.
    """
    panels = [panel for panel in (*_of_steps(steps), *_of_views(views)) if panel.series]
    width, height = min(COLUMNS, len(panels)) * WIDTH, math.ceil(len(panels) / COLUMNS) * HEIGHT
    parts: list[str] = []
    for index, panel in enumerate(panels):
        x, y = index % COLUMNS * WIDTH, index // COLUMNS * HEIGHT
        parts += [f'<g transform="translate({x},{y})">', *_drawn(panel), "</g>"]
    return svg(width, height, parts)


def _of_steps(lines: Sequence[dict[str, Any]]) -> Iterator[Panel]:
    sizes = [(line["width"], line["height"]) for line in lines]
    largest = max(sizes, key=math.prod)
    counted = [line for line, size in zip(lines, sizes, strict=True) if size == largest]
    common = max({line["gaussians"] for line in lines}, key=[line["gaussians"] for line in lines].count)
    sized = [line for line in lines if line["gaussians"] == common]
    times = {"training step": "step_ms", "preview": "preview_ms"}
    at, of = f"at {largest[0]}x{largest[1]}", f"of {common:,} Gaussians"

    def by_count(key: str, unit: float = 1.0) -> list[tuple[float, float]]:
        return [(line["gaussians"], line[key] / unit) for line in counted]

    yield Panel(
        f"Time, {at}", "Gaussians", "ms", _curves({name: by_count(key) for name, key in times.items()})
    )
    yield Panel(f"Memory, {at}", "Gaussians", "GB", _curves({"peak": by_count("peak_bytes", 1e9)}))
    by_pixels = {
        name: [(1e-6 * line["width"] * line["height"], line[key]) for line in sized]
        for name, key in times.items()
    }
    yield Panel(f"Time, {of}", "million pixels", "ms", _curves(by_pixels))


def _of_views(lines: Sequence[dict[str, Any]]) -> Iterator[Panel]:
    bounds = list(dict.fromkeys(line["photo_memory_mb"] for line in lines))
    names = {bound: "all in memory" if bound is None else f"at most {bound:g} MB" for bound in bounds}
    for title, key, unit, axis in (
        ("Loading photos: time", "seconds", 1.0, "s"),
        ("Loading photos: memory", "peak_bytes", 1e6, "MB"),
    ):
        series = {
            name: [(line["views"], line[key] / unit) for line in lines if line["photo_memory_mb"] == bound]
            for bound, name in names.items()
        }
        yield Panel(title, "photos", axis, _curves(series))


def _curves(series: dict[str, list[tuple[float, float]]]) -> dict[str, list[tuple[float, float]]]:
    """Those that have enough points that are known, sorted."""
    known = {name: sorted(point for point in points if min(point) > 0) for name, points in series.items()}
    return {name: points for name, points in known.items() if len(points) >= MEASURED}


@dataclass(frozen=True)
class _Axis:
    """From a value (log) to px."""

    low: float
    high: float
    first: float  # px of low
    last: float  # px of high

    @classmethod
    def around(cls, values: Sequence[float], first: float, last: float) -> "_Axis":
        return cls(min(values) / MARGIN, max(values) * MARGIN, first, last)

    def __call__(self, value: float) -> float:
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return self.first + share * (self.last - self.first)


def _drawn(panel: Panel) -> Iterator[str]:
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    points = [point for curve in panel.series.values() for point in curve]
    x = _Axis.around([point[0] for point in points], LEFT, right)
    y = _Axis.around([point[1] for point in points], bottom, TOP)
    yield text(LEFT, 22, panel.title, INK, 'font-size="14" font-weight="bold"')
    for value in log_ticks(x.low, x.high):
        yield f'<path d="M{x(value):.1f} {TOP}V{bottom}" stroke="{GRID}"/>'
        yield text(x(value), bottom + 16, f"{value:,.9g}", FAINT, 'text-anchor="middle"')
    for value in log_ticks(y.low, y.high):
        yield f'<path d="M{LEFT} {y(value):.1f}H{right}" stroke="{GRID}"/>'
        yield text(LEFT - 6, y(value) + 4, f"{value:,.9g}", FAINT, 'text-anchor="end"')
    yield from _in_proportion(next(iter(panel.series.values()))[-1], x, y)
    for color, curve in zip(COLORS, panel.series.values(), strict=False):
        path = "L".join(f"{x(a):.1f} {y(b):.1f}" for a, b in curve)
        yield f'<path d="M{path}" fill="none" stroke="{color}" stroke-width="1.5"/>'
        yield from (f'<circle cx="{x(a):.1f}" cy="{y(b):.1f}" r="3" fill="{color}"/>' for a, b in curve)
    place = float(LEFT)
    for color, name in zip(COLORS, panel.series, strict=False):
        yield f'<circle cx="{place + 4:.1f}" cy="36" r="4" fill="{color}"/>'
        yield text(place + 12, 40, name, INK)
        place += 28 + 6.5 * len(name)
    yield text(place, 40, "- - in proportion", FAINT)
    yield f'<path d="M{LEFT} {TOP}V{bottom}H{right}" fill="none" stroke="{INK}"/>'
    yield text((LEFT + right) / 2, bottom + 36, panel.x, INK, 'text-anchor="middle"')
    yield text(LEFT - 6, TOP - 6, panel.y, INK, 'text-anchor="end"')


def _in_proportion(through: tuple[float, float], x: _Axis, y: _Axis) -> Iterator[str]:
    """The line of slope 1 through a point, within the axes."""
    ratio = through[1] / through[0]
    low, high = max(x.low, y.low / ratio), min(x.high, y.high / ratio)
    ends = "L".join(f"{x(value):.1f} {y(value * ratio):.1f}" for value in (low, high))
    yield f'<path d="M{ends}" stroke="{FAINT}" stroke-dasharray="4 4" opacity="0.7"/>'
