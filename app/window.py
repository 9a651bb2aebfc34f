"""The window: makes the panels, and runs the frame loop. Nothing slow happens here: the worker does that."""

import time
import traceback
from collections.abc import Callable
from pathlib import Path

import dearpygui.dearpygui as dpg
import torch

from app.backdrop import MAIN, build_backdrop, resize_backdrop, show_backdrop
from app.cameras_panel import CamerasPanel
from app.cell_menu import build_cell_menu, show_cell_menu
from app.containers import inside
from app.dialogs import Dialogs
from app.export_dialog import ExportDialog
from app.fitting import window_size
from app.interruptions import Interruptions
from app.keys import Input, control_down, flight
from app.lists import Lists
from app.loading_box import LoadingBox
from app.pace import Pace
from app.plots_panel import PlotsPanel
from app.recipe_panel import RecipePanel
from app.run_panel import RunPanel
from app.settings import SCALES, fitting_scale
from app.shortcuts import REPEATING, Shortcuts
from app.status_bar import StatusBar
from app.studio import Studio
from app.teachers_panel import TeachersPanel
from app.theme import Look
from app.tool_bar import ToolBar
from app.view_bar import CompareBar, Timeline, ViewBar
from app.viewport import Viewport
from gaussians.cli.stopping import STOPPED, stop_requests
from gaussians.session.messages.reports import Failed

IMAGE_WAIT = 0.015  # seconds that a frame waits for the image of the camera that just moved
SIDE, BOTTOM, BAR, PAD = 356, 28, 34, 10  # px at scale 1
MOST_PATIENCE = 60.0  # seconds for the run to be saved, where the window went away by itself
MOST_MISTAKES = 5  # frames in a row that may fail


