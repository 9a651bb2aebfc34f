import functools
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest

from gaussians.cli import bench, bench_train, main, peaks
from gaussians.cli.bench_scale import bench_scale
from gaussians.cli.bench_train import OTHER, Stopwatch
from gaussians.cli.bench_views import BOUND_MB, bench_views
from gaussians.distill.recipe_json import to_json
from gaussians.train.initial import gaussians_from_points
from gaussians.train.optimisation import Optimisation
from tests.session import tiny

COUNT, WIDTH, HEIGHT = 60, 70, 45  # neither size a multiple of the tile


def test_bench_train_splits_a_step_into_its_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scene, to = tiny.write(tmp_path / "scene"), tmp_path / "b.json"
    short = functools.partial(bench_train.bench_train, warm_up=2, steps=6)
    monkeypatch.setattr(bench, "bench_train", short)
    before = [vars(owner).get(name) for owner, name, _ in bench_train._SEAMS]
    arguments = ["bench", "train", "--scene", str(scene), "--device", "cpu", "--json", str(to)]
    assert main(arguments) == 0
    assert [vars(owner).get(name) for owner, name, _ in bench_train._SEAMS] == before
    result = json.loads(to.read_text())
    assert list(result) == ["machine", "train"]
    train = result["train"]
    assert train["steps_per_second"] > 0
    parts = train["parts_ms"]
    assert set(parts) == {
        *("projection", "sort_and_binning", "forward", "loss", "backward", "optimizer", "refine", "other")
    }
    assert all(value > 0 for value in parts.values())
    assert train["step_to_rasterization"] == pytest.approx(sum(parts.values()) / train["rasterizing_ms"])
    copied = 2 * 4 * 59 * train["gaussians"]
    assert 1e-3 * train["copy_ms"] * result["machine"]["copy_bytes_per_second"] == pytest.approx(copied)
    shown = capsys.readouterr().out
    assert "steps/s" in shown
    assert f"a step takes {train['step_to_rasterization']:.2f} times rasterizing alone" in shown


def test_bench_distill_compares_the_pipeline_with_its_vanilla_teacher(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scene, to, made = tiny.write(tmp_path / "scene"), tmp_path / "b.json", tmp_path / "tiny.json"
    made.write_text(json.dumps(to_json(tiny.recipe())))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    arguments = ["--scene", str(scene), "--recipe", str(made), "--device", "cpu", "--json", str(to)]
    assert main(["bench", "distill", *arguments]) == 0
    assert not any((tmp_path / "temporary").iterdir())
    distill = json.loads(to.read_text())["distill"]
    seconds = {name: facts["seconds"] for name, facts in distill["models"].items()}
    assert list(seconds) == ["vanilla", "perturbed", "dropout", "ensemble", "student"]
    assert distill["pipeline_seconds"] == pytest.approx(sum(seconds.values()), abs=0.01)
    assert distill["vanilla_seconds"] == seconds["vanilla"]
    assert distill["ratio"] == pytest.approx(distill["pipeline_seconds"] / seconds["vanilla"], rel=1e-6)
    assert distill["wall_seconds"] > distill["pipeline_seconds"]
    assert distill["peak_memory_bytes"] == max(facts["peak_memory"] for facts in distill["models"].values())
    assert distill["memory_ratio"] >= 1
    assert (distill["size"], distill["steps"]) == ([tiny.WIDTH, tiny.HEIGHT], 40)
    shown = capsys.readouterr().out
    assert "x vanilla" in shown
    assert "with measuring and writing" in shown


def test_bench_scale_bounds_memory_and_not_the_photos(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = functools.partial(bench_scale, counts=(100, 300), sizes=((32, 24),))
    monkeypatch.setattr("gaussians.cli.bench.bench_scale", few)
    monkeypatch.setattr("gaussians.cli.bench.bench_views", functools.partial(bench_views, counts=(3, 100)))
    to, drawn = tmp_path / "scale.json", tmp_path / "scale.svg"
    assert main(["bench", "scale", "--device", "cpu", "--json", str(to), "--chart", str(drawn)]) == 0
    scale = json.loads(to.read_text())["scale"]
    points = scale["views"]
    assert [step["gaussians"] for step in scale["steps"]] == [100, 300]
    assert scale["steps"][1]["copy_ms"] == pytest.approx(3 * scale["steps"][0]["copy_ms"])
    assert points[2]["copy_ms"] == pytest.approx(points[0]["copy_ms"] * 100 / 3)
    assert "at most 64 MB" in drawn.read_text()
    pixels = 640 * 480 * 3
    assert [(point["views"], point["photo_memory_mb"]) for point in points] == [
        (3, None), (3, BOUND_MB), (100, None), (100, BOUND_MB),
    ]  # fmt: skip
    assert all(point["pixel_bytes"] == point["views"] * pixels for point in points)
    whole, bounded = (point["peak_bytes"] - point["base_bytes"] for point in points[2:])
    if whole:  # unknown on Windows
        assert bounded < whole
    text = capsys.readouterr().out
    assert "100, 92 MB" in text
    assert "32x24" in text


def test_only_scale_is_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "raster", "--chart", str(tmp_path / "raster.svg")]) == 2
    assert "only scale is drawn" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_files_that_cannot_be_written_are_refused_before_anything_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gaussians.cli.bench.bench_scale", None)
    for flag in ("--json", "--chart"):
        assert main(["bench", "scale", flag, str(tmp_path)]) == 2
        assert f"{tmp_path}: is a folder" in capsys.readouterr().err


