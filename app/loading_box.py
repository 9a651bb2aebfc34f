"""What is being loaded, how much of it is done, and a way to give up, over the cells."""

import dearpygui.dearpygui as dpg

from app import text
from app.containers import inside
from app.fitting import fitted
from app.studio import Studio
from app.theme import Look

WIDTH, PADDING = 300, 12  # px of the bar, and of the box around it, at scale 1


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
        wide = round(WIDTH * scale)
        dpg.set_value("loading title", fitted(title, wide, text.begun))
        line = f"{loading.done:,} of {loading.total:,}" if loading.total > 1 else ""
        dpg.set_value("loading what", "  ·  ".join(filter(None, (what, line))))
        dpg.set_value("loading bar", loading.done / max(1, loading.total))
        dpg.configure_item("loading cancel", label="Cancelling…" if cancelling else "Cancel")
        dpg.configure_item("loading cancel", enabled=not cancelling)
        # How far one thing is, nobody knows: a bar would stay empty.
        dpg.configure_item("loading bar", show=loading.total > 1, width=wide, height=round(8 * scale))
        dpg.configure_item("loading", min_size=(wide + round(2 * PADDING * scale), 0))
        width, height = room
        left = max(0, int((width - wide) / 2))
        dpg.set_item_pos("loading", [left, int(height * 0.45)])
