import functools
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch

from gaussians.cli import bench, bench_train, main, peaks
from gaussians.cli.bench_scale import bench_scale
from gaussians.cli.bench_train import OTHER, Stopwatch
from gaussians.cli.bench_views import BOUND_MB, bench_views
from gaussians.cli.evaluations import evaluations
from gaussians.cli.workload import GARDEN, garden, workload
from gaussians.distill.recipe_json import to_json
from gaussians.errors import SceneError
from gaussians.raster.cpu.blend import forward_kernel
from gaussians.raster.cpu.functions import Bins, Lens, Project, packed_rows
from gaussians.raster.cpu.rows import EXPONENT_MIN
from gaussians.train.initial import gaussians_from_points
from gaussians.train.optimisation import Optimisation
from tests.cli.scenes import ring
from tests.session import tiny

COUNT, WIDTH, HEIGHT = 60, 70, 45  # neither size a multiple of the tile


def write_garden(path: Path) -> Path:
    rng = np.random.default_rng(5)
    camera = ring(1)[0]
    K = np.array([[60.0, 0, WIDTH / 2], [0, 60, HEIGHT / 2], [0, 0, 1]])
    np.savez(
        path,
        means3d=rng.normal(0, 0.5, (COUNT, 3)),
        colors=rng.integers(0, 256, (COUNT, 3)),
        viewmats=np.stack([camera.viewmat, np.eye(4)]),
        Ks=np.stack([K, np.eye(3)]),
        width=WIDTH,
        height=HEIGHT,
    )
    return path


@pytest.fixture
def garden_file(tmp_path: Path) -> Path:
    return write_garden(tmp_path / "points.npz")


def test_garden_is_drawn_in_the_order_of_the_contract(garden_file: Path) -> None:
    work = workload(garden_file)
    means = np.load(garden_file)["means3d"]
    distances = np.linalg.norm(means[:, None] - means[None], axis=2)
    spacing = np.sort(distances, axis=1)[:, 1:4].mean(axis=1)
    rng = np.random.default_rng(0)
    scales = spacing[:, None] * rng.uniform(0.3, 1.0, (COUNT, 3))
    quats = rng.normal(0, 1, (COUNT, 4))
    assert work.name == "garden"
    assert np.abs(work.scales / scales - 1).max() < 1e-5  # worst seen 2e-7
    assert np.abs(work.quats - quats / np.linalg.norm(quats, axis=1, keepdims=True)).max() < 1e-6
    assert np.abs(work.opacities - rng.uniform(0.05, 1, COUNT)).max() < 1e-6
    assert np.abs(work.colors * 255 - np.load(garden_file)["colors"]).max() < 1e-4
    assert (work.camera.width, work.camera.height) == (WIDTH, HEIGHT)
    assert np.array_equal(work.camera.viewmat, ring(1)[0].viewmat)


def test_a_file_that_is_not_gardens_is_named(tmp_path: Path) -> None:
    text, other = tmp_path / "text.npz", tmp_path / "other.npz"
    text.write_text("no arrays")
    np.savez(other, means3d=np.zeros((3, 3)))
    for path in (text, other, tmp_path / "gone.npz"):
        with pytest.raises(SceneError, match=f"{path.name}: not readable as garden's points"):
            garden(path)