def test_bench_offers_only_what_exists(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["bench", "everything"])
    assert ended.value.code == 2


def test_bench_gui_says_what_is_missing_and_which_size_is_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("gaussians.cli.virtual_user.NEEDED", ("no-such-program",))
    assert main(["bench", "gui", "--device", "cpu"]) == 2
    assert "needs no-such-program" in capsys.readouterr().err
    assert main(["bench", "gui", "--device", "cpu", "--size", "12by7"]) == 2
    assert "--size 12by7" in capsys.readouterr().err


def test_bench_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "train", "--scene", str(tmp_path / "gone")]) == 2
    assert "no such folder" in capsys.readouterr().err.splitlines()[-1]
    assert main(["bench", "raster", "--garden", str(tmp_path / "gone.npz")]) == 2
    assert "garden_points.npz" in capsys.readouterr().err.splitlines()[-1]


def test_a_stopwatch_books_nested_parts_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(bench_train.time, "perf_counter", lambda: now[0])
    waits: list[float] = []
    watch = Stopwatch(lambda: waits.append(now[0]))

    def passes(seconds: float) -> None:
        now[0] += seconds

    def outer() -> str:
        passes(1)
        watch.time("projection", passes)(10)
        passes(100)
        with pytest.raises(ZeroDivisionError):
            watch.time("loss", lambda: passes(1000) or 1 / 0)()
        return "done"

    assert watch.time(OTHER, outer)() == "done"
    booked = {part: seconds for part, seconds in watch.seconds.items() if seconds}
    assert booked == {OTHER: 101, "projection": 10, "loss": 1000}
    assert waits == [0, 1, 11, 111, 1111, 1111]


@pytest.mark.parametrize("is_direct", [True, False])
def test_every_seam_is_crossed_in_a_step(is_direct: bool) -> None:
    """A seam that training no longer goes through would leave its part at zero, unnoticed."""
    scene, optimise = tiny.scene(), tiny.recipe().teachers.optimise
    training = Optimisation(
        gaussians_from_points(scene.points, optimise, extent=scene.extent),
        scene.train,
        optimise,
        extent=scene.extent,
        background=scene.background,
        seed=0,
        stream="vanilla",
    )
    if not is_direct:
        training.shortcut = None
    way = bench_train._DIRECT if is_direct else bench_train._LONG_WAY
    for owner, name, part in (*bench_train._EITHER, *way):
        watch = Stopwatch()
        with bench_train._timed(owner, name, part, watch):
            next(training.steps(until=training.step + 1))
        assert watch.seconds[part] > 0, (owner, name)


def test_the_multiply_add_kernel_does_all_its_turns() -> None:
    out, one = np.empty(3, np.float32), np.float32(1)
    peaks._burn(3, 1000, one, one, out)
    assert out.tolist() == [1000 * 16 * peaks._CHAINS] * 3
