"""The painter, with pictures that take as long as the test says: nobody waits for them while training."""

import time

import numpy as np
import pytest

from gaussians.camera import Camera
from gaussians.errors import BackendUnavailableError
from gaussians.model import Gaussians
from gaussians.session.gallery import Drawer, Picture
from gaussians.session.messages.commands import Look, View
from gaussians.session.messages.frame import ELLIPSOIDS, Frame
from gaussians.session.painter import Painter
from tests.distill.scenes import random_gaussians

CAMERA = Camera(np.eye(4), np.diag([50.0, 50, 1]), 64, 48)
LOOK = Look(CAMERA, (View("left", "student"), View("right", "vanilla")), None, False)


class Slow:
    """A picture that is done when it is told so."""

    def __init__(self, model: str) -> None:
        self.model, self.done, self.waited = model, False, False
        self.extra: dict[str, int] = {}

    def is_done(self) -> bool:
        return self.done

    def seconds(self) -> float | None:
        return None

    def picture(self) -> Picture:
        self.waited = not self.done
        if self.model == "broken":
            raise ValueError("no memory")
        return Picture(np.zeros((48, 64, 3), np.uint8), 7, extra=self.extra)


class SlowGallery:
    def __init__(self) -> None:
        self.begun: list[Slow] = []

    def version(self, model: str, dataset: str | None) -> int:
        return 0

    def begin(self, model: str, camera: Camera, dataset: str | None, drawer: Drawer | None = None) -> Slow:
        if model == "no gsplat":
            raise BackendUnavailableError("gsplat did not compile")
        self.begun.append(Slow(model))
        if drawer is not None:
            self.begun[-1].extra = {"drawn": drawer(random_gaussians(), camera, (0.0, 0.0, 0.0))[1]}
        return self.begun[-1]


class Window:
    def __init__(self, drawer: Drawer | None = None) -> None:
        self.frames: list[Frame] = []
        self.failures: list[tuple[str, str]] = []
        self.painter = Painter(
            self.frames.append, lambda model, error: self.failures.append((model, str(error))), drawer
        )
        self.gallery = SlowGallery()
        self.painter.show(self.gallery)  # pyright: ignore[reportArgumentType] - a gallery as far as it is asked

    @property
    def cells(self) -> list[str]:
        return [frame.cell for frame in self.frames]


@pytest.fixture
def window() -> Window:
    return Window()


def test_training_goes_on_until_the_picture_is_there(window: Window):
    window.painter.look(LOOK)
    assert not window.painter.paint(training=True)
    assert not window.painter.paint(training=True)
    (slow,) = window.gallery.begun
    assert window.cells == []
    slow.done = True
    assert window.painter.paint(training=True)
    assert (window.cells, slow.waited) == (["left"], False)


def test_one_picture_at_a_time(window: Window):
    window.painter.look(LOOK)
    for _ in range(3):
        window.painter.paint(training=True)
    assert [slow.model for slow in window.gallery.begun] == ["student"]


def test_in_work_that_only_breathes_each_breath_brings_a_picture(window: Window):
    window.painter.look(LOOK)
    assert window.painter.paint(training=True, waits=True)
    assert (window.cells, window.gallery.begun[0].waited) == (["left"], True)


def test_what_takes_too_long_is_waited_for(window: Window, monkeypatch: pytest.MonkeyPatch):
    window.painter.look(LOOK)
    assert not window.painter.paint(training=True)
    real = time.perf_counter
    monkeypatch.setattr(time, "perf_counter", lambda: real() + 0.25)
    assert window.painter.paint(training=True)
    assert (window.cells, window.gallery.begun[0].waited) == (["left"], True)
    assert window.frames[0].seconds >= 0.25


def test_training_pays_for_what_it_missed_alone(window: Window, monkeypatch: pytest.MonkeyPatch):
    window.painter.share(0.1)
    window.painter.look(LOOK)
    real, later = time.perf_counter, [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: real() + later[0])
    window.painter.paint(training=True)
    later[0] = 0.15  # a step of training, in which the picture is done
    window.gallery.begun[0].done = True
    window.painter.paint(training=True)
    assert window.cells == ["left"]
    window.painter.paint(training=True)
    assert len(window.gallery.begun) == 2, "there is credit left for the next"


def test_what_was_begun_is_waited_for_when_nothing_trains(window: Window):
    window.painter.look(LOOK)
    window.painter.paint(training=True)
    assert window.painter.paint(training=False)
    assert (window.cells, window.gallery.begun[0].waited) == (["left"], True)
    assert window.painter.paint(training=False)
    assert window.cells == ["left", "right"]
    assert not window.painter.paint(training=False)


def test_a_picture_of_what_is_no_longer_open_is_dropped(window: Window):
    window.painter.look(LOOK)
    window.painter.paint(training=True)
    window.gallery.begun[0].done = True
    window.painter.show(None)
    assert not window.painter.paint(training=True)
    assert window.cells == []


def test_a_picture_that_fails_on_its_way_is_told_once_and_others_are_shown(window: Window):
    window.painter.look(Look(CAMERA, (View("left", "broken"), View("right", "vanilla")), None, False))
    for _ in range(6):
        window.painter.paint(training=False)
    assert window.failures == [("broken", "no memory")]
    assert window.cells == ["right"]
    assert [slow.model for slow in window.gallery.begun] == ["broken", "vanilla"]


def draw(
    gaussians: Gaussians, camera: Camera, background: tuple[float, float, float]
) -> tuple[np.ndarray, int]:
    return np.zeros((camera.height, camera.width, 3), np.uint8), 5


def no_opengl(
    gaussians: Gaussians, camera: Camera, background: tuple[float, float, float]
) -> tuple[np.ndarray, int]:
    raise BackendUnavailableError("no OpenGL 3.3 here")


def styled(style: str, camera: Camera = CAMERA, model: str = "vanilla") -> Look:
    return Look(camera, (View("left", "student", style), View("right", model)))


def test_a_cell_is_drawn_as_ellipsoids_where_that_is_asked_for():
    window = Window(draw)
    for style in ("image", ELLIPSOIDS, "image"):
        window.painter.look(styled(style))
        while window.painter.paint(training=False):
            pass
    assert window.cells == ["left", "right", "left", "left"]
    assert [frame.style for frame in window.frames] == ["image", "image", ELLIPSOIDS, "image"]
    assert window.frames[2].extra["drawn"] == 5


def test_where_ellipsoids_cannot_be_drawn_images_are_shown_and_it_is_said_once():
    window = Window(no_opengl)
    for x in (0.0, 1.0):
        moved = Camera(np.diag([1.0, 1, 1, 1 + x]), CAMERA.K, 64, 48)
        window.painter.look(styled(ELLIPSOIDS, moved))
        while window.painter.paint(training=False):
            pass
    assert window.cells == ["left", "right"] * 2
    assert {frame.style for frame in window.frames} == {"image"}
    assert window.failures == [(ELLIPSOIDS, "no OpenGL 3.3 here")]


def test_a_model_that_cannot_be_rendered_is_not_the_drawers_fault():
    window = Window(draw)
    for model in ("no gsplat", "vanilla"):
        window.painter.look(styled(ELLIPSOIDS, model=model))
        while window.painter.paint(training=False):
            pass
    assert window.failures == [("no gsplat", "gsplat did not compile")]
    window.painter.look(styled(ELLIPSOIDS, CAMERA.resized(32, 24)))
    while window.painter.paint(training=False):
        pass
    lefts = [frame.style for frame in window.frames if frame.cell == "left"]
    assert lefts == [ELLIPSOIDS] * len(lefts)
    assert len(lefts) > 1
