from pathlib import Path

import dearpygui.dearpygui as dpg
import pytest

from app.run_panel import RunPanel
from app.studio import Studio
from app.theme import Look
from gaussians.distill.presets import recipe
from gaussians.session.messages.commands import Start
from gaussians.session.messages.reports import Failed, Loading, NotStarted, RunStateChanged
from tests.app.fake_worker import FakeWorker, hear, scene


@pytest.fixture
def panel(studio: Studio, look: Look) -> RunPanel:
    panel = RunPanel(studio, look, lambda: None)
    panel.build(dpg.add_window())
    return panel


def shown(panel: RunPanel) -> tuple[str, set[str]]:
    """What the panel says, and its buttons."""
    panel.refresh()
    buttons = {"start", "anew", "pause", "continue", "step", "stop", "export result"}
    return dpg.get_value("run line"), {tag for tag in buttons if dpg.does_item_exist(tag)}


def test_a_run_that_has_not_begun_can_not_be_resumed(
    panel: RunPanel, studio: Studio, worker: FakeWorker
) -> None:
    hear(studio, worker, scene())
    before = shown(panel)
    assert before[1] == {"start"}
    studio.start()
    hear(studio, worker, Loading("compiling", 0, 1), Failed("Memory is short", "", goes_on=True))
    assert shown(panel) == ("Starting…", set())
    assert not dpg.is_item_shown("run progress")
    panel.toggle()
    assert [type(command) for command in worker.sent].count(Start) == 1
    hear(studio, worker, RunStateChanged("training"))
    line, buttons = shown(panel)
    assert line.startswith("Fast recipe, in ")
    assert buttons == {"pause", "stop"}
    assert dpg.is_item_shown("run progress")


def test_a_start_that_comes_to_nothing_leaves_the_buttons_that_were_there(
    panel: RunPanel, studio: Studio, worker: FakeWorker, tmp_path: Path
) -> None:
    hear(studio, worker, scene(run=(tmp_path, recipe("paper"))), RunStateChanged("finished"))
    before = shown(panel)
    studio.start(anew=True)
    assert shown(panel) == ("Starting…", set())
    hear(studio, worker, RunStateChanged("finished"), NotStarted())
    assert shown(panel) == before


def test_a_worker_that_dies_starts_nothing_any_more(
    panel: RunPanel, studio: Studio, worker: FakeWorker
) -> None:
    hear(studio, worker, scene())
    studio.start()
    worker.is_alive = False
    studio.take_reports()
    assert not shown(panel)[0].startswith("Starting")
