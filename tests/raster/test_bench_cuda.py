import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor

from gaussians import raster
from gaussians.cli.bench_cuda import bench_cuda
from gaussians.cli.bench_gsplat import beside_gsplat
from gaussians.cli.bench_tables import cuda_table, gsplat_line
from gaussians.cli.workload import demo
from gaussians.raster import cuda
from gaussians.train import optimisation
from tests.train.synthetic import EXTENT, photos, random_gaussians, ring_cameras


@pytest.mark.usefixtures("stand_in")
def test_both_ways_of_gsplat_and_both_losses_are_timed() -> None:
    work = demo()
    fields = {
        field: getattr(work, field)[:20] for field in ("means", "quats", "scales", "opacities", "colors")
    }
    camera = work.camera.resized(24, 18)
    times = bench_cuda(dataclasses.replace(work, **fields, camera=camera), torch.device("cpu"))
    assert list(times) == [
        "unpacked_forward_ms", "unpacked_backward_ms", "packed_forward_ms", "packed_backward_ms",
        "loss_ms", "plain_loss_ms",
    ]  # fmt: skip
    assert all(milliseconds > 0 for milliseconds in times.values())


def test_the_table_sets_the_cpu_beside_the_gpu() -> None:
    parts = {"projection": 1.0, "binning": 2.0, "forward": 5.0, "projection_backward": 4.0, "backward": 12.0}
    raster: dict[str, Any] = {f"{part}_ms": milliseconds for part, milliseconds in parts.items()}
    raster["cuda"] = {"packed_forward_ms": 0.5, "packed_backward_ms": 1.0, "loss_ms": 0.25}
    table = cuda_table("NVIDIA H100", raster)
    assert [list(column.cells) for column in table.columns] == [
        ["packed forward", "packed backward", "loss"], ["0.500", "1.000", "0.250"], ["16", "16", ""],
    ]  # fmt: skip


@pytest.mark.usefixtures("stand_in")
def test_our_step_is_timed_beside_gsplats(monkeypatch: pytest.MonkeyPatch) -> None:
    backends = []

    def backend(name: str, means: Tensor) -> Any:
        backends.append(name)
        return cuda

    gaussians = random_gaussians(20, sh_degree=3)
    views = photos(gaussians, ring_cameras(2, size=18))
    monkeypatch.setattr(raster, "_backend", backend)
    monkeypatch.setattr(optimisation, "can_go_direct", lambda recipe, device, backend: False)
    times = beside_gsplat(gaussians, views, EXTENT, torch.device("cpu"), steps=2)
    assert list(times) == ["ours_ms", "gsplat_ms"]
    assert all(milliseconds > 0 for milliseconds in times.values())
    assert len(backends) == 4
    assert gsplat_line({"ours_ms": 2.0, "gsplat_ms": 5.0}).endswith("5.00 ms, 2.5 times as long")
