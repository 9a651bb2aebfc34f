"""The start page, and looking for a folder or a splat file by mouse or by keys."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dearpygui.dearpygui as dpg

from app.browse import Browser, Entry
from app.containers import inside
from app.fitting import fitted, wide
from app.keys import calling
from app.studio import Studio
from app.theme import Look
from gaussians.cli.distill import DEMO
from gaussians.io import readable_suffixes

TAG = "start page"
START_WIDTH, BROWSE_WIDTH, LIST_HEIGHT = 600, 720, 300  # px at scale 1
ROW = 26  # px of a line of the list at scale 1


class OpenDialog:
    """One dialog of two pages.

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
        self._browser: Browser | None = None
        self._last: Path | None = None  # the folder that was looked into last
        self._rows: list[tuple[Entry, str]] = []
        self._handlers: int | str | None = None

    @property
    def shown(self) -> bool:
        """Whether it is in front."""
        return bool(dpg.does_item_exist(TAG) and dpg.is_item_shown(TAG))

    def start_page(self) -> None:
        """What can be opened: the demo, a folder, a splat file, recent ones."""
        self._browser = None
        with self._window("Open", START_WIDTH, tag=TAG):
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
            dpg.add_spacer(height=self._px(4))
            self._build_recent()

    def browse(self, suffixes: tuple[str, ...]) -> None:
        """Look for a folder, or for files of these suffixes."""
        recent = next((path.parent for path in self._studio.settings.recent if path.exists()), Path.cwd())
        self._browser = Browser(self._last or recent, suffixes)
        self._build_browser()

    def press(self, key: int) -> None:
        """A key went down while this is in front."""
        browser = self._browser
        if browser is None:
            return
        if key in (dpg.mvKey_Return, dpg.mvKey_NumPadEnter):
            self._enter()
        elif key in (dpg.mvKey_Down, dpg.mvKey_Up):
            browser.move(1 if key == dpg.mvKey_Down else -1)
            self._follow()
            self._scroll()
        elif key == dpg.mvKey_Back and dpg.is_key_down(dpg.mvKey_LAlt):
            self._go(browser.folder.parent)

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
            for number, path in enumerate(recent):
                there = path.exists()
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

    def _build_browser(self) -> None:
        """The page anew, for another folder: a field that is being edited can't be emptied otherwise."""
        browser = self._browser
        assert browser is not None
        self._last = browser.folder
        title = "Open a splat file" if browser.suffixes else "Open a folder"
        with self._window(title, BROWSE_WIDTH, tag=TAG):
            self._build_path(browser)
            dpg.add_input_text(
                tag="browse field",
                width=-1,
                hint="Type a part of a name, or a path",
                callback=lambda _, words: self._type(words),
            )
            high = min(self._px(LIST_HEIGHT), round(dpg.get_viewport_client_height() * 0.4))
            dpg.add_child_window(
                tag="browse list", width=-1, height=high, border=False, always_use_window_padding=True
            )
            dpg.bind_item_theme("browse list", self._look.sunk)
            dpg.add_text("", tag="browse line", wrap=0)
            with inside(dpg.add_group(horizontal=True)):
                dpg.add_button(
                    label="Open", tag="browse open", width=self._px(96), callback=lambda: self._take()
                )
                dpg.bind_item_theme("browse open", self._look.primary)
                dpg.add_button(label="Back", tag="browse back", callback=lambda: self.start_page())
                dpg.add_text("", tag="browse target")
                dpg.bind_item_theme("browse target", self._look.faint)
        self._fill()
        dpg.focus_item("browse field")

    def _build_path(self, browser: Browser) -> None:
        """The folders above as buttons, as many as fit."""
        above = [browser.folder, *browser.folder.parents]
        shown, room = [], self._px(BROWSE_WIDTH - 150)
        for folder in above:
            label = fitted(folder.name or str(folder), self._px(260))
            room -= wide(label) + self._px(24)
            if room < 0:
                break
            shown.append((folder, label))
        with inside(dpg.add_group(horizontal=True)):
            dpg.add_button(label="Up", tag="browse up", callback=lambda: self._go(browser.folder.parent))
            dpg.configure_item("browse up", enabled=browser.folder != browser.folder.parent)
            dpg.add_button(label="Home", tag="browse home", callback=lambda: self._go(Path.home()))
            dpg.add_spacer(width=self._px(4))
            with inside(dpg.add_group(horizontal=True, horizontal_spacing=0)):
                if len(shown) < len(above):
                    dpg.bind_item_theme(dpg.add_text("…"), self._look.faint)
                for folder, label in reversed(shown):
                    button = dpg.add_button(
                        label=label, user_data=folder, callback=lambda _, __, folder: self._go(folder)
                    )
                    dpg.bind_item_theme(button, self._look.quiet)

    def _fill(self) -> None:
        """The list's lines anew."""
        browser = self._browser
        assert browser is not None
        dpg.delete_item("browse list", children_only=True)
        if self._handlers is not None:
            dpg.delete_item(self._handlers)
        with inside(dpg.add_item_handler_registry()) as self._handlers:
            dpg.add_item_double_clicked_handler(button=dpg.mvMouseButton_Left, callback=lambda: self._enter())
        self._rows = []
        table = dpg.add_table(header_row=False, policy=dpg.mvTable_SizingStretchProp, parent="browse list")
        dpg.bind_item_theme(table, self._look.dense)
        with inside(table):
            for weight in (4.0, 1.0, 1.2):
                dpg.add_table_column(init_width_or_weight=weight)
            for number, entry in enumerate(browser.entries):
                tag = f"browse entry {number}"
                with inside(dpg.add_table_row()):
                    dpg.add_selectable(
                        label=fitted(entry.path.name, self._px(400)),
                        tag=tag,
                        span_columns=True,
                        user_data=entry,
                        callback=lambda _, __, entry: self._choose(entry),
                    )
                    dpg.bind_item_handler_registry(tag, self._handlers)
                    dpg.bind_item_theme(
                        dpg.add_text(entry.what),
                        self._look.good
                        if entry.is_folder and entry.opens and not browser.suffixes
                        else self._look.faint,
                    )
                    dpg.bind_item_theme(dpg.add_text(entry.day), self._look.faint)
                self._rows.append((entry, tag))
        self._follow()

    def _follow(self) -> None:
        """Mark what is chosen, and say what Open would open."""
        browser = self._browser
        assert browser is not None
        for entry, tag in self._rows:
            dpg.set_value(tag, entry == browser.chosen)
        nothing = "No splat files and no folders here." if browser.suffixes else "No folders here."
        more = f"{browser.hidden:,} more: type a part of the name." if browser.hidden else ""
        line = browser.problem or more or ("" if browser.entries else nothing)
        dpg.set_value("browse line", line)
        dpg.configure_item("browse line", show=bool(line))
        dpg.bind_item_theme("browse line", self._look.bad if browser.problem else self._look.faint)
        target = browser.target
        dpg.configure_item("browse open", enabled=target is not None)
        dpg.set_value("browse target", fitted(target.name or str(target), self._px(480)) if target else "")

    def _scroll(self) -> None:
        """Bring what is chosen into sight."""
        tag = next((tag for entry, tag in self._rows if entry == self._browser_chosen), None)
        if tag is None or not dpg.does_item_exist(tag):
            return
        first, high = dpg.get_y_scroll("browse list"), dpg.get_item_height("browse list") or 0
        top = dpg.get_item_pos(tag)[1]
        row = self._px(ROW)
        if top < first + row:
            dpg.set_y_scroll("browse list", max(0, top - row))
        elif top > first + high - 2 * row:
            dpg.set_y_scroll("browse list", top - high + 2 * row)

    @property
    def _browser_chosen(self) -> Entry | None:
        return self._browser.chosen if self._browser else None

    def _type(self, words: str) -> None:
        if self._browser is not None:
            self._browser.type(words)
            self._fill()

    def _choose(self, entry: Entry) -> None:
        if self._browser is not None:
            self._browser.chosen, self._browser.problem = entry, ""
            self._follow()
            dpg.focus_item("browse field")

    def _go(self, folder: Path) -> None:
        if self._browser is None:
            return
        if self._browser.go(folder):
            self._build_browser()
        else:
            self._follow()

    def _enter(self) -> None:
        """What a double-click or Enter does."""
        browser = self._browser
        if browser is None:
            return
        before = browser.folder
        path = browser.enter()
        if path is not None:
            self._open(path)
        elif browser.folder != before:
            self._build_browser()
        else:
            self._follow()
            dpg.focus_item("browse field")

    def _take(self) -> None:
        """What the button does."""
        if self._browser is not None and self._browser.target is not None:
            self._open(self._browser.target)

    def _open(self, path: Path) -> None:
        self._close()
        self._studio.open(path)

    def _px(self, size: float) -> int:
        return round(size * dpg.get_global_font_scale())
