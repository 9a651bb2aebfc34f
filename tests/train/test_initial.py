import time

import numpy as np
import pytest
import torch

from gaussians.errors import SceneError
from gaussians.model import SH_C0
from gaussians.scene.types import Points
from gaussians.train.initial import gaussians_from_points, point_spacing, with_sh_degree
from gaussians.train.neighbour_kernels import neighbour_distances
from gaussians.train.recipe import Optimise


def _points(xyz: np.ndarray) -> Points:
    rgb = np.tile(np.array([[255, 0, 51]], dtype=np.uint8), (len(xyz), 1))
    return Points(xyz=xyz.astype(np.float32), rgb=rgb, source="test.ply")


def _brute_force(points: np.ndarray, count: int) -> np.ndarray:
    exact = points.astype(np.float64)
    distances = np.linalg.norm(exact[:, None] - exact[None], axis=-1)
    np.fill_diagonal(distances, np.inf)
    return np.sort(distances, axis=1)[:, :count]


CLOUDS = {
    "normal": np.random.default_rng(0).normal(size=(700, 3)),
    "outliers": np.random.default_rng(1).standard_cauchy(size=(700, 3)),
    "duplicates": np.repeat(np.random.default_rng(2).normal(size=(70, 3)), 10, axis=0),
    "lattice": np.stack(np.meshgrid(*[np.arange(8.0)] * 3), axis=-1).reshape(-1, 3),
    "line": np.outer(np.linspace(0, 1, 300) ** 3, [1.0, 2.0, 3.0]),
    "one place": np.ones((500, 3)),
    "far from the origin": 1e4 + np.random.default_rng(3).normal(size=(500, 3)),
}


@pytest.mark.parametrize("name", CLOUDS)
def test_neighbour_distances_against_brute_force(name: str):
    points = CLOUDS[name].astype(np.float32)
    found, expected = neighbour_distances(points, 3), _brute_force(points, 3)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)  # worst seen: 2e-7 relative


@pytest.mark.parametrize("count", [2, 3, 4, 7, 8, 9, 15, 16, 17, 33, 64, 65, 129])
def test_neighbour_distances_of_clouds_around_the_leaf_size(count: int):
    points = np.random.default_rng(count).normal(size=(count, 3)).astype(np.float32)
    neighbours = min(3, count - 1)
    expected = _brute_force(points, neighbours)
    np.testing.assert_allclose(neighbour_distances(points, neighbours), expected, rtol=1e-6, atol=1e-7)


def test_too_few_points_for_the_neighbours_asked_for():
    with pytest.raises(ValueError, match="3 points cannot have 3 neighbours"):
        neighbour_distances(np.zeros((3, 3), dtype=np.float32), 3)


def test_a_hundred_thousand_points_take_less_than_a_second():
    points = np.random.default_rng(0).standard_cauchy(size=(100_000, 3)).astype(np.float32)
    neighbour_distances(points[:100])  # compiles
    began = time.perf_counter()
    neighbour_distances(points)
    assert time.perf_counter() - began < 1  # 0.1 to 0.2 s on two cores


def test_gaussians_have_the_points_colour_opacity_and_spacing():
    xyz = np.stack(np.meshgrid(*[np.arange(4.0)] * 3), axis=-1).reshape(-1, 3) * 0.5
    recipe = Optimise(sh_degree=2, initial_opacity=0.25)
    gaussians = gaussians_from_points(_points(xyz), recipe, extent=3.0)
    torch.testing.assert_close(gaussians.means, torch.tensor(xyz, dtype=torch.float32))
    torch.testing.assert_close(gaussians.scales, torch.full((64, 3), 0.5))  # a corner has 3 neighbours
    torch.testing.assert_close(gaussians.opacities, torch.full((64,), 0.25))
    torch.testing.assert_close(0.5 + SH_C0 * gaussians.sh0[0, 0], torch.tensor([1.0, 0.0, 0.2]))
    assert gaussians.shN.shape == (64, 8, 3)
    assert not gaussians.shN.any()
    assert gaussians.sh_degree == 2


@pytest.mark.parametrize("count", [1, 2, 5])
def test_points_that_all_coincide_get_a_share_of_the_extent(count: int):
    gaussians = gaussians_from_points(_points(np.ones((count, 3))), Optimise(), extent=3.0)
    torch.testing.assert_close(gaussians.scales, torch.full((count, 3), 0.03))


def test_a_pile_of_duplicates_among_others_stays_small_but_positive():
    xyz = np.concatenate([np.zeros((10, 3)), np.arange(40.0)[:, None] * [1, 0, 0] + 5]).astype(np.float32)
    spacing = point_spacing(xyz, extent=1.0)
    assert spacing[:10] == pytest.approx(1e-3 * np.median(spacing[10:]))
    assert (spacing[10:] >= 1).all()


def test_no_points_and_points_that_are_not_finite_are_named():
    with pytest.raises(SceneError, match=r"test\.ply: no points"):
        gaussians_from_points(_points(np.zeros((0, 3))), Optimise(), extent=1.0)
    bad = np.zeros((4, 3))
    bad[1, 2], bad[3, 0] = np.nan, np.inf
    with pytest.raises(SceneError, match=r"test\.ply: 2 of 4 points"):
        gaussians_from_points(_points(bad), Optimise(), extent=1.0)


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_sh_coefficients_are_cut_or_padded_with_zeros(degree: int):
    gaussians = gaussians_from_points(_points(np.eye(3)), Optimise(sh_degree=2), extent=1.0)
    gaussians.shN.fill_(1)
    changed = with_sh_degree(gaussians, degree)
    kept = min(8, (degree + 1) ** 2 - 1)
    assert changed.sh_degree == degree
    assert (changed.shN[:, :kept] == 1).all()
    assert not changed.shN[:, kept:].any()
