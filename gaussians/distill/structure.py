"""Structural loss: the student's Gaussians should crowd where the teacher's do (Distilled-3DGS, §3.3).

L = 1 - cos(h_student, h_teacher), where h counts the centres in each voxel of one joint grid. Hard counts
carry no gradient, so a centre is shared among the 8 voxels around it (trilinear weights): the counts are
then piecewise smooth in the centres. The cosine does not see how many Gaussians there are in all, only
how they are spread.
"""

import itertools
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

_TAIL = 0.01  # of the teacher's centres beyond the box, on each side of each axis: far floaters
_MARGIN = 0.1  # of the box's side, added on each side


@dataclass(frozen=True, eq=False)
class VoxelGrid:
    """A box of cells³ voxels.

    Attributes:
        low: [3] the box's lower corner, world units.
        voxel: [3] the sides of a voxel, world units, positive.
        cells: voxels along each axis.
    """

    low: Tensor
    voxel: Tensor
    cells: int

    @classmethod
    def around(cls, means: Tensor, cells: int) -> "VoxelGrid":
        """The box that holds the 1st to 99th percentile of `means` [N, 3] on each axis, and 10 % more.

        Percentiles, because one floater at a thousand times the scene's size would otherwise put all
        the rest into a single voxel. An axis without extent gets a thin box.
        """
        count = means.shape[0]
        rank = 1 + int(_TAIL * (count - 1))
        low = means.kthvalue(rank, dim=0).values
        high = means.kthvalue(count + 1 - rank, dim=0).values
        side = high - low
        side = side.clamp(min=1e-6 * max(float(side.max()), float(means.abs().max()), 1e-6))
        return cls(low - _MARGIN * side, (1 + 2 * _MARGIN) * side / cells, cells)

    def to_voxels(self, means: Tensor) -> Tensor:
        """[N, 3] world positions in units of voxels; the centre of voxel (i, j, k) is at (i, j, k)."""
        return (means - self.low.to(means)) / self.voxel.to(means) - 0.5


def occupancy(means: Tensor, grid: VoxelGrid, weights: Tensor | None = None) -> Tensor:
    """[cells³] soft counts of `means` [N, 3], each counting `weights` [N] or 1, x slowest, z fastest.

    A centre farther than a voxel outside the outermost voxel centres counts nowhere; on the way there it
    fades linearly. To count it at the border instead would put a bright shell around the scene. NaN
    counts nowhere. Carries no gradient.
    """
    with torch.no_grad():
        return _scatter(*_counted(means, grid, weights), grid.cells)


class StructuralLoss:
    """1 - cosine of a student's occupancy and the teacher's, whose histogram is made once.

    Args:
        means: [N, 3] the teacher's centres; they place the grid.
        cells: voxels along each axis; the histogram takes 4 · cells³ bytes.
        weights: [N] what each centre counts, such as its opacity; None: 1, as in the paper.
    """

    def __init__(self, means: Tensor, cells: int, weights: Tensor | None = None) -> None:
        self.grid = VoxelGrid.around(means.detach(), cells)
        teacher = occupancy(means, self.grid, weights)
        self._teacher = teacher / teacher.norm()

    def __call__(self, means: Tensor, weights: Tensor | None = None) -> Tensor:
        """The loss in [0, 1] of a student's centres [N, 3]; 1, without gradient, if all are outside.

        Differentiable in means and weights.
        """
        position, counted = _counted(means, self.grid, weights)
        return _CosineLoss.apply(position, counted, self._teacher.to(position), self.grid.cells)


class SeparableLoss:
    """1 - Π over x, y and z of the cosine of student's and teacher's histograms along that axis.

    That is 1 - the cosine of the two outer products of these marginals, as the released code compares them.
    A cross of two bars and a square have the same marginals: the joint histogram tells them apart, this not.

    Args: as for `StructuralLoss`.
    """

    def __init__(self, means: Tensor, cells: int, weights: Tensor | None = None) -> None:
        self.grid = VoxelGrid.around(means.detach(), cells)
        with torch.no_grad():
            self._teacher = _unit(_marginals(*_counted(means, self.grid, weights), cells))

    def __call__(self, means: Tensor, weights: Tensor | None = None) -> Tensor:
        """The loss in [0, 1] of a student's centres [N, 3]; 1 if all are outside. Differentiable."""
        student = _unit(_marginals(*_counted(means, self.grid, weights), self.grid.cells))
        return 1 - (student * self._teacher.to(student)).sum(dim=1).prod()


