"""FusedAdam against torch.optim.Adam, for visible rows only, and under gsplat's edits of its state."""

import pytest
import torch
from gsplat.strategy import ops
from torch import Tensor

from gaussians.train.adam import FusedAdam

SHAPES = {"means": (200, 3), "quats": (200, 4), "scales": (200, 3), "opacities": (200,), "shN": (200, 15, 3)}


def gradient_of(shape: torch.Size | tuple[int, ...], step: int, dtype: torch.dtype) -> Tensor:
    """Gradients over many orders of magnitude, some rows exactly zero, as rasterizers give them."""
    generator = torch.Generator().manual_seed(step)
    gradient = torch.randn(shape, generator=generator, dtype=dtype)
    gradient *= 10.0 ** torch.randint(-9, 3, shape, generator=generator)
    gradient[torch.rand(shape[0], generator=generator) < 0.2] = 0
    return gradient


def relative_difference(one: Tensor, other: Tensor) -> float:
    return ((one - other).abs() / other.abs().clamp(min=1e-30)).max().item()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_50_steps_are_those_of_torch(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    start = torch.randn(shape, generator=torch.Generator().manual_seed(7), dtype=dtype)
    ours, theirs = (torch.nn.Parameter(start.clone()) for _ in range(2))
    fused = FusedAdam([ours], lr=0.01)
    adam = torch.optim.Adam([theirs], lr=0.01, eps=1e-15, foreach=False)
    for step in range(50):
        if step == 25:  # schedules write here
            fused.param_groups[0]["lr"] = adam.param_groups[0]["lr"] = 0.002
        ours.grad = gradient_of(shape, step, dtype)
        theirs.grad = ours.grad.clone()
        fused.step()
        adam.step()
    # Worst seen in float32: values (of order 1) 2.4e-7, moments 7e-7 relative; in float64 4.4e-16 and none.
    tolerance = 2e-6 if dtype == torch.float32 else 1e-14
    assert (ours - theirs).abs().max().item() <= tolerance
    for key in ("exp_avg", "exp_avg_sq"):
        assert relative_difference(fused.state[ours][key], adam.state[theirs][key]) <= tolerance
    assert fused.state[ours]["step"] == 50


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_visible_rows_are_updated_and_no_others(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    """float32 is our kernel, float64 PyTorch's on gathered rows; both against torch.optim.Adam row by row."""
    start = torch.randn(shape, generator=torch.Generator().manual_seed(7), dtype=dtype)
    ours = torch.nn.Parameter(start.clone())
    fused = FusedAdam([ours], lr=0.01)
    value, mean, square = start.double(), torch.zeros(shape).double(), torch.zeros(shape).double()
    for step in range(1, 51):
        visible = torch.rand(shape[0], generator=torch.Generator().manual_seed(step)) < 0.6
        ours.grad = gradient_of(shape, step, dtype)
        before = ours.detach().clone()
        fused.step(visible=visible)
        assert torch.equal(ours[~visible], before[~visible])
        g = ours.grad.double()[visible]
        mean[visible] = 0.9 * mean[visible] + 0.1 * g
        square[visible] = 0.999 * square[visible] + 0.001 * g * g
        corrected = (square[visible] / (1 - 0.999**step)).sqrt() + 1e-15
        value[visible] -= 0.01 * mean[visible] / (1 - 0.9**step) / corrected
    # Worst seen, for values of order 1: 1.3e-6 in float32, 1.4e-15 in float64.
    assert (ours - value).abs().max().item() <= (5e-6 if dtype == torch.float32 else 1e-13)


def test_all_visible_is_as_without() -> None:
    start = torch.randn(500, 3, generator=torch.Generator().manual_seed(7))
    results = []
    for visible in (None, torch.ones(500, dtype=torch.bool)):
        param = torch.nn.Parameter(start.clone())
        optimizer = FusedAdam([param], lr=0.01)
        for step in range(5):
            param.grad = gradient_of(param.shape, step, torch.float32)
            optimizer.step(visible=visible)
        results.append(param.detach())
    assert (results[0] - results[1]).abs().max().item() <= 1e-6  # worst seen 6e-8


def test_no_rows_and_no_gradient_are_fine() -> None:
    empty, still = torch.nn.Parameter(torch.zeros(0, 3)), torch.nn.Parameter(torch.ones(2, 3))
    optimizer = FusedAdam([empty, still])
    empty.grad = torch.zeros(0, 3)
    optimizer.step()
    optimizer.step(visible=torch.zeros(0, dtype=torch.bool))
    assert torch.equal(still, torch.ones(2, 3))
    assert still not in optimizer.state


def test_gradients_that_are_not_contiguous_are_read_right() -> None:
    a, b = (torch.nn.Parameter(torch.zeros(30, 4)) for _ in range(2))
    gradient = torch.randn(4, 30, generator=torch.Generator().manual_seed(1))
    a.grad, b.grad = gradient.T, gradient.T.contiguous()
    visible = torch.arange(30) % 2 == 0
    for param in (a, b):
        FusedAdam([param], lr=0.1).step(visible=visible)
    assert torch.allclose(a, b)
    assert a[::2].abs().min() > 0.09
    assert not a[1::2].any()


def test_a_mask_of_other_length_is_refused() -> None:
    param = torch.nn.Parameter(torch.zeros(5, 3))
    param.grad = torch.ones(5, 3)
    with pytest.raises(ValueError, match=r"visible \(4,\) does not fit the parameter \(5, 3\)"):
        FusedAdam([param]).step(visible=torch.ones(4, dtype=torch.bool))


def test_a_saved_state_goes_on_with_the_same_numbers() -> None:
    start = torch.randn(40, 3, generator=torch.Generator().manual_seed(7))

    def steps(param: torch.nn.Parameter, optimizer: FusedAdam, which: range) -> None:
        for step in which:
            param.grad = gradient_of(param.shape, step, torch.float32)
            optimizer.step()

    whole = torch.nn.Parameter(start.clone())
    whole_optimizer = FusedAdam([whole], lr=0.01)
    steps(whole, whole_optimizer, range(10))

    first = torch.nn.Parameter(start.clone())
    first_optimizer = FusedAdam([first], lr=0.01)
    steps(first, first_optimizer, range(4))
    saved = first_optimizer.state_dict()
    saved["state"][0]["step"] = int(saved["state"][0]["step"])  # as a checkpoint may hold it
    second = torch.nn.Parameter(first.detach().clone())
    second_optimizer = FusedAdam([second], lr=0.01)
    second_optimizer.load_state_dict(saved)
    steps(second, second_optimizer, range(4, 10))
    assert torch.equal(second, whole)


class TestUnderGsplatsEdits:
    @pytest.fixture
    def params(self) -> dict[str, torch.nn.Parameter]:
        generator = torch.Generator().manual_seed(2)
        return {
            name: torch.nn.Parameter(torch.randn(shape, generator=generator))
            for name, shape in SHAPES.items()
        }

    @pytest.fixture
    def optimizers(self, params: dict[str, torch.nn.Parameter]) -> dict[str, FusedAdam]:
        return {name: FusedAdam([param], lr=0.01) for name, param in params.items()}

    @staticmethod
    def train(params: dict[str, torch.nn.Parameter], optimizers: dict[str, FusedAdam], steps: int) -> None:
        for step in range(steps):
            for name, param in params.items():
                param.grad = gradient_of(param.shape, step, torch.float32)
                optimizers[name].step()

    @pytest.mark.parametrize(
        ("edit", "expected"),
        [("duplicate", 250), ("split", 250), ("remove", 150), ("reset_opa", 200), ("none", 200)],
    )
    def test_state_follows_and_training_goes_on(
        self,
        params: dict[str, torch.nn.Parameter],
        optimizers: dict[str, torch.optim.Optimizer],
        edit: str,
        expected: int,
    ) -> None:
        fused = {
            name: optimizer for name, optimizer in optimizers.items() if isinstance(optimizer, FusedAdam)
        }
        self.train(params, fused, 3)
        mask = torch.arange(200) % 4 == 0
        moments = {name: fused[name].state[params[name]]["exp_avg"].clone() for name in params}
        if edit == "reset_opa":
            ops.reset_opa(params, optimizers, {}, value=0.01)
            assert not fused["opacities"].state[params["opacities"]]["exp_avg"].any()
        elif edit != "none":
            getattr(ops, edit)(params=params, optimizers=optimizers, state={}, mask=mask)
        for name, param in params.items():
            assert len(param) == expected
            state = fused[name].state[param]
            assert state["exp_avg"].shape == state["exp_avg_sq"].shape == param.shape
            assert state["step"] == 3
            if edit in ("remove", "split"):
                assert torch.equal(state["exp_avg"][:150], moments[name][~mask])
        before = {name: param.detach().clone() for name, param in params.items()}
        self.train(params, fused, 2)
        for name, param in params.items():
            assert fused[name].state[param]["step"] == 5
            assert not torch.equal(param, before[name])


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU")
@pytest.mark.parametrize("selective", [False, True])
def test_cuda_agrees_with_the_cpu(selective: bool) -> None:
    start = torch.randn(300, 4, generator=torch.Generator().manual_seed(7))
    cpu, gpu = torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.cuda())
    optimizers = FusedAdam([cpu], lr=0.01), FusedAdam([gpu], lr=0.01)
    visible = torch.arange(300) % 3 > 0
    for step in range(10):
        cpu.grad = gradient_of(cpu.shape, step, torch.float32)
        gpu.grad = cpu.grad.cuda()
        optimizers[0].step(visible=visible if selective else None)
        optimizers[1].step(visible=visible.cuda() if selective else None)
    assert (gpu.cpu() - cpu).abs().max().item() <= 1e-5
