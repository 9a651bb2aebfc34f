"""How strongly images pull at the projected centres: what growth and perturbation go by."""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gaussians.train.pull_kernels import pulls
from gaussians.train.transfer import to_device

PULL = "pull"
"""Instead of all else in the meta dictionary of a step of several views: the sums over them."""


def pull(meta: dict[str, Any], absgrad: bool) -> tuple[Tensor, Tensor]:
    """([N] norms of the 2-D gradients, NDC units, [N] views that see the Gaussian), summed over the views.

    The same sums as in gsplat's strategies, without gathering the visible ones first: what is not visible has
    no gradient. Gradients are those of a mean over the n_cameras views, of which each counts as if alone.

    Args:
        meta: the rasterizer's, after the backward pass; or of several passes, by `pulled_together`.
        absgrad: take the absolute gradients.
    """
    if PULL in meta:
        return meta[PULL]
    means2d, cameras, radii = meta["means2d"], meta["n_cameras"], meta["radii"]
    gradients = means2d.absgrad if absgrad else means2d.grad
    if len(gradients) == 1 and gradients.device.type == "cpu" and gradients.dtype == torch.float32:
        size = (meta["width"] * cameras, meta["height"] * cameras)
        return _pull_of_one(gradients[0], radii[0], size)
    half = _half(meta["width"] * cameras, meta["height"] * cameras, gradients.dtype, gradients.device)
    norms = torch.linalg.vector_norm(gradients * half, dim=-1).sum(dim=0)
    return norms, (radii > 0).all(dim=-1).sum(dim=0).to(norms.dtype)


def _pull_of_one(gradients: Tensor, radii: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """`pull` of one camera on the CPU, by a kernel; size is its width and height."""
    norms, seen = torch.empty(len(gradients)), torch.empty(len(gradients))
    arrays = (gradients.contiguous().numpy(), radii.contiguous().numpy())
    pulls(*arrays, np.float32(size[0] / 2), np.float32(size[1] / 2), norms.numpy(), seen.numpy())
    return norms, seen


def pulled_together(passes: Sequence[tuple[Tensor, Tensor]]) -> dict[str, Any]:
    """The meta dictionary of a step whose passes pulled so."""
    norms, seen = (torch.stack(parts).sum(dim=0) for parts in zip(*passes, strict=True))
    return {PULL: (norms, seen)}


@functools.cache  # as a copy to a GPU in each step takes longer than all the rest here
def _half(width: int, height: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """[2] half of both."""
    return to_device(torch.tensor([width / 2, height / 2], dtype=dtype), device)
