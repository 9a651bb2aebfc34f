"""How strongly images pull: one pass over memory on the CPU says what PyTorch's formula says."""

import pytest
import torch
from torch import Tensor

from gaussians.train.pull import pull

SIZE = {"width": 267, "height": 476}


def plain(gradients: Tensor, radii: Tensor) -> tuple[Tensor, Tensor]:
    half = torch.tensor([SIZE["width"] * len(radii) / 2, SIZE["height"] * len(radii) / 2])
    norms = torch.linalg.vector_norm(gradients * half, dim=-1).sum(dim=0)
    return norms, (radii > 0).all(dim=-1).sum(dim=0).float()


def meta(cameras: int, count: int, absgrad: bool) -> dict:
    generator = torch.Generator().manual_seed(cameras + count)
    sizes = 10 ** torch.empty(cameras, count, 1).uniform_(-9, 0, generator=generator)
    gradients = torch.randn(cameras, count, 2, generator=generator) * sizes
    radii = torch.randint(0, 3, (cameras, count, 2), generator=generator, dtype=torch.int32)
    gradients[(radii == 0).any(dim=-1)] = 0
    means2d = torch.zeros(cameras, count, 2)
    if absgrad:
        gradients.abs_()
        means2d.absgrad = gradients  # pyright: ignore[reportAttributeAccessIssue] - as gsplat has it
    else:
        means2d.grad = gradients
    return {"means2d": means2d, "radii": radii, "n_cameras": cameras, **SIZE}


@pytest.mark.parametrize("absgrad", [False, True])
@pytest.mark.parametrize(("cameras", "count"), [(1, 0), (1, 1), (1, 5000), (2, 300)])
def test_norms_and_views_are_those_of_the_formula(cameras: int, count: int, absgrad: bool):
    told = meta(cameras, count, absgrad)
    gradients = told["means2d"].absgrad if absgrad else told["means2d"].grad
    norms, seen = pull(told, absgrad)
    expected, views = plain(gradients, told["radii"])
    torch.testing.assert_close(norms, expected, rtol=2e-7, atol=0)
    assert torch.equal(seen, views)
    if count == 5000:
        assert 0 < seen.sum() < count
        assert norms[seen == 0].max() == 0


def test_rows_that_do_not_lie_one_after_the_other_are_read_as_they_are():
    told = meta(1, 400, False)
    apart = torch.empty(1, 800, 2)
    apart[:, ::2] = told["means2d"].grad
    norms, _ = pull(told, False)
    told["means2d"].grad = apart[:, ::2]
    assert torch.equal(pull(told, False)[0], norms)
