"""Windows in front of the window: errors, shortcuts, settings, closing. One at a time."""

from collections.abc import Callable
from typing import Any

import dearpygui.dearpygui as dpg

from app.containers import inside
from app.fitting import window_size
from app.keys import calling
from app.open_dialog import TAG as START_PAGE
from app.open_dialog import OpenDialog
from app.settings import SCALES, fitting_scale
from app.studio import Studio
from app.theme import Look
from gaussians.session.messages.reports import Failed

SHORTCUTS = (
    ("Drag, left button", "Orbit"),
    ("Drag, right or middle button", "Pan (also: Shift and left button)"),
    ("Wheel", "Zoom"),
    ("W A S D, Q E", "Fly; down and up"),
    ("N, P", "Next and previous photo's place"),
    ("R", "Camera back to where it began"),
    ("Double-click, Esc", "Enlarge a cell; back to the grid"),
    ("Right-click", "Enlarge, hide or swap a cell"),
    ("1 to 9", "Show or hide a cell"),
    ("V", "What models are made of; images again"),
    ("C, F", "Compare; flip between the two images"),
    ("Drag the divider", "More of the one or the other of them"),
    ("Space", "Start, pause, continue"),
    ("Ctrl+O, Ctrl+E, Ctrl+Q", "Open; export; close"),
    ("Ctrl + and Ctrl -", "Larger and smaller text"),
    ("F1", "This list"),
)
UNCLOSED = ("saving dialog",)  # it goes away by itself
FRAMES_BETWEEN = 3


