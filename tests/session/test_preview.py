"""Previews: the newest camera wins, training keeps its share. On a clock of the test's own."""

import dataclasses
from collections.abc import Hashable

import numpy as np
import pytest

from gaussians.camera import Camera
from gaussians.session.messages.commands import Look, View
from gaussians.session.preview import IDLE_SHARE, OTHERS_WAIT, SCALES, Previews, Shot


def camera(x: float = 0.0, width: int = 640, height: int = 480) -> Camera:
    viewmat = np.eye(4)
    viewmat[0, 3] = x
    return Camera(viewmat, np.diag([500.0, 500, 1]), width, height)


class Clock:
    """Paints what previews want, at a cost in seconds per full frame, and trains between."""

    def __init__(self, cost: float = 0.1, step: float = 0.05, training: bool = True) -> None:
        self.previews, self.now = Previews(), 100.0
        self.cost, self.step, self.training = cost, step, training
        self.versions: dict[str, Hashable] = {}
        self.shots: list[Shot] = []
        self.painted = self.trained = 0.0

    def look(self, x: float, *models: str, moving: bool = False) -> None:
        views = tuple(View(f"cell {model}", model) for model in models)
        self.previews.look(Look(camera(x), views, None, moving), self.now)

    def turn(self) -> Shot | None:
        """One turn of the worker's loop."""
        shot = self.previews.next(lambda model: self.versions.get(model, 0), self.now, self.training)
        if shot is not None:
            seconds = self.cost * shot.scale**2
            self.now += seconds
            self.painted += seconds
            self.previews.done(shot, seconds, self.now)
            self.shots.append(shot)
        else:
            self.now += self.step
            self.trained += self.step
        return shot

    def until(self, end: float) -> None:
        while self.now < end:
            self.turn()


def test_nothing_to_show_paints_nothing():
    clock = Clock()
    assert clock.turn() is None


def test_still_look_is_painted_sharp_in_order_once():
    clock = Clock(training=False)
    clock.look(0, "student", "vanilla", "photo")
    for _ in range(5):
        clock.turn()
    assert [shot.model for shot in clock.shots] == ["student", "vanilla", "photo"]
    assert all(shot.sharp and shot.camera.width == 640 for shot in clock.shots)
    assert clock.previews.patience(clock.now) is None


def test_moving_is_painted_in_fewer_pixels_and_sharpened_when_still():
    clock = Clock(training=False)
    clock.look(0, "student")
    clock.turn()
    clock.look(1, "student", moving=True)
    quick = clock.turn()
    assert quick is not None
    assert not quick.sharp
    assert clock.cost * quick.scale**2 <= 0.06
    assert quick.camera.K[0, 0] == pytest.approx(500 * quick.scale, rel=1e-2)
    assert clock.turn() is None
    clock.look(1, "student")
    clock.now += 0.31
    sharp = clock.turn()
    assert sharp is not None
    assert sharp.sharp


def test_cameras_in_quick_succession_are_moving_and_one_alone_is_not():
    clock = Clock(training=False)
    clock.look(0, "student")
    clock.now += 1
    clock.look(1, "student")
    assert not clock.previews.is_moving(clock.now)
    clock.now += 0.05
    clock.look(2, "student")
    assert clock.previews.is_moving(clock.now)
    assert clock.previews.patience(clock.now) == pytest.approx(0.3)
    clock.now += 0.31
    assert not clock.previews.is_moving(clock.now)


def test_cheap_frames_stay_sharp_while_moving():
    clock = Clock(cost=0.01, training=False)
    clock.look(0, "student")
    clock.turn()
    clock.look(1, "student", moving=True)
    shot = clock.turn()
    assert shot is not None
    assert shot.sharp


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_moving_takes_its_share_and_not_more(share: float):
    clock = Clock()
    clock.previews.share = share
    end = clock.now + 30
    number = 0
    while clock.now < end:
        number += 1
        clock.look(number, "student", "vanilla", "ensemble", moving=True)
        clock.turn()
    part = clock.painted / (clock.painted + clock.trained)
    # Worst seen: 0.01 below.
    assert part == pytest.approx(share, abs=0.03)


