from pathlib import Path

import dearpygui.dearpygui as dpg
import pytest

from app.dialogs import Dialogs
from app.export_dialog import ExportDialog
from app.studio import Studio
from app.theme import Look
from gaussians.session.messages.commands import Export
from gaussians.session.messages.reports import Exported, ExportFailed, Failed
from tests.app.fake_worker import FakeWorker, hear


@pytest.fixture
def dialog(opened: Studio, look: Look, tmp_path: Path) -> ExportDialog:
    dialog = ExportDialog(opened, look, Dialogs(opened, look))
    dialog.open()
    dpg.set_value("export folder", str(tmp_path))
    return dialog


def call(tag: str, *given: str) -> None:
    """What the toolkit calls when an item is used."""
    callback = dpg.get_item_callback(tag)
    assert callback is not None
    callback(*given)


def choose(model: str, name: str) -> None:
    """Take a model from the list, and give the file a name."""
    dpg.set_value("export model", model)
    call("export model", "export model", model)
    dpg.set_value("export name", name)


def write() -> str:
    """Press Write; what the dialog says then."""
    call("export write")
    return dpg.get_value("export line")


def exports(worker: FakeWorker) -> list[Export]:
    return [command for command in worker.sent if isinstance(command, Export)]


def test_each_model_that_would_replace_a_file_is_asked_about(
    dialog: ExportDialog, worker: FakeWorker, tmp_path: Path
) -> None:
    (tmp_path / "mine.ply").touch()
    choose("Student", "mine")
    assert "Write again" in write()
    choose("Vanilla", "mine")
    assert "Write again" in write()
    assert exports(worker) == []
    choose("Student", "mine")
    assert "Write again" in write(), "it was asked of another model meanwhile"
    write()
    assert exports(worker) == [Export("student", tmp_path / "mine.ply")]


def test_what_was_written_is_said_until_another_model_is_chosen(
    dialog: ExportDialog, opened: Studio, worker: FakeWorker, tmp_path: Path
) -> None:
    choose("Student", "mine")
    write()
    choose("Vanilla", "its")
    assert dpg.get_value("export line").startswith("Writing"), "it goes on"
    hear(opened, worker, Exported(tmp_path / "mine.ply", 12, 3456))
    dialog.refresh()
    assert dpg.get_value("export line").startswith("Written")
    (tmp_path / "mine.ply").touch()
    choose("Student", "mine")
    assert dpg.get_value("export line") == ""
    assert "Write again" in write(), "what replaced it once is asked again"


def test_an_export_that_failed_is_mended_where_it_was_typed(
    dialog: ExportDialog, opened: Studio, worker: FakeWorker, tmp_path: Path
) -> None:
    choose("Student", "mine")
    write()
    hear(opened, worker, ExportFailed(Failed("The model was not exported", "Choose another folder.")))
    dialog.refresh()
    assert opened.state.failures == []
    assert dpg.get_value("export line") == "The model was not exported.\nChoose another folder."
    assert dpg.get_value("export name") == "mine"
    assert dpg.is_item_enabled("export write")
    write()
    assert len(exports(worker)) == 2


@pytest.mark.parametrize("details", ["", "Traceback"])
def test_a_failed_export_is_told_by_itself_where_the_dialog_is_gone_or_there_is_more_to_it(
    dialog: ExportDialog, opened: Studio, worker: FakeWorker, details: str
) -> None:
    choose("Student", "mine")
    write()
    if not details:
        dpg.configure_item("export dialog", show=False)
    failed = Failed("The model was not exported", "Try again.", details)
    hear(opened, worker, ExportFailed(failed))
    dialog.refresh()
    dialog.refresh()
    assert opened.state.failures == [failed]
