"""The bars above and below the cells: which are shown, and how; how two are compared; the student's past."""

from typing import Any

import dearpygui.dearpygui as dpg

from app import text
from app.compare import Mode
from app.containers import inside
from app.fitting import wide
from app.state import COMPARE
from app.studio import Studio
from app.theme import Look
from gaussians.session.messages.frame import ELLIPSOIDS

SCALES = {"5 %": 0.05, "10 %": 0.1, "25 %": 0.25, "50 %": 0.5, "100 %": 1.0}


CELLS = "cells menu"
NARROW = 860  # px at scale 1 below which the comparison's modes are a list instead of buttons


class ViewBar:
    """Above the cells: a button for each, or one with a menu where they don't fit; and the views."""

    def __init__(self, studio: Studio, look: Look) -> None:
        self._studio, self._look = studio, look
        self._made: tuple[tuple[str, ...], bool] | None = None

    def build(self, parent: int | str) -> None:
        """Make the widgets: the cells' in a line of their own, the camera's in the tool bar."""
        with inside("tool bar"):
            dpg.add_spacer(width=16)
            with inside(dpg.add_group(horizontal=True, tag="view buttons")):
                self._button("previous", "<", lambda: self._studio.go_by(-1), "Previous photo's place  (P)")
                self._button("next", ">", lambda: self._studio.go_by(1), "Next photo's place  (N)")
            self._button("reset", "Reset", self._studio.reset, "Camera back to where it began  (R)")
            self._button(
                "ellipsoids",
                "Ellipsoids",
                self._studio.toggle_ellipsoids,
                "What models are made of: Gaussians whose alpha reaches 0.3, up to where it does  (V)",
            )
            self._button("grid", "Grid", self._studio.layout.shrink, "All cells again  (Esc)")
            dpg.bind_item_theme(dpg.add_text("", tag="view name"), self._look.faint)
        with inside(dpg.add_group(horizontal=True, parent=parent, tag="view bar")):
            dpg.add_group(horizontal=True, tag="cell buttons")
        dpg.add_window(tag=CELLS, popup=True, show=False, no_title_bar=True, autosize=True)

    def refresh(self) -> None:
        """Follow the state."""
        studio = self._studio
        layout, control = studio.layout, studio.control
        made = layout.there, self._fits
        if made != self._made:
            self._made = made
            self._make_buttons()
        if self._fits:
            for cell in layout.there:
                chosen = cell in layout.shown
                dpg.bind_item_theme(f"show {cell}", self._look.chosen if chosen else self._look.quiet)
        else:
            words = f"Cells: {len(layout.shown)} of {len(layout.there)}"
            dpg.configure_item("show cells", label=words)
            for cell in layout.there:
                dpg.set_value(f"show {cell}", cell in layout.shown)
        dpg.configure_item("view buttons", show=bool(studio.view_names))
        _show("reset", control is not None)
        _show("ellipsoids", studio.has_ellipsoids)
        dpg.bind_item_theme("ellipsoids", self._look.chosen if studio.style == ELLIPSOIDS else 0)
        _show("grid", layout.enlarged is not None)
        here = control.target if control is not None else None
        names = studio.view_names
        where = f"View {names.index(here) + 1} of {len(names)}" if here in names else "Free camera"
        begin, left = dpg.get_item_rect_min("view name")[0], dpg.get_item_rect_min("tool bar")[0]
        fits = begin - left + wide(where) <= (dpg.get_item_width("centre") or 0)
        dpg.set_value("view name", where if control is not None and fits else "")

    @property
    def _fits(self) -> bool:
        """Whether there is room for a button for each cell."""
        scale = dpg.get_global_font_scale()
        names = [wide(text.model(cell)) + 24 * scale for cell in self._studio.layout.there]
        return sum(names) <= (dpg.get_item_width("centre") or 0)

    def _make_buttons(self) -> None:
        dpg.delete_item("cell buttons", children_only=True)
        dpg.delete_item(CELLS, children_only=True)
        dpg.configure_item(CELLS, show=False)
        if not self._fits:
            dpg.add_button(
                label="Cells", tag="show cells", parent="cell buttons", callback=lambda: self._show_menu()
            )
        for number, cell in enumerate(self._studio.layout.there, start=1):
            tag, label = f"show {cell}", text.model(cell)
            if self._fits:
                dpg.add_button(label=label, tag=tag, parent="cell buttons")
            else:
                dpg.add_checkbox(label=label, tag=tag, parent=CELLS)
            dpg.configure_item(
                tag, user_data=cell, callback=lambda _, __, cell: self._studio.layout.toggle(cell)
            )
            with inside(dpg.add_tooltip(tag, delay=0.4)):
                dpg.add_text(f"Show or hide  ({number}). Double-click its image to enlarge it.")

    def _show_menu(self) -> None:
        left, _ = dpg.get_item_rect_min("show cells")
        _, bottom = dpg.get_item_rect_max("show cells")
        dpg.configure_item(CELLS, show=True, pos=[int(left), int(bottom) + 2])

    def _button(self, tag: str, label: str, callback: Any, help: str) -> None:
        dpg.add_button(label=label, tag=tag, callback=lambda: callback())
        with inside(dpg.add_tooltip(tag, delay=0.4, tag=f"{tag} tip")):
            dpg.add_text(help)


def _show(button: str, shown: bool) -> None:
    """Show a button, or hide it with its tip, which would appear for the one before."""
    for tag in (button, f"{button} tip"):
        dpg.configure_item(tag, show=shown)


