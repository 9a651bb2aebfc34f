import dataclasses
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from gaussians.raster import rasterize
from gaussians.scene.types import View
from gaussians.train import flips
from gaussians.train.evaluate import evaluate, render_view
from gaussians.train.metrics import MAX_PSNR

from .synthetic import BLACK, photos, random_gaussians, ring_cameras

GAUSSIANS = random_gaussians(60, sh_degree=2)
CAMERA = ring_cameras(3)[1]


def test_a_view_is_what_the_rasterizer_makes_of_it_clamped_and_without_gradients():
    trained = GAUSSIANS.map(lambda tensor: tensor.clone().requires_grad_())
    behind = (1.0, 0.5, 0.25)
    image = render_view(trained, CAMERA, behind)
    expected = rasterize(**GAUSSIANS.render_args(), **CAMERA.tensors(), backgrounds=torch.tensor([behind]))[
        0
    ][0]
    assert image.shape == (48, 48, 3)
    assert not image.requires_grad
    assert float(expected.max()) > 1
    assert torch.equal(image, expected.clamp(0, 1))


def test_fewer_sh_bands_than_there_are_can_be_shown_and_more_cannot():
    flat = render_view(GAUSSIANS, CAMERA, BLACK, sh_degree=0)
    cut = dataclasses.replace(GAUSSIANS, shN=GAUSSIANS.shN[:, :0])
    assert torch.equal(flat, render_view(cut, CAMERA, BLACK))
    full = render_view(GAUSSIANS, CAMERA, BLACK)
    assert torch.equal(full, render_view(GAUSSIANS, CAMERA, BLACK, sh_degree=3))
    assert not torch.equal(full, flat)


def test_no_gaussians_show_the_background():
    image = render_view(GAUSSIANS.select(torch.zeros(60, dtype=torch.bool)), CAMERA, (0.25, 0.5, 1.0), "cpu")
    assert torch.equal(image, torch.tensor([0.25, 0.5, 1.0]).expand(48, 48, 3))


def _grey(level: int, name: str, mask: np.ndarray | None = None) -> View:
    return View(name, CAMERA, np.full((48, 48, 3), level, dtype=np.uint8), mask)


def test_evaluation_has_each_view_by_name_and_the_mean_of_their_metrics():
    views = [_grey(51, "a.png"), _grey(102, "b.png")]
    evaluation = evaluate(lambda view: torch.full((48, 48, 3), 0.3), views)
    assert [name for name, _ in evaluation.per_view] == ["a.png", "b.png"]
    assert [metrics.psnr for _, metrics in evaluation.per_view] == pytest.approx([20, 20], abs=1e-4)
    assert evaluation.mean is not None
    for metric in ("psnr", "ssim", "flip"):
        values = [getattr(metrics, metric) for _, metrics in evaluation.per_view]
        assert getattr(evaluation.mean, metric) == pytest.approx(sum(values) / 2)


def test_only_pixels_within_the_mask_count():
    mask = np.zeros((48, 48), dtype=bool)
    mask[:24] = True

    def half(view: View) -> Tensor:
        return torch.cat([torch.full((24, 48, 3), 0.2), torch.full((24, 48, 3), 0.9)])

    assert evaluate(half, [_grey(51, "a.png", mask)]).per_view[0][1].psnr == MAX_PSNR
    assert evaluate(half, [_grey(51, "a.png")]).per_view[0][1].psnr < 10


def test_the_true_gaussians_score_as_well_as_8_bits_allow():
    views = photos(GAUSSIANS, ring_cameras(3))
    mean = evaluate(lambda view: render_view(GAUSSIANS, view.camera, BLACK), views).mean
    assert mean is not None
    assert mean.psnr > 58  # rounding to 8 bits alone: 58.9 dB
    assert mean.ssim > 0.999
    assert mean.flip < 0.01


def test_without_views_there_is_no_mean():
    assert evaluate(lambda view: torch.zeros(1), []).mean is None


def _noisy(views: list[View]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(48, 48, 3, generator=generator) for _ in views]


@pytest.mark.parametrize("dies", [False, True])
def test_flip_of_many_pixels_is_computed_by_processes_and_one_that_dies_is_done_without(
    monkeypatch: pytest.MonkeyPatch, dies: bool
) -> None:
    views = [_grey(40 * i, f"{i}.png") for i in range(6)]
    views[2] = dataclasses.replace(views[2], mask=np.tile(np.arange(48) < 30, (48, 1)))
    renders = dict(zip([view.name for view in views], _noisy(views), strict=True))
    alone = evaluate(lambda view: renders[view.name], views)
    started: list[flips.Flips] = []
    begin = flips.Flips.__enter__

    def noted(self: flips.Flips) -> flips.Flips:
        started.append(self)
        return begin(self)

    def render(view: View) -> Tensor:
        pool = started[0]._pool
        if dies and view.name == "4.png" and pool is not None:
            for process in list(pool._processes.values()):
                process.kill()
        return renders[view.name]

    monkeypatch.setattr(flips, "_WORTH", 1)
    monkeypatch.setattr(flips, "workers", lambda: 2)
    monkeypatch.setattr(flips.Flips, "__enter__", noted)
    together = evaluate(render, views)
    assert isinstance(started[0]._pool, flips.ProcessPoolExecutor) or dies
    assert together == alone
    assert len({metrics.flip for _, metrics in alone.per_view}) == 6


_ASKS = """
import numpy, sys
from gaussians.train import flips
if __name__ == "__main__":
    flips.workers = lambda: 2
    image = numpy.random.default_rng(0).random((64, 64, 3), numpy.float32)
    with flips.Flips(flips._WORTH) as begun:
        begun.add(image, image, None)
        begun.means()
        print(*begun._pool._processes, flush=True)
        sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="looks for processes as POSIX does")
def test_processes_end_with_one_that_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "asks.py"
    script.write_text(_ASKS)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, str(script)]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as asking:
        assert asking.stdout is not None
        children = [int(number) for number in asking.stdout.readline().split()]
        assert children
        asking.kill()
    until = time.monotonic() + 30
    while any(map(_runs, children)):
        assert time.monotonic() < until, "they wait for more work"
        time.sleep(0.05)


def _runs(process: int) -> bool:
    """Whether there is such a process, that is no zombie."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True).stdout
    return bool(state.strip()) and not state.startswith("Z")
