"""What is being loaded, how much of it is done, and a way to give up, over the cells."""

import dearpygui.dearpygui as dpg

from app.containers import inside
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
            dpg.add_progress_bar(tag="loading bar", width=WIDTH, height=8)
            dpg.add_text("", tag="loading line")
            dpg.add_button(
                label="Cancel", tag="loading cancel", callback=lambda: self._studio.cancel_loading()
            )

    def refresh(self, scale: float, room: tuple[float, float]) -> None:
        """Follow the state, in the middle of the cells, which have this much room, px."""
        loading = self._studio.state.loading
        dpg.configure_item("loading", show=loading is not None)
        if loading is None:
            return
        dpg.set_value("loading title", loading.what[:1].upper() + loading.what[1:])
        dpg.set_value("loading bar", loading.done / loading.total if loading.total else 0.0)
        dpg.set_value("loading line", f"{loading.done:,} of {loading.total:,}" if loading.total > 1 else "")
        dpg.configure_item("loading bar", width=round(WIDTH * scale), height=round(8 * scale))
        width, height = room
        left = max(0, int((width - WIDTH * scale) / 2))
        dpg.set_item_pos("loading", [left, int(height * 0.45)])
