"""What stays clear of Gaussians: where the cameras are, and the ways between neighbours."""

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from gaussians.camera import Camera, neighbours
from gaussians.scene.types import View
from gaussians.train.free_space import FreeSpace, is_due
from gaussians.train.optimisation import Optimisation
from gaussians.train.recipe import Densify, Optimise

from .synthetic import optimisation, photos, random_gaussians, ring_cameras, sparse_points

DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=[
            pytest.mark.cuda,
            pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU"),
        ],
    ),
]
TRUTH = random_gaussians(200)
CLEARANCE = 0.2
QUICK = Optimise(
    steps=120, sh_degree=0, average=0.9,
    densify=Densify(start=100, stop=115, every=10, reset_every=1000, cap=260),
)  # fmt: skip


def _camera(centre: tuple[float, float, float], turn: float = 0.0) -> Camera:
    """Looks along +z, turned about y by so many radians."""
    viewmat = np.eye(4)
    viewmat[:3, :3] = [[np.cos(turn), 0, -np.sin(turn)], [0, 1, 0], [np.sin(turn), 0, np.cos(turn)]]
    viewmat[:3, 3] = -viewmat[:3, :3] @ np.array(centre)
    return Camera(viewmat, np.array([[50.0, 0, 50], [0, 50, 50], [0, 0, 1]]), 100, 100)


def _wall(depth: float, count: int = 3000) -> np.ndarray:
    """[count, 3] float32 points at z = depth, as wide as all cameras here see."""
    xy = np.random.default_rng(0).uniform(-30, 30, (count, 2))
    return np.concatenate([xy, np.full((count, 1), depth)], axis=1).astype(np.float32)


def _distances(means: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """[N, S] from points to segments, the plain way, float64."""
    axes = ends - starts
    along = ((means[:, None].astype(np.float64) - starts) * axes).sum(-1)
    share = np.clip(along / np.maximum((axes**2).sum(-1), 1e-300), 0, 1)
    return np.linalg.norm(means[:, None] - starts - share[..., None] * axes, axis=-1)


def _inside(*means: tuple[float, float, float], free: FreeSpace | None) -> list[bool]:
    assert free is not None
    return free.holds(torch.tensor(means)).tolist()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("seed", range(6))
def test_it_holds_what_is_nearer_to_a_segment_than_its_radius(seed: int, device: str):
    rng = np.random.default_rng(seed)
    count, far = (1, 2, 20, 60, 300, 700)[seed], (0, 1e3, 0, -1e4, 0, 10)[seed]
    starts = far + rng.normal(size=(count, 3)) * rng.uniform(0.1, 3, 3)
    ends = starts + rng.normal(size=(count, 3)) * rng.choice([0, 0.1, 1.0], (count, 1))
    radii = rng.uniform(0.01, 0.5, count)
    about = starts[rng.integers(count, size=2000)] + 0.5 * rng.normal(size=(2000, 3))
    means = np.concatenate([about, far + 2 * rng.normal(size=(2000, 3))]).astype(np.float32)
    apart = (_distances(means, starts, ends) / radii).min(axis=1)
    assert (np.abs(apart - 1) > 1e-9).all()
    expected = torch.from_numpy(apart < 1)
    free = FreeSpace(starts, ends, radii)
    assert expected.any()
    assert not expected.all()
    assert torch.equal(free.holds(torch.from_numpy(means).to(device)).cpu(), expected)


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch):
    rng = np.random.default_rng(0)
    starts, radii, means = rng.normal(size=(50, 3)), rng.uniform(0.1, 0.5, 50), torch.randn(2000, 3)
    whole = FreeSpace(starts, starts, radii).holds(means)
    for tests in (1, 70, 5000):
        monkeypatch.setattr("gaussians.train.free_space._TESTS", tests)
        assert torch.equal(FreeSpace(starts, starts, radii).holds(means), whole)


def test_means_that_are_not_finite_are_not_held():
    free = FreeSpace(np.zeros((1, 3)), np.ones((1, 3)), np.ones(1))
    bad = [float("nan"), float("inf"), -float("inf"), 3e38]
    means = torch.tensor(
        [[value if i == axis else 0.0 for i in range(3)] for value in bad for axis in range(3)]
    )
    assert not free.holds(means).any()
    assert free.holds(torch.zeros(1, 3)).all()
    assert free.holds(torch.zeros(0, 3)).shape == (0,)


