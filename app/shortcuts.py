"""What each key does."""

from collections.abc import Callable

import dearpygui.dearpygui as dpg

from app.dialogs import Dialogs
from app.lists import Lists
from app.state import COMPARE
from app.studio import Studio

PLUS = 602
"""The key with + and =, as the toolkit reports it: its mvKey_Plus is a character's code, which no key has."""

REPEATING = frozenset({dpg.mvKey_N, dpg.mvKey_P, dpg.mvKey_Up, dpg.mvKey_Down})
"""Keys that go on while they are held. Any other would take back what it did."""


class Shortcuts:
    """The keys; those that are held down to fly are in app.keys.

    Args:
        studio: what they act on.
        lists: take all keys while one is open.
        dialogs: so do they.
        typing: whether a field takes the keys.
        control: whether Ctrl was down with the key that is handled.
        actions: by name: "run" (start, pause, continue), "flip", "export", "close", "larger", "smaller".
    """

    def __init__(
        self,
        studio: Studio,
        lists: Lists,
        dialogs: Dialogs,
        typing: Callable[[], bool],
        control: Callable[[], bool],
        actions: dict[str, Callable[[], None]],
    ) -> None:
        self._studio, self._lists, self._dialogs = studio, lists, dialogs
        self._typing, self._control = typing, control
        layout = studio.layout
        self._plain: dict[int, Callable[[], None]] = {
            dpg.mvKey_Spacebar: actions["run"],
            dpg.mvKey_N: lambda: studio.go_by(1),
            dpg.mvKey_P: lambda: studio.go_by(-1),
            dpg.mvKey_R: studio.reset,
            dpg.mvKey_F: actions["flip"],
            dpg.mvKey_V: studio.toggle_ellipsoids,
            dpg.mvKey_C: lambda: layout.toggle(COMPARE) if COMPARE in layout.there else None,
        }
        self._with_control: dict[int, Callable[[], None]] = {
            dpg.mvKey_O: dialogs.start_page,
            dpg.mvKey_E: actions["export"],
            dpg.mvKey_Q: actions["close"],
            PLUS: actions["larger"],
            dpg.mvKey_Add: actions["larger"],
            dpg.mvKey_Minus: actions["smaller"],
            dpg.mvKey_Subtract: actions["smaller"],
        }

    def press(self, key: int) -> None:
        """A key went down."""
        if self._lists.is_open:
            if key == dpg.mvKey_Escape:
                self._lists.close()
        elif self._dialogs.is_open:
            self._dialogs.press(key)
        elif self._typing():
            return
        elif key == dpg.mvKey_Escape:
            self._studio.layout.shrink()
        elif key == dpg.mvKey_F1:
            self._dialogs.shortcuts()
        elif self._control():
            self._with_control.get(key, lambda: None)()
        elif key in self._plain:
            self._plain[key]()
        else:
            self._number(key - dpg.mvKey_1)

    def _number(self, number: int) -> None:
        layout = self._studio.layout
        if 0 <= number < min(9, len(layout.there)):
            layout.toggle(layout.there[number])
