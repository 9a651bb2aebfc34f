"""The values of all curves of a plot at the mouse, in a small window beside it."""

import dearpygui.dearpygui as dpg

from app.containers import inside
from app.curves import Curves
from app.theme import SERIES, Look

PLOTS = (
    ("psnr", "PSNR on held-out views", "step", "dB", ".2f"),
    ("loss", "Loss, by model and term", "step", "weighted", ".4f"),
    ("count", "Gaussians", "step", "", ",.0f"),
    ("rate", "Training rate", "minutes", "steps/s", ".1f"),
    ("memory", "Memory", "minutes", "MB", ",.0f"),
)
"""Name, title, what x is, unit of y, and how a value is written."""
MARKED = ("loss", "psnr", "count")
"""The plots by step, as changes of weights are."""
NEAR_MARK = 0.01  # of what is seen of x: so near to a mark, it is read
MOST_ROWS = 16
HINT = "Wheel: zoom. Drag: move. Double-click: all of it."
BESIDE = 18  # px from the mouse at scale 1: nothing comes under it
WINDOW = "plot reading"


class Reading:
    """Seen while the mouse is over a plot."""

    def __init__(self, look: Look) -> None:
        self._look = look

    def build(self) -> None:
        """Make the widgets, hidden."""
        window = dpg.add_window(
            tag=WINDOW,
            show=False,
            no_title_bar=True,
            no_resize=True,
            no_move=True,
            autosize=True,
            no_focus_on_appearing=True,
            min_size=(10, 10),
        )
        with inside(dpg.add_theme()) as close, inside(dpg.add_theme_component(dpg.mvAll)):
            dpg.add_theme_style(dpg.mvStyleVar_ItemSpacing, 8, 1)
        dpg.bind_item_theme(window, close)
        with inside(window):
            dpg.bind_item_font(dpg.add_text("", tag="reading place"), self._look.bold)
            for row in range(MOST_ROWS):
                dpg.add_text("", tag=f"reading {row}", color=SERIES[row % len(SERIES)])
            dpg.add_text("", tag="reading mark")
            dpg.bind_item_theme(dpg.add_text(HINT, tag="reading hint"), self._look.faint)

    def hide(self) -> None:
        """The mouse is elsewhere."""
        if dpg.is_item_shown(WINDOW):
            dpg.configure_item(WINDOW, show=False)

    def refresh(self, name: str | None, curves: Curves, marks: list[int]) -> None:
        """Read the plot under the mouse.

        Args:
            name: of the plot; None: the mouse is over none.
            curves: of the run.
            marks: steps at which the teachers' weights were changed.
        """
        if name is None:
            self.hide()
            return
        across, along, form = next(plot[2:] for plot in PLOTS if plot[0] == name)
        at = dpg.get_plot_mouse_pos()[0]
        dpg.set_value(
            "reading place", f"step {max(at, 0):,.0f}" if across == "step" else f"{at:.1f} {across}"
        )
        plot = curves.plots[name]
        lines = {}
        for row, (label, curve) in enumerate(plot.items()):
            value = curve.at(at)
            if value is not None:
                lines[row] = f"{label}  {value:{form}} {along}".rstrip()
        for row in range(MOST_ROWS):
            dpg.configure_item(f"reading {row}", show=row in lines)
            dpg.set_value(f"reading {row}", lines.get(row, ""))
        low, high = dpg.get_axis_limits(f"x {name}")
        near = [mark for mark in marks if abs(mark - at) <= NEAR_MARK * (high - low)]
        dpg.configure_item("reading mark", show=bool(near) and name in MARKED)
        if near:
            dpg.set_value("reading mark", f"Teachers' weights were changed after step {near[0]:,}")
        self._place()

    def _place(self) -> None:
        """To the left of the mouse, where the cells are; but on the window."""
        x, y = dpg.get_mouse_pos(local=False)
        width, height = dpg.get_item_rect_size(WINDOW)
        beside = BESIDE * dpg.get_global_font_scale()
        bottom = dpg.get_viewport_client_height() - height - 4
        dpg.configure_item(
            WINDOW, show=True, pos=[max(0, int(x - width - beside)), max(0, int(min(y + beside, bottom)))]
        )
