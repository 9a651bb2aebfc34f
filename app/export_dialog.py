"""Writing a model as a splat file: what, where, how large; then that it was read back and matches."""

from pathlib import Path
from typing import Any

import dearpygui.dearpygui as dpg

from app import text
from app.containers import inside
from app.dialogs import Dialogs
from app.state import DISAGREEMENT, PHOTO
from app.studio import Studio
from app.theme import Look
from gaussians.distill.pipeline import ENSEMBLE, STUDENT
from gaussians.io import splat_bytes, writable_suffixes
from gaussians.session.messages import Export, Exported


class ExportDialog:
    """The dialog, and what is done with it."""

    def __init__(self, studio: Studio, look: Look, dialogs: Dialogs) -> None:
        self._studio, self._look, self._dialogs = studio, look, dialogs
        self._model = STUDENT
        self._waiting: Path | None = None
        self._before: Exported | None = None

    @property
    def models(self) -> tuple[str, ...]:
        """What can be written: all that are Gaussians."""
        counts = self._studio.state.counts
        return tuple(name for name in counts if name not in (PHOTO, DISAGREEMENT, ENSEMBLE))

    @property
    def typing(self) -> bool:
        """Whether the name's field takes the keys."""
        return any(
            dpg.does_item_exist(tag) and dpg.is_item_active(tag) for tag in ("export name", "export folder")
        )

    def open(self) -> None:
        """Ask what and where."""
        if not self.models:
            return
        self._waiting = None
        self._model = STUDENT if STUDENT in self.models else self.models[-1]
        run = self._studio.state.run
        folder = run[0] if run is not None else Path.cwd()
        with self._dialogs.window("Export", 520, tag="export dialog"):
            with inside(dpg.add_table(header_row=False, policy=dpg.mvTable_SizingStretchProp)):
                for weight in (1.0, 6.0):
                    dpg.add_table_column(init_width_or_weight=weight)
                self._build_fields(folder)
            dpg.bind_item_theme(dpg.add_text("", tag="export size", wrap=0), self._look.faint)
            dpg.add_text("", tag="export line", wrap=0)
            dpg.add_spacer(height=4)
            with inside(dpg.add_group(horizontal=True)):
                write = dpg.add_button(label="Write", tag="export write", callback=lambda: self._write())
                dpg.bind_item_theme(write, self._look.primary)
                dpg.add_button(label="Close", tag="export close", callback=lambda: self._dialogs.close())

    def _build_fields(self, folder: Path) -> None:
        with inside(dpg.add_table_row()):
            dpg.add_text("Model")
            dpg.add_combo(
                [text.model(name) for name in self.models],
                default_value=text.model(self._model),
                tag="export model",
                width=-1,
                callback=self._choose,
            )
        with inside(dpg.add_table_row()):
            dpg.add_text("Folder")
            dpg.add_input_text(default_value=str(folder), tag="export folder", width=-1)
        with inside(dpg.add_table_row()):
            dpg.add_text("Name")
            with inside(dpg.add_group(horizontal=True)):
                dpg.add_input_text(default_value=self._model, tag="export name", width=-90)
                dpg.add_combo(
                    writable_suffixes(), default_value=writable_suffixes()[0], tag="export format", width=-1
                )

    def refresh(self) -> None:
        """Follow the state: how large it is, whether it is written."""
        if not dpg.does_item_exist("export dialog") or not dpg.is_item_shown("export dialog"):
            return
        state = self._studio.state
        count = state.counts.get(self._model, 0)
        degree = state.run[1].student.optimise.sh_degree if state.run is not None else 3
        if state.run is not None and self._model != STUDENT:
            degree = state.run[1].teachers.optimise.sh_degree
        size = text.size(splat_bytes(count, degree))
        line = f"{text.gaussians(count)}, {size} on disk" if count else "Counted when it is written"
        dpg.set_value("export size", line)
        exported = state.exported
        if self._waiting is not None and exported is not None and exported is not self._before:
            self._waiting = None
            dpg.set_value(
                "export line",
                f"Written: {text.gaussians(exported.gaussians)}, {text.size(exported.bytes)}.\n"
                f"Read back, and it matches.\n{exported.path}",
            )
            dpg.bind_item_theme("export line", self._look.good)
        dpg.configure_item("export write", enabled=self._waiting is None)

    def _choose(self, _: Any, label: str) -> None:
        self._model = next(name for name in self.models if text.model(name) == label)
        dpg.set_value("export name", self._model)

    def _write(self) -> None:
        if self._waiting is not None:
            return
        name = dpg.get_value("export name").strip() or self._model
        suffix = dpg.get_value("export format")
        name = name if name.endswith(suffix) else name + suffix
        path = Path(dpg.get_value("export folder")).expanduser() / name
        self._before, self._waiting = self._studio.state.exported, path
        dpg.set_value("export line", "Writing, and reading it back…")
        dpg.bind_item_theme("export line", self._look.faint)
        self._studio.worker.send(Export(self._model, path))