def test_still_views_follow_training_in_little_of_the_time():
    clock = Clock()
    clock.look(0, "student", "vanilla", "photo")
    for second in range(60):
        clock.versions["student"] = second
        clock.until(clock.now + 1)
    assert clock.painted / (clock.painted + clock.trained) <= IDLE_SHARE + 0.01
    models = [shot.model for shot in clock.shots]
    assert models.count("student") >= 0.95 * 60 * IDLE_SHARE / clock.cost
    assert models.count("photo") == models.count("vanilla") == 1


def test_refresh_takes_turns_among_live_cells():
    clock = Clock()
    clock.look(0, "student", "ensemble")
    for number in range(400):
        clock.versions = {"student": number, "ensemble": number}
        clock.turn()
    models = [shot.model for shot in clock.shots]
    assert abs(models.count("student") - models.count("ensemble")) <= 1


def test_while_moving_the_first_cell_comes_first_and_the_others_now_and_then():
    clock = Clock(training=False)
    begin = clock.now
    for number in range(200):
        clock.look(number, "student", "vanilla", "ensemble", moving=True)
        clock.turn()
    models = [shot.model for shot in clock.shots]
    others = models.count("vanilla") + models.count("ensemble")
    assert models[3:6] == ["student"] * 3
    assert others == pytest.approx((clock.now - begin) / OTHERS_WAIT, rel=0.35)
    assert abs(models.count("vanilla") - models.count("ensemble")) <= 1


def test_while_moving_the_others_use_the_time_that_the_first_leaves():
    clock = Clock(cost=0.01, training=False)
    for number in range(50):
        clock.look(number, "student", "vanilla", "ensemble", moving=True)
        clock.turn()
        clock.turn()
    models = [shot.model for shot in clock.shots]
    assert models.count("student") == 50
    assert models.count("vanilla") == pytest.approx(25, abs=1)


def test_who_begins_to_move_does_not_wait_for_the_past():
    clock = Clock(cost=0.5)
    clock.look(0, "student")
    while clock.turn() is None:
        pass
    clock.now += 0.5
    clock.look(1, "student", moving=True)
    clock.turn()
    clock.look(2, "student", moving=True)
    turns = 0
    while clock.turn() is None:
        turns += 1
    assert turns <= 4


def test_what_cannot_be_shown_is_left_out_and_failures_wait_for_a_new_camera():
    clock = Clock(training=False)
    clock.look(0, "student", "vanilla")
    wanted = clock.previews.next(lambda model: None if model == "student" else 1, clock.now, False)
    assert wanted is not None
    assert wanted.model == "vanilla"
    clock.previews.failed(wanted)
    assert clock.previews.next(lambda model: None if model == "student" else 1, clock.now, False) is None
    clock.look(1, "student", "vanilla")
    assert clock.previews.next(lambda model: None if model == "student" else 1, clock.now, False) is not None


def test_same_camera_again_paints_only_new_cells():
    clock = Clock(training=False)
    clock.look(0, "student")
    clock.turn()
    clock.look(0, "student", "vanilla")
    assert [shot.model for shot in (clock.turn(), clock.turn()) if shot] == ["vanilla"]


def test_another_size_is_another_picture():
    clock = Clock(training=False)
    clock.look(0, "student")
    clock.turn()
    look = clock.previews.newest
    assert look is not None
    clock.now += 1
    clock.previews.look(dataclasses.replace(look, camera=look.camera.resized(320, 240)), clock.now)
    shot = clock.turn()
    assert shot is not None
    assert shot.camera.width == 320


def test_expensive_models_never_go_below_the_least_scale():
    clock = Clock(cost=100.0, training=False)
    clock.look(0, "student")
    clock.turn()
    clock.look(1, "student", moving=True)
    shot = clock.turn()
    assert shot is not None
    assert shot.scale == SCALES[-1]


def test_first_cell_that_can_be_shown_gets_half_of_a_round():
    clock = Clock(training=False)
    versions = {"photo": None, "student": 1, "vanilla": 1}
    clock.look(0, "student", "vanilla")
    for _ in range(2):
        clock.turn()
    for number in (1, 2):
        clock.look(number, "photo", "student", "vanilla", moving=True)
        shot = clock.previews.next(versions.get, clock.now, False)
    assert shot is not None
    assert shot.model == "student"
    assert shot.scale == 0.5  # 0.025 s of 0.06 / 2
