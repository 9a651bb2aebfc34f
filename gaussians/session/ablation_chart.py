"""quality.svg: an ablation's PSNR against Gaussians, teachers as lines; a panel a scene, one of their mean.

Models are named at the right of their last point and not in a legend: colours alone don't tell twenty apart.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gaussians.session.ablation_rows import Row
from gaussians.session.ablation_statistics import Figure, Summary, summaries
from gaussians.session.chart_labels import COLORS, FAINT, GRID, INK, apart, svg, text, ticks

# px
WIDTH, HEIGHT = 760, 430
LEFT, RIGHT, TOP, BOTTOM = 58, 210, 44, 48
LINE_HEIGHT = 14
SIDE_BY_SIDE = 8.0
TEACHER = "#a1a1aa"
COLUMNS = 2


@dataclass(frozen=True)
class Panel:
    """What one panel shows: students by name, each from its smallest count on, and teachers."""

    title: str
    teachers: Sequence[Summary]
    students: dict[str, list[Summary]]


def quality_chart(rows: Sequence[Row]) -> str:
    """The SVG file's text. Without any row it says so."""
    panels = _panels(rows)
    columns = min(COLUMNS, max(1, len(panels)))
    width, height = columns * WIDTH, math.ceil(max(1, len(panels)) / columns) * HEIGHT
    colors = {name: COLORS[index % len(COLORS)] for index, name in enumerate(_student_names(rows))}
    parts = [] if panels else [text(LEFT, TOP, "nothing is finished yet", FAINT)]
    for index, panel in enumerate(panels):
        x, y = index % columns * WIDTH, index // columns * HEIGHT
        parts += [f'<g transform="translate({x},{y})">', *_drawn(panel, colors), "</g>"]
    return svg(width, height, parts)


def _panels(rows: Sequence[Row]) -> list[Panel]:
    scenes = list(dict.fromkeys(row.scene for row in rows))
    panels = [_panel("Mean over scenes", rows)] if len(scenes) > 1 else []
    return panels + [_panel(scene, [row for row in rows if row.scene == scene]) for scene in scenes]


def _panel(title: str, rows: Sequence[Row]) -> Panel:
    found = summaries(rows)
    students: dict[str, list[Summary]] = {}
    for summary in sorted(found, key=lambda each: each.gaussians.mean):
        if summary.budget is not None:
            students.setdefault(summary.model, []).append(summary)
    # Other sets' teachers would only crowd the lines: they are in the tables.
    teachers = [each for each in found if each.budget is None and "/" not in each.model]
    return Panel(title, teachers, students)


def _student_names(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(row.model for row in rows if row.is_student))


@dataclass(frozen=True)
class _Scale:
    """From Gaussians (log) and PSNR to px in a panel."""

    low: float
    high: float
    fewest: float
    most: float

    @classmethod
    def of(cls, panel: Panel) -> "_Scale":
        students = [each for series in panel.students.values() for each in series]
        ends = [
            each.psnr.mean + sign * (each.psnr.spread or 0)
            for each in (*students, *panel.teachers)
            for sign in (-1, 1)
        ]
        counts = [each.gaussians.mean for each in students] or [1.0]
        margin = max(0.05 * (max(ends) - min(ends)), 0.05)
        return cls(min(ends) - margin, max(ends) + margin, min(counts) / 1.3, max(counts) * 1.3)

    def x(self, count: float) -> float:
        share = math.log(count / self.fewest) / math.log(self.most / self.fewest)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(self, psnr: float) -> float:
        return TOP + (self.high - psnr) / (self.high - self.low) * (HEIGHT - TOP - BOTTOM)


def _drawn(panel: Panel, colors: dict[str, str]) -> Iterator[str]:
    scale = _Scale.of(panel)
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    yield text(LEFT, 24, panel.title, INK, 'font-size="15" font-weight="bold"')
    yield from _axes(panel, scale)
    names: list[tuple[float, float, str, str]] = []  # where from, what, colour
    for teacher in panel.teachers:
        y = scale.y(teacher.psnr.mean)
        yield f'<path d="M{LEFT} {y:.1f}H{right}" stroke="{TEACHER}" stroke-dasharray="5 3"/>'
        label = f"{teacher.model}  {teacher.psnr.mean:.2f}, {teacher.gaussians.mean:,.0f}"
        names.append((right, y, label, FAINT))
    # Side by side where they have the same count, for their spreads to be seen.
    apart_by = min(SIDE_BY_SIDE, SIDE_BY_SIDE * 6 / max(1, len(panel.students)))
    for index, (name, series) in enumerate(panel.students.items()):
        aside = apart_by * (index - (len(panel.students) - 1) / 2)
        points = [(scale.x(each.gaussians.mean) + aside, scale.y(each.psnr.mean)) for each in series]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        yield f'<path d="M{path}" fill="none" stroke="{colors[name]}" stroke-width="1.5"/>'
        for (x, y), each in zip(points, series, strict=True):
            yield from _point(x, y, each.psnr, scale, colors[name])
        names.append((*points[-1], f"{name}  {_mean_and_spread(series[-1].psnr)}", colors[name]))
    names.sort(key=lambda each: each[1])
    places = apart([y for _, y, _, _ in names], LINE_HEIGHT, TOP - LINE_HEIGHT, bottom + LINE_HEIGHT)
    for (x, y, label, color), place in zip(names, places, strict=True):
        yield (
            f'<path d="M{x + 5:.1f} {y:.1f}L{right + 2} {y:.1f}L{right + 14} {place:.1f}" fill="none" '
            f'stroke="{color}" stroke-width="0.6" opacity="0.6"/>'
        )
        yield text(right + 17, place + 4, label, color)


def _axes(panel: Panel, scale: _Scale) -> Iterator[str]:
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    values = ticks(scale.low, scale.high, 6)
    step = values[1] - values[0] if len(values) > 1 else 1.0
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    for value in values:
        y = scale.y(value)
        yield f'<path d="M{LEFT} {y:.1f}H{right}" stroke="{GRID}"/>'
        yield text(LEFT - 6, y + 4, f"{value:.{digits}f}", FAINT, 'text-anchor="end"')
    counts = sorted(each.gaussians.mean for series in panel.students.values() for each in series)
    last = -math.inf
    for count in counts:  # where the students are, as their counts are not round
        x = scale.x(count)
        if x - last >= 60:
            last = x
            yield f'<path d="M{x:.1f} {TOP}V{bottom}" stroke="{GRID}"/>'
            yield text(x, bottom + 16, f"{count:,.0f}", FAINT, 'text-anchor="middle"')
    yield f'<path d="M{LEFT} {TOP}V{bottom}H{right}" fill="none" stroke="{INK}"/>'
    yield text((LEFT + right) / 2, bottom + 36, "Gaussians", INK, 'text-anchor="middle"')
    yield text(LEFT - 6, TOP - 8, "dB", INK, 'text-anchor="end"')


def _point(x: float, y: float, psnr: Figure, scale: _Scale, color: str) -> Iterator[str]:
    if psnr.spread:
        high, low = scale.y(psnr.mean + psnr.spread), scale.y(psnr.mean - psnr.spread)
        yield f'<path d="M{x:.1f} {high:.1f}V{low:.1f}" stroke="{color}" stroke-width="1.2" opacity="0.6"/>'
    yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{color}"/>'


def _mean_and_spread(psnr: Figure) -> str:
    return f"{psnr.mean:.2f}" if psnr.spread is None else f"{psnr.mean:.2f} ± {psnr.spread:.2f}"
