"""Mouse and keyboard: what happened since the last frame, from the toolkit's handlers."""

import time
from collections.abc import Callable
from typing import Any

import dearpygui.dearpygui as dpg

from app.containers import inside

_CONTROL = (dpg.mvKey_LControl, dpg.mvKey_RControl)
ACTIVE_FOR = 0.6  # seconds after the last input that the window counts as in use


class Input:
    """Collects events; the frame loop asks.

    Args:
        on_key: called with each key pressed.
        on_press, on_release: called with the mouse button.
        on_double_click: of the left button.
        on_wheel: called with the notches.
    """

    def __init__(
        self,
        on_key: Callable[[int], None],
        on_press: Callable[[int], None],
        on_release: Callable[[int], None],
        on_double_click: Callable[[], None],
        on_wheel: Callable[[float], None],
    ) -> None:
        self._last_mouse = (0.0, 0.0)
        self._last_time = time.perf_counter()
        self._down: set[int] = set()  # keys, as of the event that is handled
        self._repeats = False

        def key_pressed(key: int) -> None:
            self._repeats = key in self._down
            self._down.add(key)
            on_key(key)

        def noted(callback: Callable[[Any], None]) -> Callable[[Any, Any], None]:
            def call(_: Any, data: Any) -> None:
                self._last_time = time.perf_counter()
                callback(data)

            return call

        with inside(dpg.add_handler_registry()):
            dpg.add_key_press_handler(callback=noted(key_pressed))
            dpg.add_key_release_handler(callback=noted(self._down.discard))
            dpg.add_mouse_click_handler(callback=noted(on_press))
            dpg.add_mouse_release_handler(callback=noted(on_release))
            dpg.add_mouse_double_click_handler(
                button=dpg.mvMouseButton_Left, callback=noted(lambda _: on_double_click())
            )
            dpg.add_mouse_wheel_handler(callback=noted(on_wheel))

    @property
    def control(self) -> bool:
        """Whether Ctrl was down when the event happened that is handled now.

        Events are handled a frame late: asked for then, a key of a quick hand is up again.
        """
        return not self._down.isdisjoint(_CONTROL)

    @property
    def repeats(self) -> bool:
        """Whether the key that is handled now was down already: the system repeats what is held."""
        return self._repeats

    def settle(self) -> None:
        """Once a frame, when its events were handled: let go of keys that were released elsewhere.

        Where the window loses the keyboard with a key down, nobody tells of its release.
        """
        self._down = {key for key in self._down if dpg.is_key_down(key)}

    def in_use(self) -> bool:
        """Whether the user did anything just now."""
        mouse = tuple(dpg.get_mouse_pos(local=False))
        now = time.perf_counter()
        if mouse != self._last_mouse:
            self._last_mouse, self._last_time = mouse, now
        return now - self._last_time < ACTIVE_FOR


def flight() -> tuple[float, float, float]:
    """Where the keys W A S D Q E that are down fly to: right, up, forward, each -1, 0 or 1."""

    def down(key: int) -> int:
        return int(dpg.is_key_down(key))

    return (
        down(dpg.mvKey_D) - down(dpg.mvKey_A),
        down(dpg.mvKey_E) - down(dpg.mvKey_Q),
        down(dpg.mvKey_W) - down(dpg.mvKey_S),
    )


def control_down() -> bool:
    """Whether a Ctrl key is down."""
    return dpg.is_key_down(dpg.mvKey_LControl) or dpg.is_key_down(dpg.mvKey_RControl)


def calling(callback: Callable[[], None]) -> Callable[[], None]:
    """A callback that takes no notice of what the toolkit passes."""
    return lambda: callback()