def test_the_way_between_neighbours_is_free_as_wide_as_the_nearer_ones_depth_says():
    free = FreeSpace.of([_camera((0, 0, 0)), _camera((4, 0, 0))], _wall(10), 0.1)
    on_the_way = [(2, 0.95, 0), (2, 0, 0.95), (-0.95, 0, 0), (4.95, 0, 0)]
    beside = [(2, 1.05, 0), (2, 0, -1.05), (-1.05, 0, 0), (5.05, 0, 0)]
    assert _inside(*on_the_way, *beside, free=free) == [True] * 4 + [False] * 4
    close = FreeSpace.of([_camera((0, 0, 0)), _camera((1, 0, 2))], _wall(10), 0.1)
    assert _inside((0.5, 0.79, 1), (0.5, 0.81, 1), (0, 0.99, 0), free=close) == [True, False, True]


def test_cameras_far_apart_or_turned_away_have_only_the_balls_about_them():
    far = FreeSpace.of([_camera((0, 0, 0)), _camera((5.5, 0, 0))], _wall(10), 0.1)
    assert _inside((0, 0, 0), (5.5, 0, 0), (2.75, 0, 0), free=far) == [True, True, False]
    both = np.concatenate([_wall(10), _wall(-10)])
    turned = FreeSpace.of([_camera((0, 0, 0)), _camera((4, 0, 0), np.pi)], both, 0.1)
    assert _inside((0, 0, 0), (4, 0, 0), (2, 0, 0), free=turned) == [True, True, False]


def test_a_camera_that_sees_too_little_takes_the_others_word():
    blind = _camera((0, 0, 0), np.pi)
    free = FreeSpace.of([_camera((20, 0, 0)), _camera((24, 0, 0)), blind], _wall(10), 0.1)
    assert _inside((0, 0.95, 0), (0, 1.05, 0), free=free) == [True, False]


def test_without_clearance_or_points_nothing_is_free():
    cameras = [_camera((0, 0, 0)), _camera((4, 0, 0))]
    assert FreeSpace.of(cameras, _wall(10), 0.0) is None
    assert FreeSpace.of(cameras, _wall(-10), 0.1) is None
    assert FreeSpace.of(cameras, np.zeros((0, 3), np.float32), 0.1) is None
    assert FreeSpace.of(cameras[:1], _wall(0.5)[:19], 0.1) is None


def test_some_outliers_before_a_camera_and_a_million_points_change_little():
    outliers = np.tile(np.array([[0.0, 0.0, 0.5]], np.float32), (5, 1))
    free = FreeSpace.of([_camera((0, 0, 0))], np.concatenate([outliers, _wall(10, 1_000_000)]), 0.1)
    assert _inside((0, 0, 0.99), (0, 0, 1.01), free=free) == [True, False]


@pytest.mark.parametrize("factor", [1e-3, 1e3])
def test_units_do_not_matter(factor: float):
    cameras, points = ring_cameras(40), sparse_points(TRUTH, 200).xyz
    scaled = []
    for camera in cameras:
        viewmat = camera.viewmat.copy()
        viewmat[:3, 3] *= factor
        scaled.append(dataclasses.replace(camera, viewmat=viewmat))
    one, other = (FreeSpace.of(*a, CLEARANCE) for a in ((cameras, points), (scaled, factor * points)))
    assert one is not None
    assert other is not None
    means = torch.from_numpy(np.random.default_rng(0).uniform(-5, 5, (20_000, 3)).astype(np.float32))
    held = one.holds(means)
    assert 100 < int(held.sum()) < 10_000
    assert int((held != other.holds(means * factor)).sum()) <= 1  # float32 means at the boundary; seen: 0


def test_neighbours_are_the_nearest_that_look_the_same_way():
    cameras = [_camera((float(x), 0, 0), turn) for x, turn in ((0, 0), (1, np.pi), (2, 0.5), (3, 0), (9, 0))]
    centres, forwards = (np.array([getattr(c, name) for c in cameras]) for name in ("centre", "forward"))
    assert neighbours(centres, forwards, 0).tolist() == [2, 3, 4]
    assert neighbours(centres, forwards, 1).tolist() == [1]


