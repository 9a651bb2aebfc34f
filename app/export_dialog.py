"""Writing a model as a splat file: what, where, how large; then that it was read back and matches."""

from pathlib import Path
from typing import Any

import dearpygui.dearpygui as dpg

from app import text
from app.containers import inside
from app.dialogs import Dialogs
from app.paths import expanded, is_same, is_there
from app.studio import Studio
from app.theme import Look
from gaussians.distill.pipeline import STUDENT
from gaussians.io import splat_bytes, writable_suffixes
from gaussians.session.directory import RunDirectory
from gaussians.session.messages.commands import Export
from gaussians.session.messages.reports import Exported, Failed


class ExportDialog:
    """The dialog, and what is done with it."""

    def __init__(self, studio: Studio, look: Look, dialogs: Dialogs) -> None:
        self._studio, self._look, self._dialogs = studio, look, dialogs
        self._model = STUDENT
        self._waiting: Path | None = None
        self._before: Exported | None = None
        self._replaces: tuple[str, Path] | None = None  # the model and the file that another Write replaces

    @property
    def models(self) -> tuple[str, ...]:
        """What can be written: all that are Gaussians."""
        return self._studio.state.splats

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
        self._waiting = self._replaces = None
        self._model = STUDENT if STUDENT in self.models else self.models[-1]
        run = self._studio.state.run
        folder = run[0] if run is not None else Path.cwd()
        with self._dialogs.window("Export", 520, tag="export dialog", on_enter=self._write):
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
                dpg.add_input_text(default_value=self._name, tag="export name", width=-90)
                dpg.add_combo(
                    writable_suffixes(), default_value=writable_suffixes()[0], tag="export format", width=-1
                )

    def refresh(self) -> None:
        """Follow the state: how large it is, whether it is written."""
        state, shown = self._studio.state, self._shown
        if state.unexported is not None:
            failed, state.unexported = state.unexported, None
            self._fail(failed, shown)
        if not shown:
            return
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
            written = f"Written: {text.gaussians(exported.gaussians)}, {text.size(exported.bytes)}."
            self._say(f"{written}\nRead back, and it matches.\n{exported.path}", self._look.good)
        dpg.configure_item("export write", enabled=self._waiting is None)

    @property
    def _shown(self) -> bool:
        return dpg.does_item_exist("export dialog") and bool(dpg.is_item_shown("export dialog"))

    def _fail(self, failed: Failed, shown: bool) -> None:
        """Say here why it was not written, so that it can be mended; what has details is for a report."""
        self._waiting = None
        if shown and not failed.details:
            self._say(f"{failed.what}.\n{failed.advice}", self._look.bad)
        else:
            self._studio.state.failures.append(failed)

    def _choose(self, _: Any, label: str) -> None:
        self._model = next(name for name in self.models if text.model(name) == label)
        dpg.set_value("export name", self._name)
        if self._waiting is None:  # what the line says is of the model before
            self._replaces = None
            self._say("", self._look.faint)

    @property
    def _name(self) -> str:
        """What the file is called at first: by the run, whose own files have the models' bare names."""
        run = self._studio.state.run
        return self._model if run is None else f"{run[0].name}-{text.model(self._model).lower()}"

    def _write(self) -> None:
        if self._waiting is not None:
            return
        name = dpg.get_value("export name").strip() or self._name
        suffix = dpg.get_value("export format")
        name = name if name.endswith(suffix) else name + suffix
        path = expanded(Path(dpg.get_value("export folder").strip())) / name
        if self._is_the_runs_own(path):
            self._say(f"{name} is the run's own file: choose another name.", self._look.bad)
        elif is_there(path) and (self._model, path) != self._replaces:
            self._replaces = self._model, path
            self._say(f"{name} is there already. Write again to replace it.", self._look.note)
        else:
            self._before, self._waiting, self._replaces = self._studio.state.exported, path, None
            self._say("Writing, and reading it back…", self._look.faint)
            self._studio.worker.send(Export(self._model, path))

    def _is_the_runs_own(self, path: Path) -> bool:
        """Whether a run that goes on some time would take what is written for a model that it finished."""
        run = self._studio.state.run
        if run is None:
            return False
        directory = RunDirectory(run[0])
        return any(is_same(path, directory.splat(name)) for name in self.models)

    def _say(self, line: str, theme: int | str) -> None:
        dpg.set_value("export line", line)
        dpg.bind_item_theme("export line", theme)
