import pytest
import torch

from gaussians.distill import recipe
from gaussians.distill.dropout import Dropout

WINDOW = recipe.Dropout(start=100, stop=300, rate=0.4)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    ("step", "rate"), [(0, 0), (99, 0), (100, 0), (150, 0.1), (299, 0.398), (300, 0), (9000, 0)]
)
def test_rate_rises_linearly_within_the_window(step: int, rate: float) -> None:
    assert Dropout(WINDOW).rate(step) == pytest.approx(rate)


def test_outside_the_window_opacities_are_the_same_tensor() -> None:
    opacities = torch.rand(10)
    assert Dropout(WINDOW).opacities(opacities, 300, generator()) is opacities


def test_kept_ones_make_up_for_the_dropped() -> None:
    opacities = torch.linspace(0.01, 0.99, 50_000, requires_grad=True)
    dropped = Dropout(WINDOW).opacities(opacities, 250, generator())
    kept = dropped > 0
    assert float(kept.float().mean()) == pytest.approx(0.7, abs=0.01)  # 5 standard deviations
    torch.testing.assert_close(dropped[kept], opacities[kept] / 0.7)
    torch.testing.assert_close(dropped.mean(), opacities.mean(), rtol=0.02, atol=0)
    dropped.sum().backward()
    torch.testing.assert_close(opacities.grad, kept / 0.7)


def test_choice_is_the_generators() -> None:
    opacities = torch.full((1000,), 0.5)
    first = Dropout(WINDOW).opacities(opacities, 250, generator(1))
    assert torch.equal(first, Dropout(WINDOW).opacities(opacities, 250, generator(1)))
    assert not torch.equal(first, Dropout(WINDOW).opacities(opacities, 250, generator(2)))