class Window:
    """The whole window.

    Args:
        studio: what it shows; its worker is not started yet.
        device: what is trained on, for the status bar.
        path: what to open at once.
        on_frame: called after each frame; for tests and measurements.
    """

    def __init__(
        self,
        studio: Studio,
        device: torch.device,
        path: Path,
        on_frame: Callable[["Window"], None] | None = None,
    ) -> None:
        self.studio, self.settings = studio, studio.settings
        self._device, self._path = device, path
        self._on_frame = on_frame or (lambda window: None)
        self._then, self._pace = time.perf_counter(), Pace()
        self._mistakes = 0  # one after the other
        self.scale = 0.0  # none was applied
        self._size: tuple[int, int, bool, bool, float] | None = None
        self._version = -1

    def run(self) -> int:
        """Open, and go on until the user closes, or Ctrl-C or SIGTERM asks to end; the exit code."""
        dpg.create_context()
        with stop_requests() as stop:
            try:
                dpg.configure_app(manual_callback_management=True)
                self.studio.begin(self._path)
                self._build()
                while dpg.is_dearpygui_running() and not (self.studio.has_left or stop()):
                    stop.listen()  # nobody knows when the worker comes to import pycolmap
                    self._guarded_frame()
                self._remember()
            finally:
                self.studio.leave(unsaved=True)
                self.studio.wait(MOST_PATIENCE)
                dpg.destroy_context()
        return STOPPED if stop() else 0

    def _build(self) -> None:
        settings = self.settings
        dpg.create_viewport(
            title="Splat Distillery",
            width=settings.width,
            height=settings.height,
            x_pos=0,
            y_pos=0,
            min_width=960,
            min_height=600,
            vsync=False,
            disable_close=True,
        )
        dpg.setup_dearpygui()
        self.look = Look()
        studio = self.studio
        self.dialogs = Dialogs(studio, self.look)
        self.interruptions = Interruptions(studio, self.look, self.dialogs)
        self.viewport = Viewport(studio, lambda cell: show_cell_menu(studio.layout, cell))
        self.view_bar, self.compare_bar = ViewBar(studio, self.look), CompareBar(studio)
        self.timeline = Timeline(studio, self.look)
        self.loading = LoadingBox(studio, self.look)
        self.export = ExportDialog(studio, self.look, self.dialogs)
        self.tool_bar = ToolBar(self.dialogs, self.export)
        self.run_panel = RunPanel(studio, self.look, self.export.open)
        self.recipe_panel = RecipePanel(studio, self.look)
        self.tabs = {
            "Recipe": self.recipe_panel,
            "Teachers": TeachersPanel(studio, self.look),
            "Curves": PlotsPanel(studio, self.look),
            "Views": CamerasPanel(studio, self.look),
        }
        self.status = StatusBar(studio, self.look, self._device)
        self._build_items()
        actions = {
            "run": self.run_panel.toggle,
            "flip": lambda: self.compare_bar.flip() if self.compare_bar.shown else None,
            "export": self.export.open,
            "close": self.interruptions.close_window,
            "larger": lambda: self._grow(1),
            "smaller": lambda: self._grow(-1),
        }
        self.lists = Lists()
        shortcuts = Shortcuts(
            studio, self.lists, self.dialogs, lambda: self.typing, lambda: self.input.control, actions
        )

        def press_key(key: int) -> None:
            if not self.input.repeats or key in REPEATING:
                shortcuts.press(key)

        self.input = Input(press_key, self._press, self._release, self._double_click, self._wheel)
        dpg.set_exit_callback(self.interruptions.close_window)
        show_backdrop()
        dpg.show_viewport()

    def _build_items(self) -> None:
        with inside(build_backdrop()):
            with inside(dpg.add_group(horizontal=True, horizontal_spacing=PAD)):
                with inside(dpg.add_child_window(tag="centre", border=False, no_scrollbar=True)):
                    self.tool_bar.build("centre")
                    self.view_bar.build("centre")
                    self.viewport.build("centre")
                    self.compare_bar.build("centre")
                    self.timeline.build("centre")
                with inside(dpg.add_child_window(tag="side", border=False)):
                    self.run_panel.build("side")
                    with inside(dpg.add_tab_bar(tag="tabs")):
                        for label, panel in self.tabs.items():
                            with inside(dpg.add_tab(label=label, tag=f"tab {label}")):
                                dpg.add_child_window(tag=f"content {label}", border=False)
                                panel.build(f"content {label}")
            self.status.build(MAIN)
        self.loading.build()
        build_cell_menu()

    def _follow_scale(self) -> None:
        """Size text and widgets as is set, as far as the window has room for it."""
        scale = fitting_scale(self.settings.scale, *window_size())
        if scale != self.scale:
            self.scale = scale
            self.look.apply(scale)

    def _grow(self, steps: int) -> None:
        at = SCALES.index(self.scale) + steps
        if 0 <= at < len(SCALES) and fitting_scale(SCALES[at], *window_size()) == SCALES[at]:
            self.settings.scale = SCALES[at]

    def _guarded_frame(self) -> None:
        """A frame; a mistake of ours in it is said, and does not take the run with it."""
        try:
            self._frame()
            self._mistakes = 0
        except Exception as error:
            self._mistakes += 1
            if self._mistakes > MOST_MISTAKES:
                raise
            advice = "Training goes on. If it happens again, close the window: the run is saved."
            self.studio.state.failures.append(
                Failed(f"The window made a mistake: {error}", advice, traceback.format_exc())
            )
            dpg.render_dearpygui_frame()

    def _frame(self) -> None:
        began = time.perf_counter()
        dpg.run_callbacks(dpg.get_callback_queue())
        self.input.settle()
        self.lists.settle()
        studio = self.studio
        opened = studio.state.opened
        studio.take_reports()
        if studio.state.opened is not opened:
            self.viewport.forget()
        self._resize()
        moving = self._move(began)
        active = self.viewport.cell_at_mouse()
        studio.look(*self.viewport.size, moving, active)
        if moving and active is not None:
            studio.wait_for_image(active, IMAGE_WAIT)
        self._refresh()
        self.viewport.draw(studio.take_frames())
        dpg.render_dearpygui_frame()
        self.viewport.drawn()
        self.status.count_frame()
        self._on_frame(self)
        self._pace.wait(moving or self.input.in_use())

    def _move(self, now: float) -> bool:
        """Let time and input move the camera; whether it moves."""
        seconds, self._then = now - self._then, now
        control = self.studio.control
        if control is None:
            return False
        moving = self.viewport.move() or self.viewport.dragging
        direction = flight()
        if any(direction) and not (self._keys_are_taken or control_down()):
            control.fly(*direction, min(seconds, 0.1))
            moving = True
        return control.advance(min(seconds, 0.1)) or moving

    def _refresh(self) -> None:
        state = self.studio.state
        self.interruptions.refresh()
        if state.version != self._version:
            self._version = state.version
            self.run_panel.refresh()
            dpg.configure_item("tabs", show=state.opened is not None)
            self.loading.refresh(self.scale, self.viewport.size)
        self.view_bar.refresh()
        self.compare_bar.refresh()
        self.timeline.refresh()
        self.export.refresh()
        self.dialogs.opening.refresh()
        self.tool_bar.refresh()
        tab = dpg.get_value("tabs")
        for label, panel in self.tabs.items():
            if tab in (f"tab {label}", dpg.get_alias_id(f"tab {label}")):
                panel.refresh()
            elif isinstance(panel, PlotsPanel):
                panel.hide()

    def _resize(self) -> None:
        """Give each part its room, when the window, the scale or the bars have changed."""
        self._follow_scale()
        width, height = window_size()
        size = (width, height, self.compare_bar.shown, self.timeline.shown, self.scale)
        if size == self._size:
            return
        self._size = size
        resize_backdrop(width, height)
        s = self.scale
        side = round((SIDE if width < 1700 * s else SIDE * 1.2) * s)
        bars = 2 + self.compare_bar.shown + self.timeline.shown
        inner = height - round((BOTTOM + 3.2 * PAD) * s)
        centre = width - side - round(2.4 * PAD * s) - PAD
        dpg.configure_item("centre", width=centre, height=inner)
        dpg.configure_item("side", width=side, height=inner)
        self.viewport.resize(centre, inner - round(bars * BAR * s), s)
        for bar in ("stage bar", "total bar"):
            dpg.configure_item(bar, height=round(6 * s))
        self.compare_bar.resize(s)

    @property
    def _keys_are_taken(self) -> bool:
        """Whether keys are not for the camera."""
        return self.typing or self.lists.is_open or self.dialogs.is_open

    @property
    def typing(self) -> bool:
        """Whether keys go into a field."""
        return self.recipe_panel.typing or self.export.typing

    def _press(self, button: int) -> None:
        if self.viewport.hovered and not self.dialogs.is_open:
            self.viewport.press(button)

    def _release(self, button: int) -> None:
        self.viewport.release(button)

    def _double_click(self) -> None:
        if self.viewport.hovered:
            self.viewport.double_click()

    def _wheel(self, notches: float) -> None:
        if self.viewport.hovered and self.studio.control is not None:
            self.studio.control.zoom(notches)

    def _remember(self) -> None:
        settings = self.settings
        settings.width, settings.height = dpg.get_viewport_width(), dpg.get_viewport_height()
        self.studio.remember()
