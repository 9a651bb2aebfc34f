import itertools

import numpy as np
import pytest

from gaussians.camera import Camera
from gaussians.session.camera_tour import _improved, _length, _nearest, _ways, walking_order
from tests.cli.scenes import ring


def at(*centres: tuple[float, float, float]) -> list[Camera]:
    cameras = []
    for centre in centres:
        viewmat = np.eye(4)
        viewmat[:3, 3] = -np.array(centre)
        cameras.append(Camera(viewmat, np.eye(3), 8, 8))
    return cameras


def names(order: list[Camera], cameras: list[Camera]) -> list[int]:
    return [cameras.index(camera) for camera in order]


def test_a_walk_keeps_its_order() -> None:
    cameras = ring(12)
    assert names(walking_order(cameras), cameras) == list(range(12))


def test_a_walk_with_some_wandering_keeps_its_order() -> None:
    rng = np.random.default_rng(0)
    cameras = at(*(tuple(rng.normal([i, 0, 0], 0.3)) for i in range(20)))
    assert names(walking_order(cameras), cameras) == list(range(20))


def test_a_shuffled_ring_is_walked_around() -> None:
    around = ring(15)
    shuffled = [around[0], *(around[int(i)] for i in 1 + np.random.default_rng(3).permutation(14))]
    order = names(walking_order(shuffled), around)
    assert order in (list(range(15)), [0, *range(14, 0, -1)])


@pytest.mark.parametrize("seed", range(5))
def test_the_short_way_is_near_the_shortest(seed: int) -> None:
    cameras = at(*(tuple(point) for point in np.random.default_rng(seed).normal(size=(7, 3))))
    ways = _ways(cameras)
    found = _improved(_nearest(ways), ways)
    assert sorted(found) == list(range(7))
    assert found[0] == 0
    every = ([0, *rest] for rest in itertools.permutations(range(1, 7)))
    shortest = min(_length(np.array(order), ways) for order in every)
    assert _length(found, ways) < 1.2 * shortest  # worst of 40 seeds: 1.16


def test_turns_count_as_well_as_ways() -> None:
    ways = _ways(ring(4))
    quarter, half = np.sqrt(2) + np.pi / 2, 2 + np.pi
    assert ways[0].tolist() == pytest.approx([0, quarter, half, quarter], abs=1e-6)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_cameras_stay_as_they_are(count: int) -> None:
    cameras = ring(5)[:count]
    assert names(walking_order(cameras), cameras) == list(range(count))


def test_cameras_in_one_place() -> None:
    cameras = at(*[(1.0, 2.0, 3.0)] * 5)
    assert names(walking_order(cameras), cameras) == list(range(5))
