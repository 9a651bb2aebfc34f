import numpy as np
import pytest

from gaussians.cli.gui_figures import (
    Movement,
    frame_rate,
    latencies,
    longest_gap,
    stage_seconds,
    summary,
    trend,
)


def frame(t: float, mouse: tuple[float, float], camera: int, shown: int | None) -> dict:
    return {
        "t": t,
        "mouse": list(mouse),
        "camera": camera,
        "shown": {} if shown is None else {"student": shown},
    }


def test_latency_is_from_the_movement_to_the_first_image_of_its_camera_or_a_later_one() -> None:
    movements = [Movement(1.00, 10, 10), Movement(1.02, 20, 10), Movement(1.04, 30, 10)]
    frames = [
        frame(0.99, (5, 5), 0, 0),
        frame(1.01, (10, 10), 1, 0),  # seen
        frame(1.05, (30, 10), 2, 0),  # two at once
        frame(1.10, (30, 10), 2, 1),  # the first's image
        frame(1.25, (30, 10), 2, 2),  # the others'
    ]
    assert latencies(movements, frames, "student") == pytest.approx([100, 230, 210])


def test_an_image_in_another_cell_does_not_count() -> None:
    frames = [frame(1.0, (0, 0), 0, None), frame(1.1, (10, 10), 1, None), frame(2.0, (10, 10), 1, None)]
    frames[1]["shown"] = {"vanilla": 1}
    assert latencies([Movement(1.05, 10, 10)], frames, "student") == pytest.approx([950])


def test_what_the_window_never_sees_counts_to_the_end() -> None:
    frames = [frame(1.0, (0, 0), 0, 0), frame(3.0, (0, 0), 0, 0)]
    assert latencies([Movement(1.5, 10, 10)], frames, "student") == pytest.approx([1500])


def test_a_movement_that_leaves_the_camera_where_it_is_is_followed_when_it_is_seen() -> None:
    frames = [frame(1.0, (0, 0), 4, 4), frame(1.2, (10, 10), 4, 4), frame(1.4, (10, 10), 4, 4)]
    assert latencies([Movement(1.1, 10, 10)], frames, "student") == pytest.approx([100])


def test_rates_and_gaps() -> None:
    frames = [frame(t, (0, 0), 0, 0) for t in (0.0, 0.1, 0.2, 0.7, 0.8)]
    assert frame_rate(frames, 0.0, 1.0) == pytest.approx(5)
    assert longest_gap(frames, 0.0, 1.0) == pytest.approx(0.5)


def test_seconds_of_stages() -> None:
    steps = [
        (0.0, "trunk", 0),
        (1.0, "trunk", 10),
        (4.0, "student", 0),
        (4.5, "student", 10),
        (5, "lone", 0),
    ]
    assert stage_seconds(steps) == {"trunk": 1.0, "student": 0.5}


def test_a_trend_and_its_error() -> None:
    times = np.linspace(0, 2, 200)
    noise = np.random.default_rng(0).normal(0, 1, 200)
    slope, error = trend(list(zip(times, 3 * times + noise, strict=True)))
    assert abs(slope - 3) < 3 * error
    assert error == pytest.approx(1 / (0.577 * np.sqrt(200)), rel=0.15)
    assert trend([(0, 1), (1, 3), (2, 5)]) == (pytest.approx(2), pytest.approx(0))


def test_the_summary_has_the_names_of_the_contract() -> None:
    drag = {name: {"median_ms": ms, "p95_ms": 2 * ms} for name, ms in (("student", 50), ("paused", 30))}
    gui = {"training": {"frames_per_second": 21.0, "rate_to_headless": 0.9}, "dragging": drag}
    assert summary(gui) == {
        "window_fps": 21.0,
        "latency_ms": {"p50": 50, "p95": 100},
        "paused_latency_ms": {"p50": 30, "p95": 60},
        "train_ratio_to_headless": 0.9,
    }
