import dearpygui.dearpygui as dpg
import pytest

from app.loading_box import LoadingBox
from app.studio import Studio
from app.theme import Look
from gaussians.session.messages.reports import Loading
from tests.app.fake_worker import FakeWorker, hear


def test_a_bar_is_shown_where_it_is_known_how_far_it_is(
    studio: Studio, worker: FakeWorker, look: Look
) -> None:
    box = LoadingBox(studio, look)
    box.build()
    hear(studio, worker, Loading("decoding photos", 16, 64, "garden"))
    box.refresh(1.0, (800, 600))
    assert dpg.is_item_shown("loading bar")
    assert dpg.get_value("loading bar") == 0.25
    assert dpg.get_value("loading what") == "Decoding photos  ·  16 of 64"
    hear(studio, worker, Loading("once, about a minute: training", 0, 1))
    box.refresh(1.0, (800, 600))
    assert not dpg.is_item_shown("loading bar")
    assert dpg.get_value("loading title") == "Compiling for this processor"
    assert dpg.get_value("loading what") == "Once, about a minute: training"


def test_of_a_long_name_the_beginning_is_shown(
    studio: Studio, worker: FakeWorker, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.fitting.wide", lambda words: 8 * len(words))
    box = LoadingBox(studio, look)
    box.build()
    hear(studio, worker, Loading("opening", 0, 1, "garden" + " in May" * 40))
    box.refresh(1.0, (800, 600))
    title = dpg.get_value("loading title")
    assert title.startswith("Opening garden in May")
    assert title.endswith("…")
