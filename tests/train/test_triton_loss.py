"""The CUDA colour loss: interpreted, against float64; compiled for GPUs; and where there is one, on it."""

import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from gaussians.train.losses import _fused_loss, color_losses
from gaussians.train.plain_loss import plain_color_losses
from gaussians.train.pull import pull
from gaussians.train.transfer import to_device
from tests.on_triton import CUDA, PROJECT, compiled, interpreted, on_a_gpu
from tests.train.interpreted_loss import CASES


@pytest.fixture(scope="module")
def triton() -> Any:
    return pytest.importorskip("triton", reason="Triton is not installed")


@pytest.fixture(scope="module")
def outcomes(triton: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Tensor]]:
    """By case what `interpreted_loss` found."""
    return interpreted("tests.train.interpreted_loss", tmp_path_factory.mktemp("interpreted") / "outcomes")


@pytest.mark.parametrize("name", [name for name in CASES if name != "NaN"])
def test_kernels_agree_with_float64(name: str, outcomes: dict[str, dict[str, Tensor]]) -> None:
    case, found = CASES[name], outcomes[name]
    rendered, targets, mask = case.inputs()
    exact = rendered.double().requires_grad_()
    plain = plain_color_losses(exact, targets, case.weights, case.mixes, mask)
    (3 * plain.total).backward()
    assert exact.grad is not None
    for value, wanted in zip((found["total"], found["l1"], found["dssim"]), plain, strict=True):
        assert value.shape == wanted.shape
        assert value.dtype == torch.float32
        assert torch.allclose(value.double(), wanted, atol=1e-6)  # worst seen: 5.1e-8
    assert torch.equal(found["frozen"], found["total"])
    # Worst seen: 2.8e-7 of the largest entry.
    largest = exact.grad.abs().max().item()
    assert (found["gradient"] - exact.grad).abs().max().item() <= 1e-5 * largest


def test_an_empty_mask_gives_zeros(outcomes: dict[str, dict[str, Tensor]]) -> None:
    assert not any(value.any() for value in outcomes["empty mask"].values())


def test_nan_is_seen(outcomes: dict[str, dict[str, Tensor]]) -> None:
    assert outcomes["NaN"]["total"].isnan()


@pytest.mark.parametrize("capability", [75, 90])
@pytest.mark.parametrize("bare", [False, True], ids=["all arguments", "no mask, no gradient"])
def test_kernels_compile_for_gpus(triton: Any, capability: int, bare: bool, tmp_path: Path) -> None:
    from gaussians.train import ssim_triton

    rendered = torch.zeros(6, 5, 3, requires_grad=not bare)
    targets = [torch.zeros(6, 5, 3), torch.zeros(6, 5, 3, dtype=torch.uint8)]
    mask = None if bare else torch.ones(6, 5, dtype=torch.bool)

    def launch() -> None:
        ssim_triton.TritonColorLoss.apply(rendered, targets, [1, 0.5], [0.2, 0.0], mask)

    names = ("blur_statistics", "compare", "blur_rows", "gradient_image")
    kernels = compiled(ssim_triton, names, launch, capability, tmp_path)
    assert tuple(kernels) == (names[:2] if bare else names)


def test_without_triton_the_plain_path_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gaussians.train.ssim_triton", None)  # as where it can't be imported
    assert _fused_loss.__wrapped__(CUDA) is None


def test_where_triton_fails_the_plain_path_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    def probe(device: torch.device) -> None:
        raise RuntimeError("Failed to find C compiler")

    broken = ModuleType("ssim_triton")
    broken.__dict__.update(probe=probe, TritonColorLoss=None)
    monkeypatch.setitem(sys.modules, "gaussians.train.ssim_triton", broken)
    with pytest.warns(UserWarning, match="Failed to find C compiler"):
        assert _fused_loss.__wrapped__(CUDA) is None


def test_the_cpu_needs_no_triton() -> None:
    code = (
        "import sys, torch, gaussians.train.losses as losses\n"
        "losses.color_loss(torch.rand(12, 12, 3), torch.rand(12, 12, 3))\n"
        "print(*sorted({'triton', 'torch._dynamo'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    assert result.stdout.split() == []


class TestOnAGpu:
    pytestmark = on_a_gpu

    @pytest.mark.parametrize("masked", [False, True])
    @pytest.mark.parametrize("size", [(1, 1), (16, 33), (70, 200), (540, 960)], ids=str)
    def test_it_agrees_with_float64(self, triton: Any, size: tuple[int, int], masked: bool) -> None:
        rendered, targets, mask = _on_the_gpu(size, masked)
        loss = color_losses(rendered, targets, [1.0, 0.5], [0.2, 1.0], mask)
        loss.total.backward()
        exact = rendered.detach().double().requires_grad_()
        plain = plain_color_losses(exact, targets, [1.0, 0.5], [0.2, 1.0], mask)
        plain.total.backward()
        assert rendered.grad is not None
        assert exact.grad is not None
        for value, wanted in zip(loss, plain, strict=True):
            assert torch.allclose(value.double(), wanted, atol=1e-5)
        largest = exact.grad.abs().max().item()
        assert (rendered.grad - exact.grad).abs().max().item() <= 1e-4 * largest

    def test_it_repeats_to_the_bit(self, triton: Any) -> None:
        rendered, targets, mask = _on_the_gpu((150, 200), masked=True)
        first, second = (color_losses(rendered, targets, [1.0, 0.5], 0.2, mask).total for _ in range(2))
        assert torch.equal(first, second)

    @pytest.mark.parametrize("masked", [False, True])
    def test_the_host_does_not_wait(self, triton: Any, masked: bool) -> None:
        rendered, targets, mask = _on_the_gpu((70, 90), masked)
        color_losses(rendered, targets, [1.0, 0.5], 0.2, mask).total.backward()  # compiles
        centres = torch.rand(1, 20, 2, device=CUDA, requires_grad=True)
        centres.sum().backward()
        radii = torch.ones(1, 20, 2, dtype=torch.int32, device=CUDA)
        torch.cuda.set_sync_debug_mode("error")
        try:
            loss = color_losses(rendered, targets, [1.0, 0.4], 0.2, mask)
            loss.total.backward()
            label = to_device(torch.arange(9), CUDA)
            pull({"means2d": centres, "radii": radii, "n_cameras": 1, "width": 90, "height": 70}, False)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        assert label.tolist() == list(range(9))


def _on_the_gpu(size: tuple[int, int], masked: bool) -> tuple[Tensor, list[Tensor], Tensor | None]:
    """Rendered image, a float and a uint8 target, and half of the pixels as mask."""
    assert _fused_loss(CUDA) is not None, "else the plain path would be tested"
    generator = torch.Generator(CUDA).manual_seed(0)
    rendered, photo, label = torch.rand(3, *size, 3, generator=generator, device=CUDA)
    mask = torch.rand(size, generator=generator, device=CUDA) < 0.5 if masked else None
    return rendered.clone().requires_grad_(), [photo, (255 * label).byte()], mask