class Dialogs:
    """All of them, one at a time.

    Args:
        studio: what they act on.
        look: themes.
    """

    def __init__(self, studio: Studio, look: Look) -> None:
        self._studio, self._look = studio, look
        self._open: int | str | None = None
        self._failed: Failed | None = None
        self._closed = -FRAMES_BETWEEN  # the frame in which the last one was put away
        self._on_enter: Callable[[], None] = self.close
        self.opening = OpenDialog(studio, look, self.window, self.close)

    @property
    def is_open(self) -> bool:
        """Whether one is in front."""
        return (
            self._open is not None and dpg.does_item_exist(self._open) and bool(dpg.is_item_shown(self._open))
        )

    @property
    def can_be_interrupted(self) -> bool:
        """Whether an error may take the place of what is in front: but of an error, or of closing."""
        return not self.is_open or self._open not in ("error dialog", "closing dialog", "saving dialog")

    @property
    def is_free(self) -> bool:
        """Whether one can be shown now: the toolkit shows none in the frame in which another goes away."""
        return not self.is_open and dpg.get_frame_count() > self._closed + FRAMES_BETWEEN

    def close(self) -> None:
        """Put away the one in front."""
        if self.is_open:
            self._closed = dpg.get_frame_count()
        if self._open is not None and dpg.does_item_exist(self._open):
            dpg.configure_item(self._open, show=False)
        self._open = None

    def error(self, failed: Failed) -> None:
        """Say what went wrong, and what to do."""
        self._failed = failed
        title = "Please note" if failed.goes_on else "That did not work"
        with self.window(title, 520, tag="error dialog"):
            dpg.bind_item_font(dpg.add_text(failed.what, wrap=0), self._look.bold)
            if failed.advice:
                dpg.add_text(failed.advice, wrap=0)
            if failed.details:
                with inside(dpg.add_tree_node(label="Details")):
                    dpg.add_input_text(
                        default_value=failed.details,
                        multiline=True,
                        readonly=True,
                        width=-1,
                        height=self._px(160),
                    )
            dpg.add_spacer(height=4)
            with inside(dpg.add_group(horizontal=True)):
                dpg.bind_item_theme(
                    dpg.add_button(label="Close", tag="error close", callback=lambda: self.close()),
                    self._look.primary,
                )
                dpg.add_button(label="Copy", tag="error copy", callback=lambda: self._copy())
                dpg.bind_item_theme(dpg.add_text("", tag="error copied"), self._look.faint)

    def shortcuts(self) -> None:
        """List keys and mouse."""
        with self.window("Keys and mouse", 520, tag="shortcuts dialog"):
            table = dpg.add_table(header_row=False, policy=dpg.mvTable_SizingStretchProp)
            dpg.bind_item_theme(table, self._look.dense)
            with inside(table):
                dpg.add_table_column(init_width_or_weight=1)
                dpg.add_table_column(init_width_or_weight=1.3)
                for keys, what in SHORTCUTS:
                    with inside(dpg.add_table_row()):
                        dpg.bind_item_font(dpg.add_text(keys), self._look.bold)
                        dpg.add_text(what)
            dpg.add_spacer(height=self._px(4))
            dpg.add_button(label="Close", tag="shortcuts close", callback=lambda: self.close())

    def settings(self) -> None:
        """The scale of text, and how much previews may take."""
        studio = self._studio
        with self.window("Settings", 420, tag="settings dialog"):
            dpg.add_text("Size of text and buttons")
            names = [f"{scale:.0%}" for scale in SCALES]
            current = studio.settings.scale
            dpg.add_combo(
                ["Automatic", *names],
                width=-1,
                tag="scale",
                default_value=f"{current:.0%}" if current else "Automatic",
                callback=lambda _, name: self._scale(name),
            )
            dpg.bind_item_theme(dpg.add_text("", tag="scale line", wrap=0), self._look.faint)
            self._say_scale()
            dpg.add_spacer(height=4)
            dpg.add_text("Share of the time for images while the camera moves")
            dpg.add_slider_int(
                default_value=round(studio.settings.preview_share * 100),
                min_value=5,
                max_value=90,
                format="%d %%",
                width=-1,
                clamped=True,
                no_input=True,
                tag="preview share",
                callback=lambda _, percent: studio.set_preview_share(percent / 100),
            )
            dpg.bind_item_theme(dpg.add_text("The rest goes into training.", wrap=0), self._look.faint)
            dpg.add_spacer(height=4)
            dpg.add_button(label="Close", tag="settings close", callback=lambda: self.close())

    def closing(self, leave: Callable[[], None]) -> None:
        """Ask before a run is stopped."""
        with self.window("Stop training and close?", 440, tag="closing dialog", on_enter=leave):
            dpg.add_text("The run is saved first; open it again and press Resume to go on.", wrap=0)
            dpg.add_spacer(height=4)
            with inside(dpg.add_group(horizontal=True)):
                save = dpg.add_button(label="Save and close", tag="closing save", callback=lambda: leave())
                dpg.bind_item_theme(save, self._look.primary)
                dpg.add_button(label="Keep training", tag="closing keep", callback=lambda: self.close())

    def saving(self, give_up: Callable[[], None] | None = None) -> None:
        """Say that the window will close when the run is saved; `give_up`: what closes it at once."""
        with self.window("Saving…", 320 if give_up is None else 440, tag="saving dialog", closable=False):
            dpg.add_text("The window closes when the run is saved.", wrap=0)
            if give_up is not None:
                late = "It takes long. Closed now, the run goes on from its last checkpoint another time."
                dpg.add_text(late, wrap=0)
                dpg.add_spacer(height=4)
                dpg.add_button(label="Close without waiting", tag="saving give up", callback=calling(give_up))

    def start_page(self) -> None:
        """What can be opened."""
        self.opening.start_page()

    def press(self, key: int) -> None:
        """A key went down while a dialog is in front."""
        if key == dpg.mvKey_Escape:
            if self._open not in UNCLOSED:
                self.close()
        elif self._open == START_PAGE:
            self.opening.press(key)
        elif key in (dpg.mvKey_Return, dpg.mvKey_NumPadEnter):
            self._on_enter()

    def window(
        self,
        title: str,
        width: int,
        *,
        tag: str,
        closable: bool = True,
        on_enter: Callable[[], None] | None = None,
    ) -> Any:
        """A modal window in the middle; what was in front goes away.

        Args:
            title: its first line.
            width: px at scale 1.
            tag: one for each dialog.
            closable: whether it has a cross.
            on_enter: what the Enter key does; None: it puts the dialog away.
        """
        if not (self._open == tag and self.is_open):
            self.close()
        room, high = window_size()
        wide = min(self._px(width), room - self._px(24))
        place = [max(0, (room - wide) // 2), high // 8]
        self._open, self._on_enter = tag, on_enter or self.close
        sizes = {"width": wide, "min_size": (wide, 40), "max_size": (wide, high - high // 8 - self._px(12))}
        if dpg.does_item_exist(
            tag
        ):  # kept and filled anew: the toolkit shows no modal window that was deleted
            dpg.delete_item(tag, children_only=True)
            dpg.configure_item(tag, show=True, label=title, pos=place, **sizes)
        else:
            dpg.add_window(
                label=title,
                tag=tag,
                modal=True,
                no_resize=True,
                autosize=True,
                pos=place,
                no_close=not closable,
                no_collapse=True,
                no_scrollbar=True,  # one comes where none is needed; the wheel scrolls without
                **sizes,
            )
        return inside(tag)

    def _scale(self, name: str) -> None:
        scale = next((scale for scale in SCALES if f"{scale:.0%}" == name), None)
        self._studio.settings.scale = scale
        self._say_scale()

    def _say_scale(self) -> None:
        """Where the window has not the room for what is set."""
        wanted = self._studio.settings.scale
        fits = fitting_scale(wanted, *window_size())
        lacks = wanted is not None and fits < wanted
        dpg.configure_item("scale line", show=lacks)
        dpg.set_value("scale line", f"The window has room for {fits:.0%}; a larger one shows more.")

    def _copy(self) -> None:
        if self._failed is not None:
            parts = (self._failed.what, self._failed.advice, self._failed.details)
            dpg.set_clipboard_text("\n\n".join(part for part in parts if part))
            dpg.set_value("error copied", "Copied")

    def _px(self, size: float) -> int:
        return round(size * dpg.get_global_font_scale())
