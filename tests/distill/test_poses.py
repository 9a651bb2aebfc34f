import dataclasses

import numpy as np

from gaussians.distill.poses import PoseOrder, nearest_rotation, unseen_poses
from gaussians.distill.recipe import Poses
from gaussians.train.schedule import Draws

from .scenes import orbit

POSES = Poses(share=0.5, count=40, jitter=0.0, start=10, stop=50)


def test_poses_lie_between_neighbours_and_look_as_they_do() -> None:
    cameras = orbit(9)
    centres = np.array([camera.centre for camera in cameras])
    gap = np.linalg.norm(centres[1] - centres[0])
    for pose in unseen_poses(cameras, POSES, 0):
        distances = np.linalg.norm(centres - pose.centre, axis=1)
        assert distances.min() < 2 * gap
        assert np.linalg.norm(pose.centre) <= 3 + 1e-9  # chords of the circle: never outside what was seen
        assert np.linalg.det(pose.viewmat[:3, :3]) > 0.999
        nearest = cameras[int(distances.argmin())]
        assert pose.forward @ nearest.forward > np.cos(np.radians(45))
        assert (pose.width, pose.height) == (nearest.width, nearest.height)


def test_jitter_shifts_and_the_seed_decides() -> None:
    shaken = dataclasses.replace(POSES, jitter=1.0)
    straight, moved, other = (
        unseen_poses(orbit(9), poses, seed) for poses, seed in ((POSES, 0), (shaken, 0), (shaken, 1))
    )
    again = unseen_poses(orbit(9), shaken, 0)
    assert all(np.array_equal(a.viewmat, b.viewmat) for a, b in zip(moved, again, strict=True))
    assert not np.allclose(moved[0].viewmat, other[0].viewmat)
    heights = [abs(pose.centre[1]) for pose in moved]
    assert max(abs(pose.centre[1]) for pose in straight) < 1e-9  # the orbit is level
    assert 0.05 < float(np.mean(heights)) < 1


def test_without_a_share_there_are_none_and_lone_cameras_stay_where_they_are() -> None:
    assert unseen_poses(orbit(), dataclasses.replace(POSES, share=0.0), 0) == []
    lone = unseen_poses(orbit(1), POSES, 0)
    assert len(lone) == 40
    assert np.allclose(lone[3].viewmat, orbit(1)[0].viewmat)


def test_a_share_of_the_window_is_at_unseen_poses() -> None:
    order, draws = PoseOrder(dataclasses.replace(POSES, stop=2010), views=6), Draws(0, "student")
    chosen = [order(3, step, draws) for step in range(2020)]
    assert set(chosen[:10]) == set(chosen[2010:]) == {3}
    inside = np.array(chosen[10:2010])
    assert 0.45 < float((inside >= 6).mean()) < 0.55
    assert set(inside[inside >= 6]) == set(range(6, 46))
    assert chosen == [order(3, step, Draws(0, "student")) for step in range(2020)]


def test_nearest_rotation_of_half_way_is_the_middle() -> None:
    c, s = np.cos(0.6), np.sin(0.6)
    end, middle = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]), nearest_rotation(np.diag([1.0, -1, -1]) * 2)
    assert np.allclose(middle, np.diag([1, -1, -1]))
    half = nearest_rotation((np.eye(3) + end) / 2)
    assert np.allclose(half @ half, end)
