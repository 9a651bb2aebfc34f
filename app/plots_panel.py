"""Live curves: loss by model and term, PSNR, counts, rate, memory. Zoom with the wheel, drag to move."""

import dearpygui.dearpygui as dpg

from app.containers import inside
from app.studio import Studio
from app.theme import DIM, SERIES, Look, line

PLOTS = (
    ("psnr", "PSNR on held-out views", "step", "dB", ".2f"),
    ("loss", "Loss, by model and term", "step", "weighted", ".4f"),
    ("count", "Gaussians", "step", "", ",.0f"),
    ("rate", "Training rate", "minutes", "steps/s", ".1f"),
    ("memory", "Memory", "minutes", "MB", ",.0f"),
)
HEIGHT = 190  # px at scale 1
MARKED = ("loss", "psnr")


class PlotsPanel:
    """One plot each, below one another."""

    def __init__(self, studio: Studio, look: Look) -> None:
        self._studio, self._look = studio, look
        self._themes = [line(colour) for colour in SERIES]
        self._mark_theme = line((*DIM, 255))
        self._curves: object = None
        self._version = -1
        self._marks: dict[str, int] = {}
        self._scale = 0.0

    def build(self, parent: int | str) -> None:
        """Make the widgets."""
        with inside(dpg.add_group(parent=parent)):
            empty = "Curves appear here while a run is trained, or when a run is opened."
            dpg.bind_item_theme(dpg.add_text(empty, tag="no curves", wrap=0), self._look.faint)
            for name, title, across, along, _ in PLOTS:
                with inside(dpg.add_group(tag=f"plot group {name}", show=False)):
                    dpg.bind_item_font(dpg.add_text(title, tag=f"plot title {name}"), self._look.bold)
                    with inside(
                        dpg.add_plot(
                            tag=f"plot {name}",
                            width=-1,
                            height=HEIGHT,
                            no_menus=True,
                            crosshairs=True,
                            no_mouse_pos=True,
                        )
                    ):
                        dpg.add_plot_legend(location=dpg.mvPlot_Location_NorthEast, no_menus=True)
                        dpg.add_plot_axis(dpg.mvXAxis, tag=f"x {name}")
                        dpg.add_plot_axis(dpg.mvYAxis, label=along, tag=f"y {name}")
                    dpg.bind_item_theme(dpg.add_text(across, tag=f"reading {name}", wrap=0), self._look.faint)
                with inside(dpg.add_tooltip(f"plot title {name}", delay=0.2)):
                    dpg.add_text("Wheel: zoom. Drag: move. Double-click: all of it. Legend: hide a curve.")

    def refresh(self) -> None:
        """Follow the curves; read values under the mouse."""
        curves = self._studio.state.curves
        if self._curves is not curves:
            self._curves, self._version, self._marks = curves, -1, {}
            for name, *_ in PLOTS:
                dpg.delete_item(f"y {name}", children_only=True)
        scale = dpg.get_global_font_scale()
        if scale != self._scale:
            self._scale = scale
            for name, *_ in PLOTS:
                dpg.configure_item(f"plot {name}", height=round(HEIGHT * scale))
        if curves.version != self._version:
            self._version = curves.version
            self._draw()
        self._draw_marks()
        self._read()

    def _draw(self) -> None:
        plots = self._studio.state.curves.plots
        dpg.configure_item("no curves", show=not any(plots.values()))
        for name, *_ in PLOTS:
            dpg.configure_item(f"plot group {name}", show=bool(plots[name]))
            for number, (label, curve) in enumerate(plots[name].items()):
                tag = f"curve {name} {label}"
                x, y = curve.drawn()
                if dpg.does_item_exist(tag):
                    dpg.set_value(tag, [x, y])
                else:
                    dpg.add_line_series(x, y, label=label, tag=tag, parent=f"y {name}")
                    dpg.bind_item_theme(tag, self._themes[number % len(self._themes)])
            if not dpg.is_item_hovered(f"plot {name}"):  # whoever zooms is not disturbed
                dpg.fit_axis_data(f"x {name}")
                dpg.fit_axis_data(f"y {name}")

    def _draw_marks(self) -> None:
        """A vertical line at each step of the student where the teachers' weights were changed."""
        marks = self._studio.state.marks
        for name in MARKED:
            if self._marks.get(name, 0) != len(marks) and self._studio.state.curves.plots[name]:
                tag = f"marks {name}"
                if not dpg.does_item_exist(tag):
                    dpg.add_inf_line_series(
                        list(map(float, marks)), label="weights changed", tag=tag, parent=f"y {name}"
                    )
                    dpg.bind_item_theme(tag, self._mark_theme)
                dpg.set_value(tag, [list(map(float, marks))])
                self._marks[name] = len(marks)

    def _read(self) -> None:
        """The values of all curves at the mouse, as a line below its plot."""
        plots = self._studio.state.curves.plots
        for name, _, across, _, form in PLOTS:
            words = across
            if plots[name] and dpg.is_item_hovered(f"plot {name}"):
                at = dpg.get_plot_mouse_pos()[0]
                values = {label: curve.at(at) for label, curve in plots[name].items()}
                read = [f"{label} {value:{form}}" for label, value in values.items() if value is not None]
                place = f"{across} {at:,.0f}" if across == "step" else f"{at:.1f} {across}"
                words = f"{place}:  " + ",  ".join(read) if read else across
            dpg.set_value(f"reading {name}", words)