def structural_loss(
    kind: str, means: Tensor, cells: int, weights: Tensor | None = None
) -> "StructuralLoss | SeparableLoss":
    """The loss of a kind: "joint" or "separable"; other arguments as for `StructuralLoss`."""
    return (SeparableLoss if kind == "separable" else StructuralLoss)(means, cells, weights)


def _unit(histograms: Tensor) -> Tensor:
    return histograms / histograms.norm(dim=1, keepdim=True).clamp(min=1e-12)


def _marginals(position: Tensor, weights: Tensor, cells: int) -> Tensor:
    """[3, cells] soft counts along each axis, differentiable; a centre counts as in the joint histogram."""
    floor = position.detach().floor()
    fraction = position - floor
    counts = []
    for axis in range(3):
        below, up = floor[:, axis].long(), fraction[:, axis]
        count = position.new_zeros(cells + 2)  # a cell on each side for what is beyond the grid
        count = count.index_add(0, below + 1, weights * (1 - up)).index_add(0, below + 2, weights * up)
        counts.append(count[1:-1])
    return torch.stack(counts)


class _CosineLoss(torch.autograd.Function):
    """1 - s·t / |s| for soft counts s and unit teacher t.

    The gradient by a count, (s·t) s / |s|³ - t / |s|, is only gathered at the voxels that centres touch:
    to let autograd make it densely takes four times as long.
    """

    @staticmethod
    def forward(ctx: Any, position: Tensor, weights: Tensor, teacher: Tensor, cells: int) -> Tensor:
        student = _scatter(position, weights, cells)
        norm = student.norm().clamp(min=1e-12)
        cosine = torch.dot(student, teacher) / norm
        ctx.save_for_backward(position, weights, teacher, student, norm, cosine)
        ctx.cells = cells
        return 1 - cosine

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        position, weights, teacher, student, norm, cosine = ctx.saved_tensors
        index, share = _corners(position, ctx.cells)
        # a share is 1 - f below and f above, but constant 0 beyond the grid
        lower, upper = position.floor() >= 0, position.floor() + 1 < ctx.cells
        slope = (-lower.to(position).T, upper.to(position).T)
        by_position, by_weight = torch.zeros_like(position.T), torch.zeros_like(weights)
        for x, y, z in _VOXEL_CORNERS:
            voxel = index[x][0] + index[y][1] + index[z][2]
            value = cosine / norm * student[voxel] - teacher[voxel]
            along_x, along_y, along_z = share[x][0], share[y][1], share[z][2]
            by_weight += value * along_x * along_y * along_z
            value *= weights
            by_position[0] += value * slope[x][0] * along_y * along_z
            by_position[1] += value * along_x * slope[y][1] * along_z
            by_position[2] += value * along_x * along_y * slope[z][2]
        scale = gradients[0] / norm
        return by_position.T * scale, by_weight * scale, None, None


_VOXEL_CORNERS = tuple(itertools.product((0, 1), repeat=3))


def _counted(means: Tensor, grid: VoxelGrid, weights: Tensor | None) -> tuple[Tensor, Tensor]:
    """The positions in voxels and the weights of the centres that reach the grid."""
    position = grid.to_voxels(means)
    inside = ((position > -1) & (position < grid.cells)).all(dim=1)
    counts = torch.ones_like(position[:, 0]) if weights is None else weights.to(position)
    return position[inside], counts[inside]


def _scatter(position: Tensor, weights: Tensor, cells: int) -> Tensor:
    index, share = _corners(position, cells)
    counts = position.new_zeros(cells**3)
    for x, y, z in _VOXEL_CORNERS:  # a pass each, to keep memory at O(N)
        voxel = index[x][0] + index[y][1] + index[z][2]
        counts.index_add_(0, voxel, weights * share[x][0] * share[y][1] * share[z][2])
    return counts


def _corners(position: Tensor, cells: int) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """(index, share) of the voxel below and above on each axis: [side][axis] is [N].

    Indices are multiplied by their axis's stride, so that a voxel's is the sum of three. Beyond the grid
    the share is 0 and the index that of the nearest voxel.
    """
    floor = position.floor()
    fraction = (position - floor).T
    below = floor.T.long()
    above = below + 1
    stride = torch.tensor([cells * cells, cells, 1], device=position.device)[:, None]
    index = (below.clamp(min=0) * stride, above.clamp(max=cells - 1) * stride)
    share = ((1 - fraction) * (below >= 0), fraction * (above < cells))
    return index, share
