"""Random Gaussians, and PLY files of them by an independent spelling of the field's layout."""

from pathlib import Path

import numpy as np
import torch
from plyfile import PlyData, PlyElement

from gaussians.model import Gaussians


def random_gaussians(n: int, sh_degree: int, seed: int = 0) -> Gaussians:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    higher = (sh_degree + 1) ** 2 - 1
    return Gaussians(draw(n, 3), draw(n, 4), draw(n, 3), draw(n), draw(n, 1, 3), draw(n, higher, 3))


def assert_equal(one: Gaussians, other: Gaussians) -> None:
    for name, tensor in one.tensors().items():
        assert tensor.dtype == other.tensors()[name].dtype == torch.float32
        assert tensor.shape == other.tensors()[name].shape, name
        # Bits, so that -0.0 and denormals count.
        assert torch.equal(tensor.view(torch.int32), other.tensors()[name].view(torch.int32)), name


def rows_of(gaussians: Gaussians, dtype: str = "<f4") -> np.ndarray:
    """The vertices as plyfile wants them, by an independent spelling of the layout."""
    columns: dict[str, torch.Tensor] = {axis: gaussians.means[:, i] for i, axis in enumerate("xyz")}
    columns |= {f"f_dc_{c}": gaussians.sh0[:, 0, c] for c in range(3)}
    higher = gaussians.shN.shape[1]
    for c in range(3):
        columns |= {f"f_rest_{c * higher + k}": gaussians.shN[:, k, c] for k in range(higher)}
    columns |= {"opacity": gaussians.logit_opacities}
    columns |= {f"scale_{i}": gaussians.log_scales[:, i] for i in range(3)}
    columns |= {f"rot_{i}": gaussians.quats[:, i] for i in range(4)}
    rows = np.empty(len(gaussians), [(name, dtype) for name in columns])
    for name, column in columns.items():
        rows[name] = column.numpy()
    return rows


def save(path: Path, rows: np.ndarray, *, text: bool = False, byte_order: str = "<") -> Path:
    vertices = PlyElement.describe(rows, "vertex")
    PlyData([vertices], text=text, byte_order=byte_order).write(str(path))
    return path
