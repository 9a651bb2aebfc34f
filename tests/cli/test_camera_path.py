import math
from itertools import pairwise

import numpy as np
import pytest

from gaussians.camera import Camera
from gaussians.session.camera_path import camera_path, is_closed, linear, quat_of, rotation_of, slerp
from tests.cli.scenes import ring

ROUNDING = 1e-6  # worst seen 4e-8: arccos near 1


def rigid(seed: int) -> np.ndarray:
    """Looking anywhere, `seed` steps of about 2 along x."""
    rng = np.random.default_rng(seed)
    viewmat = np.eye(4)
    viewmat[:3, :3] = rotation_of(unit(rng.normal(size=4)))
    viewmat[:3, 3] = -viewmat[:3, :3] @ (rng.normal(size=3) + np.array([2 * seed, 0, 0]))
    return viewmat


def unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def scattered(count: int) -> list[Camera]:
    return [Camera(rigid(seed), np.eye(3), 8, 6) for seed in range(count)]


def angle(a: Camera, b: Camera) -> float:
    """Between the rotations of two cameras, radians."""
    trace = np.trace(a.viewmat[:3, :3] @ b.viewmat[:3, :3].T)
    return math.acos(np.clip((trace - 1) / 2, -1, 1))


@pytest.mark.parametrize("seed", range(20))
def test_quaternions_and_rotations_are_inverse(seed: int) -> None:
    quat = unit(np.random.default_rng(seed).normal(size=4))
    back = quat_of(rotation_of(quat))
    assert min(np.abs(back - quat).max(), np.abs(back + quat).max()) < 1e-12


@pytest.mark.parametrize("axis", [(0, 1, 1, 0), (0, 0, 1, 1), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)])
def test_half_turns_too(axis: tuple[float, ...]) -> None:
    quat = unit(np.array(axis, float))
    assert np.abs(rotation_of(quat_of(rotation_of(quat))) - rotation_of(quat)).max() < 1e-12


def test_slerp_goes_along_the_great_circle_and_beyond() -> None:
    a = np.array([1.0, 0, 0, 0])

    def about_z(turn: float) -> np.ndarray:
        return np.array([math.cos(turn / 2), 0, 0, math.sin(turn / 2)])

    for share in (-1.0, 0.0, 0.3, 1.0, 1.5):
        assert np.abs(slerp(a, about_z(0.8), share) - about_z(0.8 * share)).max() < 1e-12
    assert np.array_equal(slerp(a, a, 0.5), a)
    assert np.array_equal(linear(a, 2 * a, -1.0), 0 * a)


@pytest.mark.parametrize("count", [2, 3, 7])
def test_the_path_passes_through_every_camera_in_order(count: int) -> None:
    cameras = scattered(count)
    path = camera_path(cameras, 4001)
    places = []
    for camera in cameras:
        distances = [np.linalg.norm(step.centre - camera.centre) for step in path]
        nearest = int(np.argmin(distances))
        places.append(nearest)
        assert distances[nearest] < 5e-3  # between two of the path's samples; worst seen 1.7e-3
        assert angle(path[nearest], camera) < 5e-3
    assert places == sorted(places)
    assert (places[0], places[-1]) == (0, 4000)


def test_the_path_is_smooth() -> None:
    path = camera_path(scattered(6), 4001)
    centres = np.stack([camera.centre for camera in path])
    speed = np.diff(centres, axis=0)
    turn = np.array([angle(a, b) for a, b in pairwise(path)])
    # Straight segments between the cameras would bend by 100 % of the speed; worst seen 0.4 %.
    assert np.linalg.norm(np.diff(speed, axis=0), axis=1).max() < 0.01 * np.linalg.norm(speed, axis=1).max()
    assert np.abs(np.diff(turn)).max() < 0.01 * turn.max()


def test_a_ring_is_closed_and_followed() -> None:
    cameras = ring(8)
    path = camera_path(cameras, 64)
    centres = np.stack([camera.centre for camera in path])
    assert np.abs(centres[::8] - np.stack([camera.centre for camera in cameras])).max() < ROUNDING
    radii = np.linalg.norm(centres, axis=1)
    assert radii.min() > 2.9
    assert radii.max() < 3.01
    steps = np.linalg.norm(np.roll(centres, -1, axis=0) - centres, axis=1)
    assert steps.max() < 1.2 * steps.min()  # also from the last to the first; worst seen 1.12
    for camera in path:  # all look at the origin
        assert camera.forward @ unit(-camera.centre) > 0.999


def test_a_line_is_open() -> None:
    centres = np.arange(12.0).reshape(-1, 1) * [1.0, 0, 0]
    assert not is_closed(centres)
    assert not is_closed(centres[:3])


def test_every_camera_of_the_path_is_rigid_and_like_the_first() -> None:
    cameras = scattered(5)
    for camera in camera_path(cameras, 50):
        rotation = camera.viewmat[:3, :3]
        assert np.abs(rotation @ rotation.T - np.eye(3)).max() < 1e-9
        assert np.linalg.det(rotation) > 0
        assert (camera.width, camera.height) == (8, 6)
        assert camera.K is cameras[0].K


@pytest.mark.parametrize("cameras", [1, 2, 5])
def test_cameras_in_one_place(cameras: int) -> None:
    for camera in camera_path([scattered(1)[0]] * cameras, 10):
        assert np.abs(camera.viewmat - rigid(0)).max() < ROUNDING


def test_a_camera_that_only_turns() -> None:
    still = [Camera(np.eye(4), np.eye(3), 8, 6) for _ in range(3)]
    for turn, camera in enumerate(still):
        camera.viewmat[:3, :3] = rotation_of(np.array([math.cos(turn / 4), 0, math.sin(turn / 4), 0]))
    path = camera_path(still, 11)
    turns = [angle(a, b) for a, b in pairwise(path)]
    assert turns == pytest.approx([0.1] * 10, abs=ROUNDING)


def test_one_frame() -> None:
    (camera,) = camera_path(scattered(3), 1)
    assert np.abs(camera.viewmat - rigid(0)).max() < ROUNDING
