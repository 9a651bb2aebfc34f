"""Harmonics on CUDA: interpreted, against float64; compiled for GPUs; and where there is one, on it."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from gaussians.raster import cuda_stages
from gaussians.raster.reference_projection import view_colors
from gaussians.triton_kernels import triton_kernels
from tests.on_triton import CUDA, compiled, interpreted, on_a_gpu
from tests.raster.interpreted_harmonics import CASES, Case, outcome


@pytest.fixture(scope="module")
def triton() -> Any:
    return pytest.importorskip("triton", reason="Triton is not installed")


@pytest.fixture(scope="module")
def outcomes(triton: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Tensor]]:
    """By case what `interpreted_harmonics` found."""
    path = tmp_path_factory.mktemp("interpreted") / "outcomes"
    return interpreted("tests.raster.interpreted_harmonics", path)


def exact(case: Case) -> list[Tensor]:
    """Colours and gradients in float64, by the reference."""
    means, first, others, viewmats, radii, v_colors = case.inputs()
    leaves = [leaf.double().requires_grad_() for leaf in (means, first, others)]
    coefficients = torch.cat(leaves[1:], dim=1)
    colors = torch.stack(
        [view_colors(coefficients, leaves[0], view.double(), case.degree) for view in viewmats]
    )
    colors = colors * (radii > 0).all(dim=-1, keepdim=True)
    return [colors.detach(), *torch.autograd.grad(colors, leaves, v_colors.double(), materialize_grads=True)]


def assert_exact(case: Case, found: list[Tensor], tolerance: float) -> None:
    for ours, wanted in zip(found, exact(case), strict=True):
        assert ours.shape == wanted.shape
        assert ours.dtype == torch.float32
        largest = wanted.abs().max().item() if wanted.numel() else 0.0
        assert torch.all((ours.cpu() - wanted).abs() <= tolerance * max(largest, 1e-3))


@pytest.mark.parametrize("name", CASES)
def test_the_kernels_agree_with_float64(name: str, outcomes: dict[str, list[Tensor]]) -> None:
    colors = outcomes[name][0]
    if len(colors[0]) > 1:
        assert (colors == 0).any(), "some are unseen, or held at 0"
        assert (colors > 0).any()
    assert_exact(CASES[name], outcomes[name], 3e-6)


@pytest.mark.parametrize(("capability", "degree"), [(75, 0), (90, 3)])
def test_the_kernels_compile_for_gpus(triton: Any, capability: int, degree: int, tmp_path: Path) -> None:
    from gaussians.raster import harmonics_triton

    kernels = compiled(
        harmonics_triton,
        ("view_colors", "gradient"),
        lambda: outcome(Case(degree, cameras=2)),
        capability,
        tmp_path,
    )
    for kernel in kernels.values():
        assert ".f64" not in kernel.asm["ptx"]


def test_without_triton_gsplats_kernels_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        sys.modules, "gaussians.raster.harmonics_triton", None
    )  # as where it can't be imported
    assert cuda_stages._harmonics.__wrapped__(CUDA) is None


def test_whether_triton_works_does_not_depend_on_who_asks_first(monkeypatch: pytest.MonkeyPatch) -> None:
    kernels = ModuleType("kernels_that_want_gradients")

    def probe(device: torch.device) -> None:
        leaf = torch.zeros(1, requires_grad=True)
        torch.autograd.grad(2 * leaf, leaf)

    vars(kernels)["probe"] = probe
    monkeypatch.setitem(sys.modules, kernels.__name__, kernels)
    with torch.no_grad():
        assert triton_kernels(kernels.__name__, CUDA, "slower") is kernels


class TestOnAGpu:
    pytestmark = on_a_gpu

    @pytest.mark.parametrize("name", CASES)
    def test_they_agree_with_float64(self, triton: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        case = CASES[name]
        inputs = [tensor.cuda() for tensor in case.inputs()]
        if case.whole:
            together = torch.cat(inputs[1:3], dim=1)
            inputs[1:3] = together[:, :1], together[:, 1:]
        monkeypatch.setattr(Case, "inputs", lambda self: inputs)
        found = outcome(case)
        monkeypatch.undo()
        assert_exact(case, found, 1e-5)
