"""The start page: what can be opened."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dearpygui.dearpygui as dpg

from app.browse_page import PATIENCE, BrowsePage
from app.containers import inside
from app.errand import Errand
from app.fitting import fitted
from app.keys import calling
from app.paths import is_there
from app.studio import Studio
from app.theme import Look
from gaussians.cli.distill import DEMO
from gaussians.io import readable_suffixes

TAG = "start page"
WIDTH = 600  # px at scale 1
REPLACES = "What you open takes the place of the run under way, which is stopped and saved: open it to go on."


class OpenDialog:
    """One dialog of two pages: the start page, and looking for something.

    Args:
        studio: what opens things.
        look: themes.
        window: makes the dialog's window, empty; see `Dialogs.window`.
        close: puts it away.
    """

    def __init__(
        self, studio: Studio, look: Look, window: Callable[..., Any], close: Callable[[], None]
    ) -> None:
        self._studio, self._look, self._window, self._close = studio, look, window, close
        self._page = BrowsePage(
            look, lambda title, width: window(title, width, tag=TAG), self._open, self.start_page
        )

    def start_page(self) -> None:
        """What can be opened: the demo, a folder, a splat file, recent ones."""
        self._page.close()
        with self._window("Open", WIDTH, tag=TAG):
            for label, tag, what, callback in (
                (
                    "Demo scene",
                    "open demo",
                    "64 pictures of a still life, ready to train",
                    lambda: self._open(DEMO),
                ),
                (
                    "Folder…",
                    "open folder",
                    "Photos, a COLMAP or transforms.json scene, or a run",
                    lambda: self.browse(()),
                ),
                (
                    "Splat file…",
                    "open splat",
                    "A file to view: " + ", ".join(readable_suffixes()),
                    lambda: self.browse(readable_suffixes()),
                ),
            ):
                with inside(dpg.add_group(horizontal=True)):
                    dpg.add_button(label=label, tag=tag, width=self._px(120), callback=calling(callback))
                    dpg.bind_item_theme(dpg.add_text(what), self._look.faint)
            dpg.bind_item_theme("open demo", self._look.primary)
            if self._studio.state.busy:
                dpg.add_text(REPLACES, tag="open replaces", wrap=0)
            dpg.add_spacer(height=self._px(4))
            self._build_recent()

    def browse(self, suffixes: tuple[str, ...]) -> None:
        """Look for a folder, or for files of these suffixes."""
        recent = [path.parent for path in self._studio.settings.recent]
        self._page.begin((*recent, Path.cwd()), suffixes)

    def press(self, key: int) -> None:
        """A key went down while this is in front."""
        if self._page.shown:
            self._page.press(key)
        elif key in (dpg.mvKey_Return, dpg.mvKey_NumPadEnter) and not self._studio.state.busy:
            self._open(DEMO)  # but no run is ended by a key pressed too often

    def refresh(self) -> None:
        """Show what has been read meanwhile."""
        if self._page.shown and dpg.is_item_shown(TAG):
            self._page.refresh()

    def _build_recent(self) -> None:
        recent = self._studio.settings.recent
        dpg.bind_item_font(dpg.add_text("Recent"), self._look.bold)
        if not recent:
            dpg.bind_item_theme(dpg.add_text("What you open is listed here."), self._look.faint)
            return
        table = dpg.add_table(header_row=False, policy=dpg.mvTable_SizingStretchProp)
        dpg.bind_item_theme(table, self._look.dense)
        with inside(table):
            for weight in (1.0, 2.4):
                dpg.add_table_column(init_width_or_weight=weight)
            looked = Errand(lambda: _missing(tuple(recent)))
            missing = looked.result if looked.is_done(PATIENCE) else set()
            for number, path in enumerate(recent):
                there = path not in missing
                with inside(dpg.add_table_row()):
                    dpg.add_selectable(
                        label=fitted(path.name, self._px(150)),
                        tag=f"recent {number}",
                        span_columns=True,
                        user_data=path,
                        callback=lambda _, __, path: self._open(path),
                    )
                    where = fitted(str(path.parent), self._px(370 if there else 260))
                    dpg.add_text(where if there else f"Not there: {where}", tag=f"recent place {number}")
                    dpg.bind_item_theme(f"recent place {number}", self._look.faint)
                    with inside(dpg.add_tooltip(f"recent {number}", delay=0.6)):
                        dpg.add_text(str(path), wrap=self._px(480))
                if not there:
                    dpg.bind_item_theme(f"recent {number}", self._look.gone)

    def _open(self, path: Path) -> None:
        self._page.close()
        self._close()
        self._studio.open(path)

    def _px(self, size: float) -> int:
        return round(size * dpg.get_global_font_scale())


def _missing(paths: tuple[Path, ...]) -> set[Path]:
    """Those that are not there."""
    return {path for path in paths if not is_there(path)}
