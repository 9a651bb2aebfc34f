"""Live curves: loss by model and term, PSNR, counts, rate, memory. Zoom with the wheel, drag to move."""

import dearpygui.dearpygui as dpg

from app.containers import inside
from app.curves import Curve
from app.plot_reading import MARKED, PLOTS, Reading
from app.studio import Studio
from app.theme import DIM, SERIES, Look, line

EMPTY = (
    "Press Start: quality on held-out views, loss, number of Gaussians, training rate and memory are drawn "
    "here as the run goes on."
)
NONE = "A splat file has no curves. Open a scene to train, or a run."
HEIGHT = 200  # px at scale 1
UPPER_RIGHT = dpg.mvPlot_Location_NorthEast
LEGENDS = {"psnr": dpg.mvPlot_Location_SouthEast, "rate": dpg.mvPlot_Location_SouthEast}  # off the curves
SETTLED = 4  # frames after which an axis has followed what it was told
SAME = 0.02  # of what there is of x: a range that differs by less at both ends is all of it


class PlotsPanel:
    """One plot each, below one another."""

    def __init__(self, studio: Studio, look: Look) -> None:
        self._studio, self._look = studio, look
        self._themes = [line(colour) for colour in SERIES]
        self._mark_theme = line((*DIM, 255))
        self._curves: object = None
        self._drawn: dict[str, tuple] = {}  # by a curve's tag: what was drawn of it
        self._fitted: dict[str, tuple[float, float, int]] = {}  # the first and the last x, and the frame
        self._zoomed: set[str] = set()
        self._marks: dict[str, int] = {}
        self._scale = 0.0
        self._reading = Reading(look)

    def hide(self) -> None:
        """The panel is not seen."""
        self._reading.hide()

    def build(self, parent: int | str) -> None:
        """Make the widgets."""
        self._reading.build()
        with inside(dpg.add_group(parent=parent)):
            dpg.bind_item_theme(dpg.add_text("", tag="no curves", wrap=0), self._look.faint)
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
                        dpg.add_plot_legend(location=LEGENDS.get(name, UPPER_RIGHT), no_menus=True)
                        # The toolkit keeps a line free for an axis' label, so there is one.
                        dpg.add_plot_axis(dpg.mvXAxis, label=across, tag=f"x {name}")
                        dpg.add_plot_axis(dpg.mvYAxis, label=along, tag=f"y {name}", no_label=not along)

    def refresh(self) -> None:
        """Follow the curves; read values under the mouse."""
        curves = self._studio.state.curves
        if self._curves is not curves:
            self._curves, self._drawn, self._marks = curves, {}, {}
            self._zoomed.clear()
            for name, *_ in PLOTS:
                dpg.delete_item(f"y {name}", children_only=True)
        dpg.set_value("plot title psnr", f"PSNR on {self._studio.state.probe}")
        scale = dpg.get_global_font_scale()
        if scale != self._scale:
            self._scale = scale
            for name, *_ in PLOTS:
                dpg.configure_item(f"plot {name}", height=round(HEIGHT * scale))
        opened = self._studio.state.opened
        dpg.set_value("no curves", EMPTY if opened is not None and opened.cameras else NONE)
        dpg.configure_item("no curves", show=not any(curves.plots.values()))
        hovered = None
        for name, *_ in PLOTS:
            plot = curves.plots[name]
            dpg.configure_item(f"plot group {name}", show=bool(plot))
            if plot:
                self._draw(name, plot)
                self._draw_marks(name)
                hovered = name if dpg.is_item_hovered(f"plot {name}") else hovered
        self._reading.refresh(hovered, curves, self._studio.state.marks)

    def _draw(self, name: str, plot: dict[str, Curve]) -> None:
        """Draw what is new, as finely as what is seen of x allows."""
        if dpg.is_item_hovered(f"plot {name}"):
            self._note_zoom(name)
        low, high = dpg.get_axis_limits(f"x {name}") if name in self._zoomed else (-1e300, 1e300)
        news = False
        for number, (label, curve) in enumerate(plot.items()):
            tag = f"curve {name} {label}"
            key = (curve.version, low, high)
            if self._drawn.get(tag) == key:
                continue
            self._drawn[tag], news = key, True
            x, y = curve.drawn(low=low, high=high)
            if dpg.does_item_exist(tag):
                dpg.set_value(tag, [x, y])
            else:
                dpg.add_line_series(x, y, label=label, tag=tag, parent=f"y {name}")
                dpg.bind_item_theme(tag, self._themes[number % len(self._themes)])
        if news and name not in self._zoomed:  # whoever zooms is not disturbed
            dpg.fit_axis_data(f"x {name}")
            dpg.fit_axis_data(f"y {name}")
            first, last = min(c.x[0] for c in plot.values()), max(c.x[-1] for c in plot.values())
            self._fitted[name] = (first, last, dpg.get_frame_count())

    def _note_zoom(self, name: str) -> None:
        """See whether the mouse has chosen a part of x, or by a double-click all of it again."""
        if name not in self._fitted:
            return
        first, last, frame = self._fitted[name]
        if dpg.get_frame_count() - frame < SETTLED:
            return
        low, high = dpg.get_axis_limits(f"x {name}")
        if max(abs(low - first), abs(high - last)) <= SAME * (last - first):
            self._zoomed.discard(name)
        else:
            self._zoomed.add(name)

    def _draw_marks(self, name: str) -> None:
        """A vertical line at each step where the teachers' weights were changed."""
        marks = self._studio.state.marks
        if name not in MARKED or self._marks.get(name, 0) == len(marks):
            return
        tag = f"marks {name}"
        if not dpg.does_item_exist(tag):
            dpg.add_inf_line_series(
                list(map(float, marks)), label="weights changed", tag=tag, parent=f"y {name}"
            )
            dpg.bind_item_theme(tag, self._mark_theme)
        dpg.set_value(tag, [list(map(float, marks))])
        self._marks[name] = len(marks)
