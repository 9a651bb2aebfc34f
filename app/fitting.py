"""The room there is on the screen, and words fitted to it."""

from collections.abc import Callable

import dearpygui.dearpygui as dpg

from app import text
from app.theme import FONT_SIZE


def window_size() -> tuple[int, int]:
    """Width and height of the window within its frame, px."""
    return dpg.get_viewport_client_width(), dpg.get_viewport_client_height()


def wide(words: str) -> int:
    """Width of words on the screen, px. The toolkit knows none before its first frame."""
    size = dpg.get_text_size(words)
    # Measured at the toolkit's own size; text grows in proportion.
    return round(size[0] / max(1.0, size[1]) * FONT_SIZE * dpg.get_global_font_scale()) if size else 0


def fitted(words: str, width: int, shorten: Callable[[str, int], str] = text.shortened) -> str:
    """Words of at most this width, px, after an ellipsis; or before one, with `text.begun` as `shorten`."""
    length = len(words)
    while wide(shorter := shorten(words, length)) > width and length > 8:
        length -= 1 + length // 16
    return shorter
