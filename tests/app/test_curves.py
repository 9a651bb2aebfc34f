import pytest

from app.curves import Curve, Curves


def line(step: int, time: float, stage: str = "student", **more: object) -> dict:
    return {"time": time, "stage": stage, "model": stage, "step": step, "count": 10 * step, **more}


def test_lines_become_curves_by_plot_and_name() -> None:
    curves = Curves()
    curves.add(
        [line(10, 0.0, loss={"photo": 0.5, "label": 0.2}), line(20, 2.0, loss={"photo": 0.4}, psnr=21.5)]
    )
    loss = curves.plots["loss"]
    assert list(loss["student photo"].x) == [10, 20]
    assert list(loss["student photo"].y) == [0.5, 0.4]
    assert list(loss["student label"].y) == [0.2]
    assert list(curves.plots["psnr"]["student"].y) == [21.5]
    assert list(curves.plots["count"]["student"].y) == [100, 200]


def test_the_rate_is_of_steps_within_a_stage_and_leaves_pauses_out() -> None:
    curves = Curves()
    curves.add([line(10, 0.0), line(20, 2.0), line(30, 500.0), line(40, 504.0), line(10, 505.0, "dropout")])
    rate = curves.plots["rate"]["steps/s"]
    assert list(rate.y) == [5.0, 2.5]
    assert list(rate.x) == pytest.approx([2 / 60, 6 / 60])


def test_memory_is_noted_at_the_minutes_trained() -> None:
    curves = Curves()
    curves.add([line(10, 0.0), line(20, 6.0, memory=512_000_000)])
    assert list(curves.plots["memory"]["memory"].x) == pytest.approx([0.1])
    assert list(curves.plots["memory"]["memory"].y) == [512]


def test_steps_done_again_after_resuming_replace_the_old_ones() -> None:
    curve = Curve()
    for x in (1, 2, 3, 4):
        curve.add(x, x)
    curve.add(2, 20)
    assert list(curve.x) == [1, 2]
    assert list(curve.y) == [1, 20]


def test_a_long_curve_is_drawn_with_few_points_and_all_its_spikes() -> None:
    curve = Curve()
    for x in range(10_000):
        curve.add(x, 99.0 if x == 7777 else float(x % 2))
    x, y = curve.drawn(200)
    assert len(x) <= 200
    assert max(y) == 99
    assert (x[0], x[-1]) == (0, 9999)
    assert x == sorted(x)


def test_values_are_read_at_the_nearest_point_and_not_outside() -> None:
    curve = Curve()
    for x, y in ((10, 1.0), (20, 2.0), (40, 4.0)):
        curve.add(x, y)
    assert curve.at(29) == 2.0
    assert curve.at(31) == 4.0
    assert curve.at(9) is None
    assert curve.at(41) is None


def test_a_note_among_the_lines_is_no_point() -> None:
    curves = Curves()
    curves.add(
        [{"time": 1.0, "stage": "student", "model": "student", "step": 5, "weights": {"vanilla": 1.0}}]
    )
    assert not any(curves.plots.values())


def test_the_version_tells_of_news() -> None:
    curves = Curves()
    before = curves.version
    curves.add([line(10, 0.0)])
    assert curves.version > before


def test_points_are_spent_on_what_is_seen() -> None:
    curve = Curve()
    for x in range(100_000):
        curve.add(x, float(x % 7))
    x, _ = curve.drawn(200, 40_000, 40_050)
    assert len(x) <= 200
    assert x[1:-1] == list(range(39_999, 40_052))
    assert (x[0], x[-1]) == (0, 99_999), "so that all of it can be fitted"
