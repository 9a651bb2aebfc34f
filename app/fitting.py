"""The room there is on the screen, and words fitted to it."""

import dearpygui.dearpygui as dpg

from app import text


def window_size() -> tuple[int, int]:
    """Width and height of the window within its frame, px."""
    return dpg.get_viewport_client_width(), dpg.get_viewport_client_height()


def wide(words: str) -> int:
    """Width of words on the screen, px. The toolkit knows none before its first frame."""
    size = dpg.get_text_size(words)
    return round(size[0]) if size else 0


def fitted(words: str, width: int) -> str:
    """Words of at most this width, px: their end, after an ellipsis."""
    length = len(words)
    while wide(shorter := text.shortened(words, length)) > width and length > 8:
        length -= 1 + length // 16
    return shorter
