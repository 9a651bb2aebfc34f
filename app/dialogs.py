"""Windows in front of the window: errors, shortcuts, closing, loading, what to open."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dearpygui.dearpygui as dpg

from app import text
from app.containers import inside
from app.keys import calling
from app.settings import SCALES
from app.studio import Studio
from app.theme import Look
from gaussians.cli.distill import DEMO
from gaussians.io import readable_suffixes
from gaussians.session.messages import Failed

SHORTCUTS = (
    ("Drag, left button", "orbit"),
    ("Drag, right or middle button", "pan (also: Shift and left button)"),
    ("Wheel", "zoom"),
    ("W A S D, Q E", "fly; down and up"),
    ("N, P", "next and previous photo's place"),
    ("R", "camera back to where it began"),
    ("Double-click, Esc", "enlarge a cell; back to the grid"),
    ("Right-click", "hide or swap a cell"),
    ("1 to 9", "show or hide a cell"),
    ("C, F", "compare; flip between the two images"),
    ("Space", "start, pause, continue"),
    ("Ctrl+O, Ctrl+E, Ctrl+Q", "open; export; close"),
    ("Ctrl + and Ctrl -", "larger and smaller text"),
    ("F1", "this list"),
)
FRAMES_BETWEEN = 3


class Dialogs:
    """All of them, one at a time.

    Args:
        studio: what they act on.
        look: themes.
        set_scale: called with a new scale.
    """

    def __init__(self, studio: Studio, look: Look, set_scale: Callable[[float], None]) -> None:
        self._studio, self._look, self._set_scale = studio, look, set_scale
        self._open: int | str | None = None
        self._failed: Failed | None = None
        self._closed = -FRAMES_BETWEEN  # the frame in which the last one was put away

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
        with self.window("That did not work", 520, tag="error dialog"):
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

    def shortcuts(self) -> None:
        """List keys and mouse."""
        with self.window("Keys and mouse", 520, tag="shortcuts dialog"):
            with inside(dpg.add_table(header_row=False, policy=dpg.mvTable_SizingStretchProp)):
                dpg.add_table_column(init_width_or_weight=1)
                dpg.add_table_column(init_width_or_weight=1.3)
                for keys, what in SHORTCUTS:
                    with inside(dpg.add_table_row()):
                        dpg.bind_item_font(dpg.add_text(keys), self._look.bold)
                        dpg.add_text(what)
            dpg.add_spacer(height=4)
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
            dpg.add_spacer(height=4)
            dpg.add_text("Share of the time for images while the camera moves")
            dpg.add_slider_int(
                default_value=round(studio.settings.preview_share * 100),
                min_value=5,
                max_value=90,
                format="%d %%",
                width=-1,
                clamped=True,
                tag="preview share",
                callback=lambda _, percent: studio.set_preview_share(percent / 100),
            )
            dpg.bind_item_theme(dpg.add_text("The rest goes into training.", wrap=0), self._look.faint)
            dpg.add_spacer(height=4)
            dpg.add_button(label="Close", tag="settings close", callback=lambda: self.close())

    def closing(self, leave: Callable[[], None]) -> None:
        """Ask before a run is stopped."""
        with self.window("Stop training and close?", 440, tag="closing dialog"):
            dpg.add_text("The run is saved first; open it again and press Resume to go on.", wrap=0)
            dpg.add_spacer(height=4)
            with inside(dpg.add_group(horizontal=True)):
                save = dpg.add_button(label="Save and close", tag="closing save", callback=lambda: leave())
                dpg.bind_item_theme(save, self._look.primary)
                dpg.add_button(label="Keep training", tag="closing keep", callback=lambda: self.close())

    def saving(self) -> None:
        """Say that the window will close when the run is saved."""
        with self.window("Saving…", 320, tag="saving dialog", closable=False):
            dpg.add_text("The window closes when the run is saved.", wrap=0)

    def start_page(self) -> None:
        """What can be opened: the demo, a folder, a splat file, recent ones."""
        with self.window("Open", 520, tag="start page"):
            for label, tag, what, callback in (
                (
                    "Demo scene",
                    "open demo",
                    "64 pictures of a still life, ready to train",
                    lambda: self._pick(DEMO),
                ),
                (
                    "Folder…",
                    "open folder",
                    "photos, a COLMAP or transforms.json scene, or a run",
                    self.pick_folder,
                ),
                ("Splat file…", "open splat", "view " + ", ".join(readable_suffixes()), self.pick_splat),
            ):
                with inside(dpg.add_group(horizontal=True)):
                    button = dpg.add_button(label=label, tag=tag, width=self._px(120))
                    dpg.configure_item(button, callback=calling(callback))
                    dpg.bind_item_theme(dpg.add_text(what), self._look.faint)
            recent = self._studio.settings.recent
            dpg.add_spacer(height=4)
            dpg.bind_item_font(dpg.add_text("Recent"), self._look.bold)
            if not recent:
                dpg.bind_item_theme(dpg.add_text("What you open is listed here."), self._look.faint)
            for path in recent:
                dpg.add_selectable(
                    label=text.shortened(str(path), 62),
                    user_data=path,
                    callback=lambda _, __, path: self._pick(path),
                )

    def pick_folder(self) -> None:
        """Let the user choose a folder."""
        self._file_dialog(directory_selector=True)

    def pick_splat(self) -> None:
        """Let the user choose a splat file."""
        self._file_dialog(directory_selector=False)

    def window(self, title: str, width: int, *, tag: str, closable: bool = True) -> Any:
        """A modal window in the middle; what was in front goes away."""
        self.close()
        wide, high = self._px(width), dpg.get_viewport_client_height()
        place = [max(0, (dpg.get_viewport_client_width() - wide) // 2), high // 8]
        self._open = tag
        sizes = {"width": wide, "min_size": (wide, 40), "max_size": (wide, high * 3 // 4)}
        if dpg.does_item_exist(
            tag
        ):  # kept and filled anew: the toolkit shows no modal window that was deleted
            dpg.delete_item(tag, children_only=True)
            dpg.configure_item(tag, show=True, pos=place, **sizes)
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
                **sizes,
            )
        return inside(tag)

    def _file_dialog(self, *, directory_selector: bool) -> None:
        self.close()
        recent = self._studio.settings.recent
        at = recent[0].parent if recent and recent[0].parent.is_dir() else Path.cwd()
        with inside(
            dpg.add_file_dialog(
                directory_selector=directory_selector,
                modal=True,
                width=self._px(680),
                height=self._px(420),
                default_path=str(at),
                callback=self._picked,
                tag="file dialog",
                cancel_callback=lambda: self.close(),
            )
        ):
            if not directory_selector:
                dpg.add_file_extension("Splats{" + ",".join(readable_suffixes()) + "}")
        self._open = "file dialog"

    def _picked(self, _: Any, chosen: dict[str, Any]) -> None:
        self._pick(Path(chosen["file_path_name"]))

    def _pick(self, path: Path) -> None:
        self.close()
        self._studio.open(path)

    def _scale(self, name: str) -> None:
        scale = next((scale for scale in SCALES if f"{scale:.0%}" == name), None)
        self._studio.settings.scale = scale
        self._set_scale(0.0 if scale is None else scale)

    def _copy(self) -> None:
        if self._failed is not None:
            parts = (self._failed.what, self._failed.advice, self._failed.details)
            dpg.set_clipboard_text("\n\n".join(part for part in parts if part))

    def _px(self, size: float) -> int:
        return round(size * dpg.get_global_font_scale())
