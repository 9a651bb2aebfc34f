"""Gaussians to start an optimisation from, made from a point cloud."""

import dataclasses
import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from gaussians.errors import SceneError
from gaussians.model import SH_C0, Gaussians
from gaussians.scene.types import Points
from gaussians.train.neighbour_kernels import neighbour_distances
from gaussians.train.recipe import Optimise

NEIGHBOURS = 3  # as Kerbl et al. 2023, §5.1
_LEAST_SPACING = 1e-3  # of the median spacing: what points get that coincide with all their neighbours
_LONE_SPACING = 0.01  # of the scene's extent: where no two points lie apart


def gaussians_from_points(
    points: Points, recipe: Optimise, *, extent: float, device: torch.device | str = "cpu"
) -> Gaussians:
    """One round Gaussian at each point, as large as the mean distance to its 3 nearest neighbours.

    Args:
        points: at least one, finite.
        recipe: gives the opacity and the number of SH coefficients; the higher ones start at zero.
        extent: of the scene, world units; the scale of a lone point's Gaussian is derived from it.
        device: of the result.

    Raises:
        SceneError: there are no points, or some are not finite.
    """
    if len(points.xyz) == 0:
        raise SceneError(f"{points.source}: no points to start from; let random ones be drawn instead")
    bad = int((~np.isfinite(points.xyz).all(axis=1)).sum())
    if bad:
        raise SceneError(f"{points.source}: {bad} of {len(points.xyz)} points are not finite; remove them")
    count = len(points.xyz)
    spacing = torch.from_numpy(point_spacing(points.xyz, extent))
    rgb = torch.from_numpy(points.rgb.astype(np.float32)) / 255
    gaussians = Gaussians(
        means=torch.from_numpy(points.xyz.astype(np.float32)),
        quats=torch.tensor([1.0, 0.0, 0.0, 0.0]).repeat(count, 1),
        log_scales=spacing.log()[:, None].repeat(1, 3),
        logit_opacities=torch.full((count,), math.log(recipe.initial_opacity / (1 - recipe.initial_opacity))),
        sh0=((rgb - 0.5) / SH_C0)[:, None, :],
        shN=torch.zeros(count, (recipe.sh_degree + 1) ** 2 - 1, 3),
    )
    return gaussians.to(device)


def point_spacing(xyz: np.ndarray, extent: float) -> np.ndarray:
    """Mean distance of every point to its 3 nearest neighbours, positive even where points coincide.

    Args:
        xyz: [N, 3] float32, N at least 1.
        extent: of the scene, world units.

    Returns:
        [N] float32, world units.
    """
    neighbours = min(NEIGHBOURS, len(xyz) - 1)
    if neighbours == 0:
        return np.full(1, _LONE_SPACING * extent, dtype=np.float32)
    spacing = neighbour_distances(xyz, neighbours).mean(axis=1)
    apart = spacing[spacing > 0]
    if len(apart) == 0:
        return np.full(len(xyz), _LONE_SPACING * extent, dtype=np.float32)
    return np.maximum(spacing, np.float32(_LEAST_SPACING * np.median(apart)))


def with_sh_degree(gaussians: Gaussians, degree: int) -> Gaussians:
    """The Gaussians with SH coefficients up to `degree`: higher ones cut off, or missing ones zero."""
    wanted = (degree + 1) ** 2 - 1
    missing = wanted - gaussians.shN.shape[1]
    if missing == 0:
        return gaussians
    shN: Tensor = gaussians.shN[:, :wanted]
    return dataclasses.replace(gaussians, shN=functional.pad(shN, (0, 0, 0, max(missing, 0))))