def test_it_is_cleared_before_refinements_and_in_the_end():
    assert [step for step in range(1, 251) if is_due(step, 250)] == [100, 200, 250]


@pytest.fixture(scope="module")
def views() -> list[View]:
    return photos(TRUTH, ring_cameras(7))


def _start(views: list[View], clears: bool = True, fog: int = 7, **settings: Any) -> Optimisation:
    """An optimisation whose first Gaussians hang right before cameras."""
    points = sparse_points(TRUTH, 100)
    cameras = [view.camera for view in views]
    near = [(camera.centre + 0.3 * camera.forward)[None] for camera in cameras[:fog]]
    start = dataclasses.replace(points, xyz=np.concatenate([*near, points.xyz[fog:]]).astype(np.float32))
    free = FreeSpace.of(cameras, points.xyz, CLEARANCE) if clears else None
    return optimisation(views, QUICK, start, free=free, **settings)


def _held(training: Optimisation, views: list[View]) -> int:
    free = FreeSpace.of([view.camera for view in views], sparse_points(TRUTH, 100).xyz, CLEARANCE)
    assert free is not None
    return int(free.holds(training.gaussians().means).sum())


def test_what_hangs_before_cameras_is_gone_after_training_and_stays_without(views: list[View]):
    with_it, without = _start(views, refinement=None), _start(views, clears=False, refinement=None)
    counts = [stats.count for stats in with_it.steps()]
    list(without.steps())
    assert _held(without, views) == 7
    assert _held(with_it, views) == 0
    assert counts[98:100] == [100, 93]
    assert len(without) == 100


def test_parameters_moments_mean_and_statistics_follow(views: list[View]):
    training = _start(views)
    list(training.steps(until=99))
    before = training.state_dict()
    growing = len(training)
    list(training.steps(until=100))
    after = training.state_dict()
    assert len(training) < growing
    sized = [name for name in after if after[name].ndim > 0]
    assert {name: len(after[name]) for name in sized} == dict.fromkeys(sized, len(training))
    assert {"adam.means.exp_avg", "refinement.grad2d", "average.means"} <= set(sized)
    assert before.keys() == after.keys()
    list(training.steps())
    assert _held(training, views) == 0


@pytest.mark.parametrize("split", [40, 99, 100, 101, 119])
def test_a_resumed_run_clears_as_the_uninterrupted_one(views: list[View], split: int):
    whole, first, resumed = (_start(views) for _ in range(3))
    counts = [stats.count for stats in whole.steps()]
    list(first.steps(until=split))
    resumed.load_state_dict(first.state_dict())
    assert [stats.count for stats in resumed.steps()] == counts[split:]
    assert counts[99] < counts[98]
    one, other = whole.state_dict(), resumed.state_dict()
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


class Everywhere(FreeSpace):
    def __init__(self) -> None:
        pass

    def holds(self, means: Tensor) -> Tensor:
        return torch.ones(len(means), dtype=torch.bool)


def test_the_last_ones_stay(views: list[View]):
    training = optimisation(views, QUICK, sparse_points(TRUTH, 100), free=Everywhere(), refinement=None)
    assert {stats.count for stats in training.steps()} == {100}


def test_dense_clouds_and_many_segments_are_looked_through_in_bounded_time():
    """300 000 means among 8000 capsules; seconds by brute force."""
    centres = np.array(list(itertools.product(np.linspace(0, 100, 100), np.linspace(0, 20, 80), [0.0])))
    free = FreeSpace(centres, centres + np.array([0.5, 0, 0]), np.full(len(centres), 0.1))
    rng = np.random.default_rng(0)
    means = torch.from_numpy(rng.uniform((0, 0, -50), (100, 20, 50), (300_000, 3)).astype(np.float32))
    tested = []
    original = free._tested
    free._tested = lambda places: tested.append(len(places)) or original(places)
    assert int(free.holds(means).sum()) > 0
    assert tested[0] < 0.02 * len(means)