def test_the_demo_stands_in_for_garden(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("gaussians.cli.workload.GARDEN", tmp_path / "gone.npz")
    work = workload(None)
    assert work.name == "demo"
    assert len(work.means) == len(work.colors) == 138_766
    assert (work.camera.width, work.camera.height) == (480, 360)
    assert work.scales.min() > 0
    assert np.isfinite(work.means).all()
    assert work.colors.max() <= 1


@pytest.mark.shared
@pytest.mark.skipif(not GARDEN.is_file(), reason="../shared is absent")
def test_the_real_garden() -> None:
    work = workload(None)
    assert (work.name, len(work.means)) == ("garden", 138_766)
    assert (work.camera.width, work.camera.height) == (648, 420)


def dealt(opacity: float | None, garden_file: Path) -> tuple[Bins, np.ndarray, np.ndarray]:
    """Bins, packed rows, and `last` [H, W] of the forward kernel."""
    work = garden(garden_file)
    opacities = work.opacities if opacity is None else np.full(COUNT, opacity, np.float32)
    scales = work.scales if opacity is None else work.scales * 8
    view = work.camera.tensors()
    lens = Lens.of(view["viewmats"], view["Ks"], WIDTH, HEIGHT, (0.01, 1e10, 0.3))
    inputs = [torch.from_numpy(field) for field in (work.means, work.quats, scales, opacities)]
    means2d, conics, depths, radii, extents = (t[0].numpy() for t in Project.apply(*inputs, lens))  # pyright: ignore[reportGeneralTypeIssues] - torch's stubs don't type apply
    bins = Bins.of(means2d, depths, radii, WIDTH, HEIGHT)
    packed = packed_rows(bins, means2d, conics, opacities, extents, work.colors)
    image, transmittance = np.empty((HEIGHT, WIDTH, 3), np.float32), np.empty((HEIGHT, WIDTH), np.float32)
    last = np.empty((HEIGHT, WIDTH), np.int32)
    forward_kernel(3)(packed, *bins.tiling(), np.zeros(3, np.float32), image, transmittance, last)
    return bins, packed, last


def counted(bins: Bins, packed: np.ndarray, last: np.ndarray) -> tuple[int, int]:
    """The same counts in plain Python; the backward one by the kernel's own record of what it drew."""
    forward = backward = 0
    for tile in range(len(bins.starts) - 1):
        left, top = 16 * (tile % bins.tiles_x), 16 * (tile // bins.tiles_x)
        rows = min(16, HEIGHT - top)
        deepest = last[top : top + 16, left : left + 16].max()
        through = np.ones((rows, 16))
        for place, rank in enumerate(bins.ranks[bins.starts[tile] : bins.starts[tile + 1]]):
            x, y, a, b, c, log_opacity, reach = packed[rank, :7].astype(float)
            inside = [j for j in range(rows) if abs(top + j + 0.5 - y) <= reach + 0.001]
            forward += 16 * len(inside)
            backward += 16 * len(inside) if place < deepest else 0
            dy = (top + np.array(inside) + 0.5 - y)[:, None]
            dx = left + np.arange(16) + 0.5 - x
            power = a * dx**2 + b * dx * dy + c * dy**2 + log_opacity
            alpha = np.where(power >= EXPONENT_MIN, np.minimum(np.exp2(power), 0.999), 0)
            after = through[inside] * (1 - alpha)
            through[inside] = np.where((after > 1e-4) | (through[inside] < 0), after, -1)
            if place % 16 == 15 and (through < 0).all():
                break
    return forward, backward


@pytest.mark.parametrize("opacity", [None, 0.98], ids=["sparse", "opaque"])
def test_evaluations_are_those_that_the_kernels_carry_out(opacity: float | None, garden_file: Path) -> None:
    bins, packed, last = dealt(opacity, garden_file)
    forward, backward = evaluations(bins, packed, WIDTH, HEIGHT)
    assert (forward, backward) == counted(bins, packed, last)
    if opacity is not None:  # dense: most of the lists are never looked at
        assert backward <= forward < 0.9 * 256 * len(bins.ranks)


def test_bench_raster_reports_what_the_contract_names(
    garden_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(peaks, "_COPIED", 1 << 16)
    monkeypatch.setattr(peaks, "_TURNS", 1 << 10)
    to = tmp_path / "b.json"
    assert main(["bench", "raster", "--garden", str(garden_file), "--json", str(to)]) == 0
    result = json.loads(to.read_text())
    assert list(result) == ["machine", "raster"]
    raster = result["raster"]["garden"]
    assert (raster["gaussians"], raster["width"], raster["height"]) == (COUNT, WIDTH, HEIGHT)
    for part in ("projection", "projection_backward", "binning", "forward", "backward"):
        assert raster[f"{part}_ms"] > 0
    assert raster["runs"] >= 10
    cores_ns = 1e6 * raster["forward_ms"] * raster["threads"]
    assert raster["ns_per_evaluation_core"] == pytest.approx(cores_ns / raster["evaluations"])
    assert raster["share_of_fma_peak"] > 0
    assert raster["share_of_copy_bandwidth"] > 0
    machine = result["machine"]
    assert machine["copy_bytes_per_second"] > 1e7
    assert machine["fma_per_second"] > 1e7
    assert {"processor", "vector_units", "cores", "threads", "memory_bytes", "versions"} <= set(machine)
    assert "garden: 60 Gaussians, 70x45" in capsys.readouterr().out


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
    assert "steps/s" in capsys.readouterr().out


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
    few = functools.partial(bench_scale, counts=(100,), sizes=((32, 24),))
    monkeypatch.setattr("gaussians.cli.bench.bench_scale", few)
    monkeypatch.setattr("gaussians.cli.bench.bench_views", functools.partial(bench_views, (3, 100)))
    assert main(["bench", "scale", "--device", "cpu", "--json", str(tmp_path / "scale.json")]) == 0
    scale = json.loads((tmp_path / "scale.json").read_text())["scale"]
    points = scale["views"]
    assert [step["gaussians"] for step in scale["steps"]] == [100]
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


def test_every_seam_is_crossed_in_a_step() -> None:
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
    for owner, name, part in bench_train._SEAMS:
        watch = Stopwatch()
        with bench_train._timed(owner, name, part, watch):
            next(training.steps(until=training.step + 1))
        assert watch.seconds[part] > 0, (owner, name)


def test_the_multiply_add_kernel_does_all_its_turns() -> None:
    out, one = np.empty(3, np.float32), np.float32(1)
    peaks._burn(3, 1000, one, one, out)
    assert out.tolist() == [1000 * 16 * peaks._CHAINS] * 3
