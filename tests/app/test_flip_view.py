from collections.abc import Hashable

import numpy as np

from app.flip_view import FlipView
from gaussians.session.flip_process import FlipMap, FlipMaps
from gaussians.session.messages.frame import Frame
from tests.app.fake_worker import camera


class ToldMaps(FlipMaps):
    """Notes what is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Hashable] = []

    def ask(self, key: Hashable, reference: np.ndarray, test: np.ndarray) -> None:
        self.asked.append(key)

    def answer(self) -> None:
        self.newest = FlipMap(self.asked[-1], np.zeros((6, 8), np.uint8), 0.5)


def frame(model: str, x: float = 0.0, sharp: bool = True) -> Frame:
    return Frame("compare", model, np.zeros((6, 8, 3), np.uint8), camera(x), 1, sharp=sharp)


def test_a_map_is_shown_while_models_and_camera_stay() -> None:
    maps = ToldMaps()
    view = FlipView(maps)
    assert view.of(frame("photo"), frame("student")) is None
    maps.answer()
    assert view.of(frame("photo"), frame("student")) is maps.newest
    assert view.of(frame("photo"), frame("student")) is maps.newest, "trained meanwhile: a moment old"
    assert view.of(frame("photo"), frame("vanilla")) is None
    assert view.of(frame("photo", 1.0), frame("student", 1.0)) is None


def test_nothing_is_asked_for_while_the_camera_moves() -> None:
    maps = ToldMaps()
    view = FlipView(maps)
    assert view.of(frame("photo", sharp=False), frame("student", sharp=False)) is None
    assert view.of(frame("photo", 0.0), frame("student", 1.0)) is None
    assert not maps.asked
