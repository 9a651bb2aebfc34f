"""The teachers' panel: what it says of their quality, and that one of them stays on."""

import dearpygui.dearpygui as dpg
import pytest

from app.studio import Studio
from app.teachers_panel import LEAST, TeachersPanel
from app.theme import Look
from gaussians.session.messages.reports import MetricsLogged, ModelsChanged, TeachersWeighed
from tests.app.fake_worker import COUNTS, FakeWorker, hear, scene

LINE = {"time": 1.0, "step": 10, "count": 7}


@pytest.fixture
def panel(studio: Studio, look: Look, worker: FakeWorker) -> TeachersPanel:
    views = tuple(f"{index}.jpg" for index in range(8))
    hear(studio, worker, scene(test=views, measured={"vanilla": 24.83}), ModelsChanged(COUNTS))
    panel = TeachersPanel(studio, look)
    panel.build(dpg.add_window())
    return panel


def test_figures_of_a_few_views_are_told_from_those_of_all(
    panel: TeachersPanel, studio: Studio, worker: FakeWorker
) -> None:
    lines = tuple(
        LINE | {"stage": name, "model": name, "psnr": psnr}
        for name, psnr in (("vanilla", 23.2), ("dropout", 23.1), ("student", 24.61))
    )
    hear(studio, worker, MetricsLogged(lines))
    panel.refresh()
    assert "24.83 dB held out" in dpg.get_value("teacher facts vanilla")
    assert "23.10 dB on 4 held-out views" in dpg.get_value("teacher facts dropout")
    assert dpg.get_value("together") == "Student: 24.61 dB on 4 held-out views (Vanilla: 23.20)"


def test_the_last_teacher_that_is_on_stays_on(
    panel: TeachersPanel, studio: Studio, worker: FakeWorker
) -> None:
    for other, last in ((0.0, True), (2.0, False)):
        hear(studio, worker, TeachersWeighed({"vanilla": 1.0, "dropout": other}, 0))
        panel.refresh()
        assert dpg.is_item_enabled("teacher on vanilla") is not last
        assert dpg.get_item_configuration("weight vanilla")["min_value"] == pytest.approx(
            LEAST if last else 0
        )
        assert dpg.is_item_enabled("teacher on dropout")
