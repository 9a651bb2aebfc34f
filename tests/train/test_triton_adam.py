"""Selective Adam on CUDA: interpreted, against float64; compiled for GPUs; and where there is one, on it."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from gaussians.train import adam
from gaussians.train.adam import FusedAdam
from tests.train.interpreted_adam import BETAS, CASES, EPS, RATE, Case
from tests.train.on_triton import CUDA, compiled, interpreted, on_a_gpu


@pytest.fixture(scope="module")
def triton() -> Any:
    return pytest.importorskip("triton", reason="Triton is not installed")


@pytest.fixture(scope="module")
def outcomes(triton: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Tensor]]:
    """By case what `interpreted_adam` found."""
    return interpreted("interpreted_adam", tmp_path_factory.mktemp("interpreted") / "outcomes")


def exact(case: Case) -> tuple[list[Tensor], Tensor]:
    """Parameter, mean and mean square after the step, in float64; and the visible rows."""
    arrays, visible = case.inputs()
    before, gradient, mean, square = (array.double() for array in arrays)
    mean = BETAS[0] * mean + (1 - BETAS[0]) * gradient
    square = BETAS[1] * square + (1 - BETAS[1]) * gradient.square()
    corrected = (square / (1 - BETAS[1] ** case.count)).sqrt() + EPS
    change = RATE * mean / (1 - BETAS[0] ** case.count) / corrected
    return [before - change, mean, square], visible


def assert_exact(case: Case, outcome: list[Tensor], tolerance: float) -> None:
    """Rows that are not visible stay; the others are right, relative to what they are and were."""
    arrays, _ = case.inputs()
    wanted, visible = exact(case)
    for found, before, after in zip(outcome, [arrays[0], *arrays[2:]], wanted, strict=True):
        assert found.dtype == torch.float32
        assert torch.equal(found[~visible], before[~visible])
        errors = (found - after).abs() / (before.abs() + after.abs() + 1e-30)
        assert torch.all(errors[visible] <= tolerance), errors[visible].max()


@pytest.mark.parametrize("name", CASES)
def test_the_kernel_agrees_with_float64(name: str, outcomes: dict[str, list[Tensor]]) -> None:
    assert_exact(CASES[name], outcomes[name], 7e-7)  # worst seen: 2.2e-7


@pytest.mark.parametrize("capability", [75, 90])
@pytest.mark.parametrize("shape", [(20, 3), (20,), (20, 15, 3)], ids=str)
def test_the_kernel_compiles_for_gpus(
    triton: Any, capability: int, shape: tuple[int, ...], tmp_path: Path
) -> None:
    from gaussians.train import adam_triton

    arrays = tuple(torch.zeros(4, *shape))
    visible = torch.ones(20, dtype=torch.bool)

    def launch() -> None:
        adam_triton.update_rows(arrays, torch.ones(()), visible, RATE, BETAS, EPS)

    kernels = compiled(adam_triton, ("adam_rows",), launch, capability, tmp_path)
    assert ".f64" not in kernels["adam_rows"].asm["ptx"]


def test_float32_off_the_cpu_goes_to_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    stub = ModuleType("adam_triton")
    vars(stub)["update_rows"] = lambda *arguments: calls.append(arguments)
    monkeypatch.setattr(adam, "_rows_on_gpu", {torch.device("meta"): stub}.get)
    param = torch.nn.Parameter(torch.zeros(5, 3, device="meta"))
    param.grad = torch.zeros(5, 3, device="meta")
    visible = torch.ones(5, dtype=torch.bool, device="meta")
    optimizer = FusedAdam([param], lr=0.5)
    optimizer.step(visible=visible)
    ((arrays, *rest),) = calls
    state = optimizer.state[param]
    wanted = (param, param.grad, state["exp_avg"], state["exp_avg_sq"])
    assert all(given is array for given, array in zip(arrays, wanted, strict=True))
    assert rest == [state["step"], visible, 0.5, (0.9, 0.999), 1e-15]


def test_without_triton_rows_are_gathered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gaussians.train.adam_triton", None)  # as where it can't be imported
    assert adam._rows_on_gpu.__wrapped__(CUDA) is None
    assert adam._rows_on_gpu.__wrapped__(torch.device("mps")) is None


def test_where_triton_fails_rows_are_gathered(monkeypatch: pytest.MonkeyPatch) -> None:
    def probe(device: torch.device) -> None:
        raise RuntimeError("Failed to find C compiler")

    broken = ModuleType("adam_triton")
    vars(broken)["probe"] = probe
    monkeypatch.setitem(sys.modules, "gaussians.train.adam_triton", broken)
    with pytest.warns(UserWarning, match="Adam gathers the rows it updates, as Triton fails: Failed to find"):
        assert adam._rows_on_gpu.__wrapped__(CUDA) is None


class TestOnAGpu:
    pytestmark = on_a_gpu

    @pytest.mark.parametrize("name", CASES)
    def test_it_agrees_with_float64(self, triton: Any, name: str) -> None:
        from gaussians.train import adam_triton

        case = CASES[name]
        arrays, visible = case.inputs()
        device = tuple(array.cuda() for array in arrays)
        step = torch.tensor(float(case.count), device=CUDA)
        adam_triton.update_rows(device, step, visible.cuda(), RATE, BETAS, EPS)
        assert_exact(case, [array.cpu() for array in (device[0], *device[2:])], 1e-5)

    def test_the_host_does_not_wait(self, triton: Any) -> None:
        assert adam._rows_on_gpu(CUDA) is not None, "else the gathering path would be tested"
        param = torch.nn.Parameter(torch.rand(30, 3, device=CUDA))
        visible = torch.rand(30, device=CUDA) < 0.5
        optimizer = FusedAdam([param])
        param.grad = torch.rand(30, 3, device=CUDA)
        optimizer.step(visible=visible)  # compiles, and makes the state
        torch.cuda.set_sync_debug_mode("error")
        try:
            optimizer.step(visible=visible)
        finally:
            torch.cuda.set_sync_debug_mode("default")
        assert optimizer.state[param]["step"] == 2
