"""`bench scale`: what its workload is, and what a line says."""

from gaussians.cli.bench_scale import Point, measured
from gaussians.cli.workload import sized


def test_a_workload_has_the_size_that_was_asked_for_and_the_same_pixels_to_cover():
    few, many = sized(200, 64, 48), sized(3200, 64, 48)
    assert (len(few.means), len(many.means)) == (200, 3200)
    assert (many.camera.width, many.camera.height) == (64, 48)
    assert many.scales.mean() < 0.8 * few.scales.mean()


def test_a_line_says_what_a_step_costs():
    line = measured(Point(300, 48, 36, "cpu"))
    assert (line["gaussians"], line["width"], line["height"]) == (300, 48, 36)
    assert 0 < line["preview_ms"] < 2 * line["step_ms"] + 50
    # 59 parameters of 4 bytes, and Adam's two moments of each.
    assert line["checkpoint_bytes"] >= 300 * 59 * 4 * 3
    assert line["peak_bytes"] > 100e6
