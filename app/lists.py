"""Lists of choices and menus that are open: the keys are for them, and for nothing behind them."""

import dearpygui.dearpygui as dpg

from app.cell_menu import MENU
from app.view_bar import CELLS

MENUS = (MENU, CELLS)
WINDOWS = ("mvAppItemType::mvWindowAppItem", "mvAppItemType::mvChildWindow")
PASSING = 1  # frames without focus that it takes to go from one window to another
ANEW = 30  # frames without focus after which windows are looked for once more


class Lists:
    """Whether one is open.

    The toolkit does not tell of a combo's list. But that is a window of the toolkit's own and has the focus,
    so that none of ours has.
    """

    def __init__(self) -> None:
        self._windows: list[int] = []  # ours
        self._without_focus = 0  # frames, one after the other

    def settle(self) -> None:
        """Once a frame: look where the focus is."""
        if any(map(_has_focus, (dpg.get_active_window(), *self._windows))):
            self._without_focus = 0
            return
        self._without_focus += 1
        if self._without_focus % ANEW == PASSING + 1:  # some may be new; not each frame: it takes 10 ms
            self._windows = [item for item in dpg.get_all_items() if dpg.get_item_type(item) in WINDOWS]
            if any(map(_has_focus, self._windows)):
                self._without_focus = 0

    @property
    def is_open(self) -> bool:
        """Whether a list or a menu is open."""
        return self._without_focus > PASSING or any(map(_is_shown, MENUS))

    def close(self) -> None:
        """Close what is open. A list closes when its window has the focus again."""
        for menu in filter(_is_shown, MENUS):
            dpg.configure_item(menu, show=False)
        if self._without_focus > PASSING:
            dpg.focus_item(dpg.get_active_window())


def _is_shown(menu: str) -> bool:
    return bool(dpg.is_item_shown(menu))


def _has_focus(window: int | str) -> bool:
    return dpg.does_item_exist(window) and bool(dpg.is_item_focused(window))