class CompareBar:
    """How two models are compared; seen while the comparison is."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._shown: tuple | None = None
        self._narrow = False

    def build(self, parent: int | str) -> None:
        """Make the widgets."""
        with inside(dpg.add_group(horizontal=True, parent=parent, tag="compare bar", show=False)):
            dpg.add_text("Compare")
            dpg.add_combo(
                (), tag="compare first", width=130, callback=lambda _, name: self._choose("first", name)
            )
            dpg.add_text("with")
            dpg.add_combo(
                (), tag="compare second", width=130, callback=lambda _, name: self._choose("second", name)
            )
            dpg.add_radio_button(
                [mode.value for mode in Mode], tag="compare mode", horizontal=True, callback=self._set_mode
            )
            dpg.add_combo(
                [mode.value for mode in Mode], tag="compare mode short", width=100, callback=self._set_mode
            )
            dpg.add_slider_float(
                tag="compare share",
                width=-1,
                min_value=0,
                max_value=1,
                format="",
                callback=self._set_share,
                no_input=True,
            )
            dpg.add_button(label="Flip (F)", tag="compare flip", callback=lambda: self.flip())
            dpg.add_text("Scale", tag="compare most label")
            dpg.add_combo(list(SCALES), tag="compare most", width=80, callback=self._set_most)

    @property
    def shown(self) -> bool:
        """Whether the comparison cell is seen."""
        return COMPARE in self._studio.layout.shown

    def resize(self, scale: float) -> None:
        """Follow the scale."""
        self._narrow = (dpg.get_item_width("centre") or 0) < NARROW * scale
        model = 110 if self._narrow else 130
        for tag, width in (
            ("compare first", model),
            ("compare second", model),
            ("compare most", 80),
            ("compare mode short", 100),
        ):
            dpg.configure_item(tag, width=round(width * scale))

    def refresh(self) -> None:
        """Follow the state."""
        comparison, models = self._studio.comparison, self._studio.state.models
        key = (
            self.shown,
            models,
            comparison.first,
            comparison.second,
            comparison.mode,
            comparison.share,
            comparison.most,
            self._narrow,
        )
        if key == self._shown:
            return
        self._shown = key
        dpg.configure_item("compare bar", show=self.shown)
        names = [text.model(model) for model in models]
        for tag, model in (("compare first", comparison.first), ("compare second", comparison.second)):
            dpg.configure_item(tag, items=names)
            dpg.set_value(tag, text.model(model))
        mode = comparison.mode
        for tag, shown in (("compare mode", not self._narrow), ("compare mode short", self._narrow)):
            dpg.configure_item(tag, show=shown)
            dpg.set_value(tag, mode.value)
        dpg.configure_item("compare share", show=mode in (Mode.DIVIDER, Mode.FADE))
        dpg.set_value("compare share", comparison.share)
        dpg.configure_item("compare flip", show=mode is Mode.FLIP)
        dpg.configure_item("compare most", show=mode is Mode.ERROR)
        dpg.configure_item("compare most label", show=mode is Mode.ERROR and not self._narrow)
        dpg.set_value("compare most", next(name for name, most in SCALES.items() if most == comparison.most))

    def flip(self) -> None:
        """Show the other image, by a key or a button."""
        comparison = self._studio.comparison
        if comparison.mode is not Mode.FLIP:
            comparison.mode = Mode.FLIP
        else:
            comparison.flipped = not comparison.flipped

    def _choose(self, which: str, name: str) -> None:
        model = next(model for model in self._studio.state.models if text.model(model) == name)
        self._studio.comparison.choose(which, model)

    def _set_mode(self, _: Any, name: str) -> None:
        self._studio.comparison.mode = Mode(name)

    def _set_share(self, _: Any, share: float) -> None:
        self._studio.comparison.share = share

    def _set_most(self, _: Any, name: str) -> None:
        self._studio.comparison.most = SCALES[name]


class Timeline:
    """Below the cells: the student's past, once there is some."""

    def __init__(self, studio: Studio, look: Look) -> None:
        self._studio, self._look = studio, look
        self._shown: tuple | None = None

    def build(self, parent: int | str) -> None:
        """Make the widgets."""
        with inside(dpg.add_group(horizontal=True, parent=parent, tag="timeline bar", show=False)):
            dpg.add_text("Student's past", tag="timeline label")
            dpg.add_slider_int(
                tag="timeline",
                width=-90,
                min_value=0,
                max_value=1,
                format="",
                callback=self._scrub,
                no_input=True,
            )
            dpg.add_button(label="Now", tag="timeline now", width=-1, callback=lambda: self._now())
        with inside(dpg.add_tooltip("timeline", delay=0.6)):
            dpg.add_text("Drag to see the student as it was; training goes on.")

    @property
    def shown(self) -> bool:
        """Whether there is a past to show."""
        return len(self._studio.state.history) > 1

    def refresh(self) -> None:
        """Follow the state."""
        studio = self._studio
        steps = studio.state.history
        if studio.past is not None and studio.past not in steps:
            # Snapshots are thinned out as training goes on: the nearest one that is left.
            studio.past = min(steps, key=lambda step: abs(step - (studio.past or 0))) if steps else None
        scale = dpg.get_global_font_scale()
        key = (steps, studio.past, scale)
        if key == self._shown:
            return
        self._shown = key
        dpg.configure_item("timeline bar", show=self.shown)
        dpg.configure_item("timeline", max_value=len(steps), width=-round(90 * scale))
        at = len(steps) if studio.past is None else steps.index(studio.past)
        words = "now" if studio.past is None else f"step {studio.past:,}"
        dpg.configure_item("timeline", format=words)
        dpg.set_value("timeline", at)
        dpg.bind_item_theme("timeline now", self._look.chosen if studio.past is None else 0)

    def _scrub(self, _: Any, index: int) -> None:
        steps = self._studio.state.history
        self._studio.past = steps[index] if index < len(steps) else None

    def _now(self) -> None:
        self._studio.past = None
