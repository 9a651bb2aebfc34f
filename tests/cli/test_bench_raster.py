import json
from pathlib import Path

import numpy as np
import pytest
import torch

from gaussians.cli import main, peaks
from gaussians.cli.evaluations import evaluations
from gaussians.cli.workload import GARDEN, garden, workload
from gaussians.errors import SceneError
from gaussians.raster.cpu.blend import forward_kernel
from gaussians.raster.cpu.functions import Bins, Lens, Project, empty_light, packed_rows
from gaussians.raster.cpu.layout import EXPONENT_MIN, LOG_OPACITY, WHO
from tests.cli.scenes import ring

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
    means2d, conics, depths, radii = (t[0].numpy() for t in Project.apply(*inputs, lens))  # pyright: ignore[reportGeneralTypeIssues] - torch's stubs don't type apply
    bins = Bins.of(means2d, conics, opacities, depths, radii, WIDTH, HEIGHT)
    packed = packed_rows(bins, means2d, conics, opacities, work.colors)
    image, alpha = np.empty((HEIGHT, WIDTH, 3), np.float32), np.empty((HEIGHT, WIDTH), np.float32)
    last = np.empty((HEIGHT, WIDTH), np.int32)
    light = empty_light(bins, wanted=False)
    forward_kernel(3)(packed, *bins.tiling(), np.zeros(3, np.float32), image, alpha, last, *light)
    return bins, packed, last


def counted(bins: Bins, packed: np.ndarray, last: np.ndarray) -> tuple[int, int]:
    """The same count in plain Python, by points that lie close in each block; and with all of the lists."""
    seen = whole = 0
    for tile in range(len(bins.starts) - 1):
        left, top = 16 * (tile % bins.tiles_x), 16 * (tile // bins.tiles_x)
        for place, member in enumerate(bins.members[bins.starts[tile] : bins.starts[tile + 1], WHO]):
            x, y, a, b, c, log_opacity = packed[member, : LOG_OPACITY + 1].astype(float)
            for block in range(16):
                dx = left + 4 * (block % 4) + 0.5 + np.linspace(0, 3, 61) - x
                dy = (top + 4 * (block // 4) + 0.5 + np.linspace(0, 3, 61) - y)[:, None]
                power = a * dx**2 + b * dx * dy + c * dy**2 + log_opacity
                reached = 16 * (power.max() >= EXPONENT_MIN - 0.01)
                whole += reached
                j, i = top + 4 * (block // 4), left + 4 * (block % 4)
                seen += reached if place < last[j : j + 4, i : i + 4].max(initial=0) else 0
    return seen, whole


@pytest.mark.parametrize("opacity", [None, 0.98], ids=["sparse", "opaque"])
def test_evaluations_are_those_that_the_kernels_carry_out(opacity: float | None, garden_file: Path) -> None:
    bins, packed, last = dealt(opacity, garden_file)
    count, (truth, whole) = evaluations(bins, packed, last), counted(bins, packed, last)
    assert truth <= count < 1.01 * truth  # points may miss what only just touches a block
    if opacity is not None:  # dense: much of the lists no pixel takes part in
        assert truth < 0.9 * whole


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
