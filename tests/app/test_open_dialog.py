import dearpygui.dearpygui as dpg
import pytest

from app.dialogs import Dialogs
from app.studio import Studio
from app.theme import Look
from gaussians.cli.distill import DEMO
from gaussians.session.messages.commands import OpenScene
from gaussians.session.messages.reports import RunStateChanged
from tests.app.fake_worker import FakeWorker, hear, scene


@pytest.fixture
def dialogs(studio: Studio, look: Look) -> Dialogs:
    return Dialogs(studio, look)


def opened(worker: FakeWorker) -> list[OpenScene]:
    return [command for command in worker.sent if isinstance(command, OpenScene)]


def test_enter_opens_the_demo_which_is_marked_to_be_what_it_does(
    dialogs: Dialogs, worker: FakeWorker
) -> None:
    dialogs.start_page()
    dialogs.press(dpg.mvKey_N)
    assert opened(worker) == []
    dialogs.press(dpg.mvKey_Return)
    assert [command.path for command in opened(worker)] == [DEMO]
    assert not dialogs.is_open


def test_enter_ends_no_run_and_opens_nothing_from_another_page(
    dialogs: Dialogs, studio: Studio, worker: FakeWorker
) -> None:
    dialogs.start_page()
    dialogs.opening.browse(())
    dialogs.press(dpg.mvKey_Return)
    hear(studio, worker, scene(), RunStateChanged("training"))
    dialogs.start_page()
    dialogs.press(dpg.mvKey_Return)
    assert opened(worker) == []
    assert dialogs.is_open
