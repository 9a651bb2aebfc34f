"""Looking for a folder or a splat file, by mouse or by keys. What can't be read at once is waited for."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dearpygui.dearpygui as dpg

from app.browse import Browser, Entry
from app.containers import inside
from app.errand import Errand
from app.fitting import fitted, wide, window_size
from app.paths import is_folder
from app.theme import Look

WIDTH, LIST_HEIGHT = 720, 300  # px at scale 1
ROW = 26  # px of a line of the list at scale 1
PATIENCE = 0.15  # seconds that a folder may take before the window goes on without

Change = Callable[[Browser], Path | None]
"""Something done with a browser; what is to be opened now, or None."""
Read = tuple[Browser, Path | None, Path | None]
"""A browser, what is to be opened now, and what its Open button would open."""


class BrowsePage:
    """The page of the dialog that lists a folder.

    Args:
        look: themes.
        window: makes the dialog's window, empty, under a title.
        open_: called with what was chosen.
        back: goes to the page before.
    """

    def __init__(
        self,
        look: Look,
        window: Callable[[str, int], Any],
        open_: Callable[[Path], None],
        back: Callable[[], None],
    ) -> None:
        self._look, self._window, self._open, self._back = look, window, open_, back
        self._browser: Browser | None = None
        self._target: Path | None = None
        self._reading: Errand[Read] | None = None
        self._last: Path | None = None  # the folder that was looked into last
        self._rows: list[tuple[Entry, str]] = []
        self._handlers: int | str | None = None

    @property
    def shown(self) -> bool:
        """Whether this is the dialog's page."""
        return self._browser is not None

    def close(self) -> None:
        """Another page is shown, or none."""
        self._browser = self._reading = None

    def begin(self, folders: tuple[Path, ...], suffixes: tuple[str, ...]) -> None:
        """Look for a folder, or for files of these suffixes.

        Args:
            folders: where to begin: the first one that is there, but where the user looked last before all.
            suffixes: of the files; none: a folder is looked for.
        """
        wanted = (*((self._last,) if self._last else ()), *folders)
        self._browser = Browser(wanted[0], suffixes)
        read = Errand(lambda: _begun(wanted, suffixes))
        if read.is_done(PATIENCE):
            self._browser, _, self._target = read.result
        self._build()
        if not read.is_done():
            self._wait_for(read)

    def refresh(self) -> None:
        """Show what has been read meanwhile."""
        if self._reading is not None and self._reading.is_done():
            self._take(self._reading)

    def press(self, key: int) -> None:
        """A key went down while this is in front."""
        browser = self._browser
        if browser is None:
            return
        if key in (dpg.mvKey_Return, dpg.mvKey_NumPadEnter):
            self._enter()
        elif key in (dpg.mvKey_Down, dpg.mvKey_Up) and self._reading is None:
            offset = 1 if key == dpg.mvKey_Down else -1
            self._do(lambda browser: browser.move(offset))
            self._scroll()
        elif key == dpg.mvKey_Back and dpg.is_key_down(dpg.mvKey_LAlt):
            self._go(browser.folder.parent)

    # --- what is done, and shown once it is -----------------------------------------------------------------

    def _do(self, change: Change) -> None:
        """Do something with a copy of the browser, which then takes its place; what went before is let go."""
        if self._browser is None:
            return
        browser = copy.copy(self._browser)
        read = Errand(lambda: _done(browser, change))
        if read.is_done(PATIENCE):
            self._take(read)
        else:
            self._wait_for(read)

    def _wait_for(self, read: Errand[Read]) -> None:
        self._reading = read
        self._say("Reading…")
        dpg.configure_item("browse open", enabled=False)

    def _take(self, read: Errand[Read]) -> None:
        before, self._reading = self._browser, None
        self._browser, path, self._target = read.result
        if path is not None:
            self._open(path)
        elif before is None or self._browser.folder != before.folder:
            self._build()
        elif self._browser.entries != [entry for entry, _ in self._rows]:
            self._fill()
        else:
            self._follow()

    def _enter(self) -> None:
        """What a double-click or Enter does."""
        if self._reading is None:
            self._do(lambda browser: browser.enter())
            if self._browser is not None and dpg.does_item_exist("browse field"):
                dpg.focus_item("browse field")

    def _go(self, folder: Path) -> None:
        def go(browser: Browser) -> None:
            browser.go(folder)

        self._do(go)

    def _choose(self, entry: Entry) -> None:
        def choose(browser: Browser) -> None:
            browser.chosen, browser.problem = entry, ""

        self._do(choose)
        dpg.focus_item("browse field")

    # --- widgets --------------------------------------------------------------------------------------------

    def _build(self) -> None:
        """The page anew, for another folder: a field that is being edited can't be emptied otherwise."""
        browser = self._browser
        assert browser is not None
        self._last = browser.folder
        with self._window("Open a splat file" if browser.suffixes else "Open a folder", WIDTH):
            self._build_path(browser)
            dpg.add_input_text(
                tag="browse field",
                width=-1,
                hint="Type a part of a name, or a path",
                callback=lambda _, words: self._do(lambda browser: browser.type(words)),
            )
            high = min(self._px(LIST_HEIGHT), round(window_size()[1] * 0.4))
            dpg.add_child_window(
                tag="browse list", width=-1, height=high, border=False, always_use_window_padding=True
            )
            dpg.bind_item_theme("browse list", self._look.sunk)
            dpg.add_text("", tag="browse line", wrap=0)
            with inside(dpg.add_group(horizontal=True)):
                dpg.add_button(
                    label="Open", tag="browse open", width=self._px(96), callback=lambda: self._open_target()
                )
                dpg.bind_item_theme("browse open", self._look.primary)
                dpg.add_button(label="Back", tag="browse back", callback=lambda: self._back())
                dpg.add_text("", tag="browse target")
                dpg.bind_item_theme("browse target", self._look.faint)
        self._fill()
        dpg.focus_item("browse field")

    def _build_path(self, browser: Browser) -> None:
        """The folders above as buttons, as many as fit."""
        above = [browser.folder, *browser.folder.parents]
        shown, room = [], self._px(WIDTH - 150)
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
        self._say(browser.problem or more or ("" if browser.entries else nothing), bad=bool(browser.problem))
        target = self._target
        dpg.configure_item("browse open", enabled=target is not None)
        dpg.set_value("browse target", fitted(target.name or str(target), self._px(480)) if target else "")

    def _say(self, line: str, *, bad: bool = False) -> None:
        """A line below the list."""
        dpg.set_value("browse line", line)
        dpg.configure_item("browse line", show=bool(line))
        dpg.bind_item_theme("browse line", self._look.bad if bad else self._look.faint)

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

    def _open_target(self) -> None:
        """What the button does."""
        if self._target is not None and self._reading is None:
            self._open(self._target)

    def _px(self, size: float) -> int:
        return round(size * dpg.get_global_font_scale())


def _done(browser: Browser, change: Change) -> Read:
    """A browser after a change, or with what kept it from that."""
    try:
        return browser, change(browser), browser.target
    except OSError as error:
        browser.problem = f"{error.filename or browser.folder}: {error.strerror or error}."
        return browser, None, None


def _begun(folders: tuple[Path, ...], suffixes: tuple[str, ...]) -> Read:
    """A browser in the first of these folders that is there."""
    browser = Browser.at(next((folder for folder in folders if is_folder(folder)), folders[-1]), suffixes)
    return browser, None, browser.target
