import torch

from gaussians.distill.rotation import (
    matrices_to_quats,
    matrices_to_sixes,
    quats_to_matrices,
    sixes_to_matrices,
)


def quats() -> torch.Tensor:
    random = torch.randn(500, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    # half turns, where the scalar part is zero, and the identity
    return torch.cat(
        [random, torch.eye(4, dtype=torch.float64), torch.tensor([[0.0, 1, 1, 0], [0, 0, -1, 2]])]
    )


def test_matrices_are_rotations_and_turn_vectors_as_quaternions_do() -> None:
    matrices = quats_to_matrices(quats())
    torch.testing.assert_close(matrices @ matrices.mT, torch.eye(3).double().expand_as(matrices))
    torch.testing.assert_close(torch.linalg.det(matrices), torch.ones(len(matrices)).double())
    w, v = quats()[:, :1], quats()[:, 1:]
    vector = torch.tensor([0.3, -1.0, 2.0], dtype=torch.float64).expand_as(v)
    length = (w * w + (v * v).sum(1, keepdim=True)).sqrt()
    w, v = w / length, v / length
    turned = vector + 2 * torch.linalg.cross(v, torch.linalg.cross(v, vector) + w * vector)
    torch.testing.assert_close((matrices @ vector[..., None])[..., 0], turned)


def test_round_trips() -> None:
    matrices = quats_to_matrices(quats())
    torch.testing.assert_close(sixes_to_matrices(matrices_to_sixes(matrices)), matrices)
    torch.testing.assert_close(quats_to_matrices(matrices_to_quats(matrices)), matrices)


def test_any_six_numbers_make_a_rotation() -> None:
    matrices = sixes_to_matrices(torch.randn(300, 6, dtype=torch.float64) * 5)
    torch.testing.assert_close(matrices @ matrices.mT, torch.eye(3).double().expand_as(matrices))
    torch.testing.assert_close(torch.linalg.det(matrices), torch.ones(300).double())
