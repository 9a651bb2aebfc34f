"""What a studio's trace says in figures: rates, latencies, memory. No window, no processes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Line = Mapping[str, Any]
"""A line of frames.jsonl: "t", "mouse", "camera", "shown"; see app/trace.py."""


@dataclass(frozen=True)
class Movement:
    """The mouse was put at (x, y), px of the display, at `t` seconds of the monotonic clock."""

    t: float
    x: int
    y: int


def latencies(movements: Sequence[Movement], frames: Sequence[Line], cell: str) -> np.ndarray:
    """[M] milliseconds from each movement to the first frame whose image in the cell was made after it.

    A movement counts as followed when the camera of an image follows it or a later one: images of cameras
    that were outdated before their turn came are never made, and nobody misses them. What was never followed
    counts until the last frame, so that a cell that stands still can't go unnoticed.

    Args:
        movements: in order, no two at the same place in succession.
        frames: from before the first movement until the image stood still.
        cell: which cell's image.
    """
    times = np.array([frame["t"] for frame in frames])
    # The newest camera that the cell has shown so far.
    shown = np.maximum.accumulate([frame["shown"].get(cell, -1) for frame in frames])
    result = []
    unseen = 0  # the first movement that the window has not seen yet
    for at, frame in enumerate(frames):
        place = [round(coordinate) for coordinate in frame["mouse"]]
        arrived = [
            index
            for index in range(unseen, len(movements))
            if movements[index].t <= frame["t"] and [movements[index].x, movements[index].y] == place
        ]
        if not arrived:
            continue
        followed = max(at, int(np.searchsorted(shown, frame["camera"])))
        followed_at = times[min(followed, len(times) - 1)]
        result += [followed_at - movement.t for movement in movements[unseen : arrived[-1] + 1]]
        unseen = arrived[-1] + 1
    result += [times[-1] - movement.t for movement in movements[unseen:]]
    return 1e3 * np.array(result)


def frame_rate(frames: Sequence[Line], start: float, end: float) -> float:
    """Frames a second between two times."""
    return sum(start <= frame["t"] < end for frame in frames) / (end - start)


def longest_gap(frames: Sequence[Line], start: float, end: float) -> float:
    """Seconds that the window stood still at most between two times."""
    times = [start, *(frame["t"] for frame in frames if start <= frame["t"] < end), end]
    return float(np.diff(times).max())


def stage_seconds(arrivals: Sequence[tuple[float, str, int]]) -> dict[str, float]:
    """Seconds each stage took from its first logged step to its last.

    Args:
        arrivals: (time, stage, step) of each line of metrics.jsonl, in order.
    """
    seconds = {}
    for stage in dict.fromkeys(stage for _, stage, _ in arrivals):
        times = [time for time, name, _ in arrivals if name == stage]
        if len(times) > 1:
            seconds[stage] = times[-1] - times[0]
    return seconds


def trend(samples: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Slope and its standard error of a straight line through (time, value), by least squares; per time."""
    times, values = np.array(samples, float).T
    times = times - times.mean()
    slope = float(times @ values / (times @ times))
    rest = values - values.mean() - slope * times
    error = float(np.sqrt(rest @ rest / max(1, len(times) - 2) / (times @ times)))
    return slope, error


def summary(gui: Mapping[str, Any]) -> dict[str, Any]:
    """The figures by which the project's goals are put, of all that `bench gui` measures.

    Returns:
        window_fps: frames a second while training untouched; latency_ms: p50 and p95 from mouse to image
        while the student trains; paused_latency_ms; train_ratio_to_headless.
    """
    student, paused = gui["dragging"]["student"], gui["dragging"]["paused"]
    return {
        "window_fps": gui["training"]["frames_per_second"],
        "latency_ms": {"p50": student["median_ms"], "p95": student["p95_ms"]},
        "paused_latency_ms": {"p50": paused["median_ms"], "p95": paused["p95_ms"]},
        "train_ratio_to_headless": gui["training"]["rate_to_headless"],
    }
