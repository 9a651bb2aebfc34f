"""The window that fills the viewport and holds everything that is no dialog."""

import dearpygui.dearpygui as dpg

from app.theme import PANEL

MAIN = "main window"


def build_backdrop() -> int | str:
    """Make it; its tag.

    The toolkit's own primary window paints all its pixels, however transparent, on top of what the viewport
    was cleared to: where software renders, that is half of a frame's time. So this is a plain window.
    """
    return dpg.add_window(
        tag=MAIN,
        pos=(0, 0),
        no_background=True,
        no_title_bar=True,
        no_move=True,
        no_resize=True,
        no_collapse=True,
        no_close=True,
        no_bring_to_front_on_focus=True,
        no_saved_settings=True,
        no_scrollbar=True,
        no_scroll_with_mouse=True,
    )


def show_backdrop() -> None:
    """The viewport is there: give it the colour that lies behind all."""
    dpg.set_viewport_clear_color([*PANEL, 255])


def resize_backdrop(width: int, height: int) -> None:
    """Fill a viewport of this size, px."""
    dpg.configure_item(MAIN, width=width, height=height)
