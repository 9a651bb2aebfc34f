import numpy as np
import pytest
import torch

from gaussians.distill.structure import (
    SeparableLoss,
    StructuralLoss,
    VoxelGrid,
    occupancy,
    structural_loss,
)


def cloud(count: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(count, 3, generator=torch.Generator().manual_seed(seed), dtype=dtype) * torch.tensor(
        [1.0, 2.0, 0.5], dtype=dtype
    )


def brute_force(means: np.ndarray, grid: VoxelGrid) -> np.ndarray:
    """Every voxel against every point: the product of three hat functions."""
    centres = np.arange(grid.cells)
    counts = np.zeros((grid.cells,) * 3)
    for point in (means - grid.low.numpy()) / grid.voxel.numpy() - 0.5:
        hats = [np.maximum(0, 1 - np.abs(centres - coordinate)) for coordinate in point]
        counts += np.einsum("i,j,k->ijk", *hats)
    return counts


def test_counts_are_the_brute_force_trilinear_counts() -> None:
    means = cloud(200, dtype=torch.float64)
    grid = VoxelGrid.around(means, 6)
    outside = means[:20] * 4
    everyone = torch.cat([means, outside])
    counts = occupancy(everyone, grid).reshape(6, 6, 6).numpy()
    np.testing.assert_allclose(counts, brute_force(everyone.numpy(), grid), atol=1e-12)  # worst seen 1e-14


def test_mass_is_conserved_inside_and_lost_outside() -> None:
    means = cloud(5000)
    grid = VoxelGrid(torch.full((3,), -20.0), torch.full((3,), 2.0), 20)
    assert float(occupancy(means, grid).sum()) == pytest.approx(5000, rel=1e-5)
    assert float(occupancy(means + 100, grid).sum()) == 0
    assert float(occupancy(means, grid, torch.full((5000,), 0.25)).sum()) == pytest.approx(1250, rel=1e-5)


def test_not_a_number_counts_nowhere() -> None:
    means = cloud(10)
    grid = VoxelGrid.around(means, 8)
    broken = torch.cat([means, torch.full((1, 3), torch.nan)])
    torch.testing.assert_close(occupancy(broken, grid), occupancy(means, grid))


def test_loss_is_zero_for_the_teacher_itself_and_for_its_copies() -> None:
    means = cloud(4000)
    loss = StructuralLoss(means, 32)
    assert abs(float(loss(means))) < 1e-5  # worst seen 3e-7
    assert abs(float(loss(means.repeat(3, 1)))) < 1e-5


def test_loss_is_joint_not_separable() -> None:
    """Two clouds with the same marginals on every axis, but on different diagonals of the cube."""
    corner = torch.tensor([[0.0, 0, 0], [1, 1, 1]])
    other = torch.tensor([[0.0, 1, 0], [1, 0, 1]])
    loss = StructuralLoss(corner.repeat(50, 1), 8)
    assert float(loss(other.repeat(50, 1))) == pytest.approx(1, abs=1e-5)


def test_far_floaters_do_not_flatten_the_grid() -> None:
    means = torch.cat([cloud(5000), cloud(20) * 1e5])
    grid = VoxelGrid.around(means, 64)
    assert float((grid.voxel * 64).max()) < 20
    assert float(occupancy(means, grid).sum()) > 4900


def test_a_flat_cloud_and_a_single_point_have_a_grid() -> None:
    flat = cloud(100) * torch.tensor([1.0, 1.0, 0.0])
    for means in (flat, torch.zeros(1, 3), torch.ones(5, 3) * 1e4):
        assert abs(float(StructuralLoss(means, 16)(means))) < 1e-5


def test_loss_is_one_and_flat_when_every_centre_is_outside() -> None:
    means = (cloud(50) + 1000).requires_grad_()
    value = StructuralLoss(cloud(100), 16)(means)
    value.backward()
    assert float(value.detach()) == 1
    assert means.grad is not None
    assert float(means.grad.abs().max()) == 0


@pytest.mark.parametrize("weighted", [False, True])
def test_gradient_is_that_of_finite_differences(weighted: bool) -> None:
    teacher = cloud(300, seed=1, dtype=torch.float64)
    loss = StructuralLoss(teacher, 9)
    means = cloud(40, seed=2, dtype=torch.float64)
    # away from the kinks at voxel centres, and with some centres fading out at the border
    position = loss.grid.to_voxels(means)
    means = means[((position - position.round()).abs() > 1e-3).all(dim=1)]
    position = loss.grid.to_voxels(means)
    assert bool(((position > -1) & (position < 0)).any() | ((position > 8) & (position < 9)).any())
    means.requires_grad_()
    weights = torch.linspace(0.2, 1, len(means), dtype=torch.float64, requires_grad=True)
    inputs = (means, weights) if weighted else (means,)
    assert torch.autograd.gradcheck(loss, inputs, eps=1e-6, atol=1e-8)  # worst seen 2e-10


def test_descent_moves_the_student_to_the_teacher() -> None:
    teacher = cloud(3000)
    student = (cloud(300, seed=3) + 0.4).requires_grad_()
    loss = StructuralLoss(teacher, 12)
    optimizer = torch.optim.Adam([student], lr=0.02)
    before = float(loss(student.detach()))
    for _ in range(60):
        optimizer.zero_grad()
        loss(student).backward()
        optimizer.step()
    assert float(loss(student.detach())) < 0.5 * before


def test_the_separable_loss_is_that_of_the_outer_product_of_marginals() -> None:
    teacher, student = cloud(300, dtype=torch.float64), cloud(200, 5, torch.float64) + 0.3
    loss = SeparableLoss(teacher, 8)
    products = []
    for means in (teacher, student):
        inside = loss.grid.to_voxels(means)
        inside = means[((inside > -1) & (inside < 8)).all(1)]
        hats = (1 - (loss.grid.to_voxels(inside)[..., None] - torch.arange(8)).abs()).clamp(min=0)
        x, y, z = hats.sum(dim=0)
        products.append(torch.einsum("i,j,k->ijk", x, y, z).flatten())
    cosine = torch.nn.functional.cosine_similarity(products[0], products[1], dim=0)
    assert float(loss(student)) == pytest.approx(1 - float(cosine), abs=1e-12)
    assert float(loss(teacher)) == pytest.approx(0, abs=1e-12)
    assert float(loss(student)) > 0.01


def test_the_separable_loss_cannot_tell_a_diagonal_from_a_square() -> None:
    square = torch.tensor([[x, y, 0.0] for x in range(4) for y in range(4)])
    diagonal = torch.tensor([[x, x, 0.0] for x in range(4)]).repeat(4, 1)
    assert float(structural_loss("separable", square, 4)(diagonal)) < 1e-6
    assert float(structural_loss("joint", square, 4)(diagonal)) > 0.3


def test_the_separable_gradient_is_that_of_finite_differences() -> None:
    loss = SeparableLoss(cloud(200, dtype=torch.float64), 6)
    means = (cloud(12, 3, torch.float64) * 0.7).requires_grad_()
    assert torch.autograd.gradcheck(loss, means, eps=1e-7, atol=1e-6)
