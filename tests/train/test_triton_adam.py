"""Adam on CUDA: interpreted, against float64; compiled for GPUs; and where there is one, on it."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from gaussians.train import adam
from gaussians.train.adam import FusedAdam, step_together
from tests.on_triton import CUDA, compiled, interpreted, on_a_gpu
from tests.train.interpreted_adam import BETAS, CASES, EPS, RATE, TOGETHER, Case, updates


@pytest.fixture(scope="module")
def triton() -> Any:
    return pytest.importorskip("triton", reason="Triton is not installed")


@pytest.fixture(scope="module")
def outcomes(triton: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Tensor]]:
    """By case what `interpreted_adam` found."""
    return interpreted("tests.train.interpreted_adam", tmp_path_factory.mktemp("interpreted") / "outcomes")


def exact(case: Case) -> tuple[list[Tensor], Tensor]:
    """Parameter, mean and mean square after the step, in float64; and the visible rows."""
    arrays, visible = case.inputs()
    before, gradient, mean, square = (array.double() for array in arrays)
    mean = BETAS[0] * mean + (1 - BETAS[0]) * gradient
    square = BETAS[1] * square + (1 - BETAS[1]) * gradient.square()
    corrected = (square / (1 - BETAS[1] ** case.count)).sqrt() + EPS
    change = RATE * mean / (1 - BETAS[0] ** case.count) / corrected
    return [before - change, mean, square], visible


def assert_exact(case: Case, outcome: list[Tensor], tolerance: float, visible: Tensor | None = None) -> None:
    """Rows that are not visible stay; the others are right, relative to what they are and were."""
    arrays, _ = case.inputs()
    wanted, own = exact(case)
    visible = own if visible is None else visible
    for found, before, after in zip(outcome, [arrays[0], *arrays[2:]], wanted, strict=True):
        assert found.dtype == torch.float32
        assert torch.equal(found[~visible], before[~visible])
        errors = (found - after).abs() / (before.abs() + after.abs() + 1e-30)
        assert torch.all(errors[visible] <= tolerance), errors[visible].max()


def test_parameters_of_all_widths_move_by_one_launch(outcomes: dict[str, Any]) -> None:
    _, visible = TOGETHER[0].inputs()
    for case, found in zip(TOGETHER, outcomes["together"], strict=True):
        assert_exact(case, found, 7e-7, visible)


@pytest.mark.parametrize("name", CASES)
def test_the_kernel_agrees_with_float64(name: str, outcomes: dict[str, list[Tensor]]) -> None:
    assert_exact(CASES[name], outcomes[name], 7e-7)  # worst seen: 2.2e-7


@pytest.mark.parametrize("capability", [75, 90])
@pytest.mark.parametrize("selective", [False, True])
def test_the_kernel_compiles_for_gpus(triton: Any, capability: int, selective: bool, tmp_path: Path) -> None:
    from gaussians.train import adam_triton

    arrays = [list(torch.zeros(4, 20, *shape)) for shape in [(3,), (4,), (), (15, 3)]]
    visible = torch.ones(20, dtype=torch.bool) if selective else None

    def launch() -> None:
        adam_triton.update(updates([Case((20,))] * 4, arrays), visible, BETAS, EPS)

    kernels = compiled(adam_triton, ("adam",), launch, capability, tmp_path)
    assert ".f64" not in kernels["adam"].asm["ptx"]


def test_float32_off_the_cpu_goes_to_the_kernel_all_together(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    stub = ModuleType("adam_triton")
    vars(stub).update(update=lambda *arguments: calls.append(arguments), Update=lambda *parts: parts)
    monkeypatch.setattr(adam, "_on_gpu", {torch.device("meta"): stub}.get)
    params = [torch.nn.Parameter(torch.zeros(5, *shape, device="meta")) for shape in [(3,), (), (15, 3)]]
    optimizers = [FusedAdam([param], lr=0.5) for param in params]
    visible = torch.ones(5, dtype=torch.bool, device="meta")
    for param in params[:2]:  # harmonics have no gradient yet
        param.grad = torch.zeros_like(param)
    step_together(optimizers, visible)
    ((updates, *rest),) = calls
    assert rest == [visible, (0.9, 0.999), 1e-15]
    for parts, param, optimizer in zip(updates, params[:2], optimizers[:2], strict=True):
        state = optimizer.state[param]
        wanted = (param, param.grad, state["exp_avg"], state["exp_avg_sq"])
        assert all(given is array for given, array in zip(parts, wanted, strict=False))
        assert parts[4:] == pytest.approx((0.5 / 0.1, 0.001**-0.5))
        assert state["step"] == 1
        assert state["step"].device.type == "cpu", "else the host would wait for it"


def test_without_triton_pytorch_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gaussians.train.adam_triton", None)  # as where it can't be imported
    assert adam._on_gpu.__wrapped__(CUDA) is None
    assert adam._on_gpu.__wrapped__(torch.device("mps")) is None


def test_where_triton_fails_pytorch_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    def probe(device: torch.device) -> None:
        raise RuntimeError("Failed to find C compiler")

    broken = ModuleType("adam_triton")
    vars(broken)["probe"] = probe
    monkeypatch.setitem(sys.modules, "gaussians.train.adam_triton", broken)
    with pytest.warns(UserWarning, match="Adam takes PyTorch's kernels, as Triton fails: Failed to find"):
        assert adam._on_gpu.__wrapped__(CUDA) is None


class TestOnAGpu:
    pytestmark = on_a_gpu

    @pytest.mark.parametrize("name", CASES)
    def test_it_agrees_with_float64(self, triton: Any, name: str) -> None:
        from gaussians.train import adam_triton

        case = CASES[name]
        arrays, visible = case.inputs()
        device = tuple(array.cuda() for array in arrays)
        adam_triton.update(updates([case], [list(device)]), visible.cuda(), BETAS, EPS)
        assert_exact(case, [array.cpu() for array in (device[0], *device[2:])], 1e-5)

    def test_parameters_of_all_widths_move_by_one_launch(self, triton: Any) -> None:
        from gaussians.train import adam_triton

        inputs = [case.inputs() for case in TOGETHER]
        arrays, visible = [[array.cuda() for array in tensors] for tensors, _ in inputs], inputs[0][1]
        adam_triton.update(updates(TOGETHER, arrays), visible.cuda(), BETAS, EPS)
        for case, (param, _, mean, square) in zip(TOGETHER, arrays, strict=True):
            assert_exact(case, [param.cpu(), mean.cpu(), square.cpu()], 1e-5, visible)

    def test_the_host_does_not_wait(self, triton: Any) -> None:
        assert adam._on_gpu(CUDA) is not None, "else the gathering path would be tested"
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
