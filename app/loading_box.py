"""What is being loaded, how much of it is done, and a way to give up, over the cells."""

import dearpygui.dearpygui as dpg

from app import text
from app.containers import inside
from app.fitting import fitted
from app.studio import Studio
from app.theme import Look

WIDTH = 300  # px of the bar at scale 1


class LoadingBox:
    """Seen while something is being loaded."""

    def __init__(self, studio: Studio, look: Look) -> None:
        self._studio, self._look = studio, look

    def build(self) -> None:
        """Make the widgets, hidden."""
        box = dpg.add_window(
            tag="loading", no_title_bar=True, no_resize=True, no_move=True, show=False, autosize=True
        )
        with inside(box):
            dpg.bind_item_font(dpg.add_text("", tag="loading title"), self._look.bold)
            dpg.bind_item_theme(dpg.add_text("", tag="loading what"), self._look.note)
            dpg.add_progress_bar(tag="loading bar", width=WIDTH, height=8)
            dpg.add_button(
                label="Cancel", tag="loading cancel", callback=lambda: self._studio.cancel_loading()
            )

    def refresh(self, scale: float, room: tuple[float, float]) -> None:
        """Follow the state, in the middle of the cells, which have this much room, px."""
        loading, cancelling = self._studio.state.loading, self._studio.state.cancelling
        dpg.configure_item("loading", show=loading is not None)
        if loading is None:
            return
        title, what = text.loading(loading.name, loading.what)
        dpg.set_value("loading title", fitted(title, round(WIDTH * scale)))
        line = f"{loading.done:,} of {loading.total:,}" if loading.total > 1 else ""
        dpg.set_value("loading what", "  ·  ".join(filter(None, (what, line))))
        dpg.set_value("loading bar", loading.done / loading.total if loading.total else 0.0)
        dpg.configure_item("loading cancel", label="Cancelling…" if cancelling else "Cancel")
        dpg.configure_item("loading cancel", enabled=not cancelling)
        dpg.configure_item("loading bar", width=round(WIDTH * scale), height=round(8 * scale))
        width, height = room
        left = max(0, int((width - WIDTH * scale) / 2))
        dpg.set_item_pos("loading", [left, int(height * 0.45)])
