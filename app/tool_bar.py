"""The buttons at the top left: what can be done at any time."""

from collections.abc import Callable

import dearpygui.dearpygui as dpg

from app.containers import inside
from app.dialogs import Dialogs
from app.export_dialog import ExportDialog


class ToolBar:
    """Opening, exporting, settings and help.

    Args:
        dialogs: to open, for settings and for the keys.
        export: of models.
    """

    def __init__(self, dialogs: Dialogs, export: ExportDialog) -> None:
        self._dialogs, self._export = dialogs, export

    def build(self, parent: int | str) -> None:
        """Make the widgets."""
        dialogs = self._dialogs
        with inside(dpg.add_group(horizontal=True, parent=parent, tag="tool bar")):
            _tool("open", "Open…", dialogs.start_page, "A scene, a run or a splat file  (Ctrl+O)")
            _tool("export", "Export…", self._export.open, "Write a model as a splat file  (Ctrl+E)")
            _tool("settings", "Settings", dialogs.settings, "Size of text, share of previews")
            _tool("shortcuts", "Keys", dialogs.shortcuts, "Keys and mouse  (F1)")

    def refresh(self) -> None:
        """Offer to export where there is a model to."""
        dpg.configure_item("export", show=bool(self._export.models))


def _tool(tag: str, label: str, callback: Callable[[], None], help: str) -> None:
    dpg.add_button(label=label, tag=tag, callback=lambda: callback())
    with inside(dpg.add_tooltip(tag, delay=0.4)):
        dpg.add_text(help)
