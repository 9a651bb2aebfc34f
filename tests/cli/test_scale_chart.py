"""The curves of `bench scale`."""

import re
import xml.etree.ElementTree as ET
from typing import Any

import pytest

from gaussians.cli.scale_chart import scale_chart

SVG = "{http://www.w3.org/2000/svg}"


def steps(*points: tuple[int, int, int]) -> list[dict[str, Any]]:
    """Lines of so many Gaussians at such a size, whose time and memory are in proportion to the Gaussians."""
    return [
        {"gaussians": count, "width": width, "height": height, "step_ms": count / 1000}
        | {"preview_ms": count / 4000, "peak_bytes": 1000 * count}
        for count, width, height in points
    ]


def views(*counts: int) -> list[dict[str, Any]]:
    return [
        {"views": count, "photo_memory_mb": bound, "seconds": count / 100, "peak_bytes": 1e6 * count}
        for count in counts
        for bound in (None, 64.0)
    ]


STEPS = steps((10_000, 1920, 1080), (100_000, 1920, 1080), (300_000, 1920, 1080), (300_000, 480, 270))


def drawn(text: str) -> dict[str, ET.Element]:
    """Panels by title."""
    panels = ET.fromstring(text).findall(f"{SVG}g")
    return {panel.findtext(f"{SVG}text", ""): panel for panel in panels}


def points(path: str) -> list[tuple[float, float]]:
    pairs = re.findall(r"([\d.-]+) ([\d.-]+)", path)
    return [(float(x), float(y)) for x, y in pairs]


def curves(panel: ET.Element) -> list[list[tuple[float, float]]]:
    """Those of the measured values, and the dashed one at last."""
    paths = [path.get("d", "") for path in panel.findall(f"{SVG}path") if path.get("stroke-width") == "1.5"]
    dashed = [path.get("d", "") for path in panel.findall(f"{SVG}path") if path.get("stroke-dasharray")]
    return [points(path) for path in (*paths, *dashed)]


def test_time_and_memory_are_drawn_against_gaussians_pixels_and_photos() -> None:
    panels = drawn(scale_chart(STEPS, views(10, 100, 2000)))
    assert list(panels) == [
        "Time, at 1920x1080",
        "Memory, at 1920x1080",
        "Time, of 300,000 Gaussians",
        "Loading photos: time",
        "Loading photos: memory",
    ]
    assert [len(curve) for curve in curves(panels["Time, at 1920x1080"])] == [3, 3, 2]
    assert [len(curve) for curve in curves(panels["Time, of 300,000 Gaussians"])] == [2, 2, 2]


def test_what_grows_in_proportion_lies_on_the_dashed_line() -> None:
    step, _, dashed = curves(drawn(scale_chart(STEPS, []))["Time, at 1920x1080"])
    (x0, y0), (x1, y1) = dashed
    for x, y in step:
        assert y == pytest.approx(y0 + (y1 - y0) * (x - x0) / (x1 - x0), abs=0.2)
    assert step[0][0] < step[1][0] < step[2][0]
    assert step[0][1] > step[1][1] > step[2][1]  # px grow downwards


def test_what_is_unknown_or_has_one_point_is_left_out() -> None:
    alone = steps((100_000, 640, 480))
    unknown = [line | {"peak_bytes": 0} for line in STEPS]  # as on Windows
    assert drawn(scale_chart(alone, [])) == {}
    assert "Memory, at 1920x1080" not in drawn(scale_chart(unknown, views(10)))
