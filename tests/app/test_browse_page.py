from pathlib import Path

import dearpygui.dearpygui as dpg
import pytest

from app.browse import Browser
from app.dialogs import Dialogs
from app.studio import Studio
from app.theme import Look


def test_what_the_disk_refuses_is_said_below_the_list(
    studio: Studio, look: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "scene").mkdir()
    dialogs = Dialogs(studio, look)
    dialogs.opening.browse(())
    assert dpg.get_value("browse line") == ""

    def refused(_: Browser) -> Path | None:
        raise OSError(5, "Input/output error", str(tmp_path / "scene"))

    monkeypatch.setattr(Browser, "enter", refused)
    dialogs.press(dpg.mvKey_Return)
    assert dpg.get_value("browse line") == f"{tmp_path / 'scene'}: Input/output error."
    assert not dpg.is_item_enabled("browse open")
