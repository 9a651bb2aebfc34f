"""Rotations as 6 numbers, which vary continuously and so can be disturbed evenly (Zhou et al. 2019)."""

import torch
from torch import Tensor
from torch.nn import functional


def quats_to_matrices(quats: Tensor) -> Tensor:
    """[N, 3, 3] rotation matrices of quaternions [N, 4], wxyz, of any non-zero length."""
    w, x, y, z = functional.normalize(quats, dim=-1).unbind(-1)
    rows = (
        torch.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)], -1),
        torch.stack([2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)], -1),
        torch.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], -1),
    )
    return torch.stack(rows, -2)


def matrices_to_quats(matrices: Tensor) -> Tensor:
    """[N, 4] unit quaternions, wxyz, of rotation matrices [N, 3, 3]; either of the two signs.

    Rows of 4 q qᵀ can be read off the matrix (Bar-Itzhack 2000); the longest row is never near zero.
    """
    m00, m01, m02, m10, m11, m12, m20, m21, m22 = matrices.flatten(-2).unbind(-1)
    outer = torch.stack(
        [
            torch.stack([1 + m00 + m11 + m22, m21 - m12, m02 - m20, m10 - m01], -1),
            torch.stack([m21 - m12, 1 + m00 - m11 - m22, m10 + m01, m02 + m20], -1),
            torch.stack([m02 - m20, m10 + m01, 1 - m00 + m11 - m22, m21 + m12], -1),
            torch.stack([m10 - m01, m02 + m20, m21 + m12, 1 - m00 - m11 + m22], -1),
        ],
        -2,
    )
    longest = outer.diagonal(dim1=-2, dim2=-1).argmax(dim=-1)
    return functional.normalize(outer[torch.arange(len(outer), device=outer.device), longest], dim=-1)


def matrices_to_sixes(matrices: Tensor) -> Tensor:
    """[N, 6] the first two columns of rotation matrices [N, 3, 3] (Zhou et al. 2019, eq. 15)."""
    return matrices[..., :2].transpose(-1, -2).flatten(-2)


def sixes_to_matrices(sixes: Tensor) -> Tensor:
    """[N, 3, 3] rotation matrices of [N, 6] by Gram-Schmidt (Zhou et al. 2019, eq. 16)."""
    first = functional.normalize(sixes[..., :3], dim=-1)
    second = sixes[..., 3:]
    second = functional.normalize(second - (first * second).sum(-1, keepdim=True) * first, dim=-1)
    return torch.stack([first, second, torch.linalg.cross(first, second)], -1)
