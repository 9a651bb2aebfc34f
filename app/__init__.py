"""The studio: a window on a distillation. The only package that imports dearpygui, and only when it opens."""

import ctypes
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gaussians.cli.studio import StudioFlags


def has_display() -> bool:
    """Whether a window can be opened here. On Linux the toolkit speaks X11, also under Wayland."""
    if sys.platform in ("win32", "darwin"):
        return True
    if not os.environ.get("DISPLAY"):
        return False
    try:
        x11 = ctypes.CDLL("libX11.so.6")
    except OSError:  # without it the toolkit can't open a window either
        return False
    x11.XOpenDisplay.restype = ctypes.c_void_p
    display = x11.XOpenDisplay(None)
    if display:
        x11.XCloseDisplay(ctypes.c_void_p(display))
    return bool(display)


def run(asked: "StudioFlags") -> int:
    """Open the studio; returns the exit code when it is closed.

    Raises:
        BackendUnavailableError: the device asked for is not there.
    """
    from app.ellipsoids import Ellipsoids
    from app.studio import Studio
    from app.trace import Trace  # the toolkit is not even imported where nothing is shown
    from app.window import Window
    from gaussians.cli.distill import DEMO
    from gaussians.session.machine import choose_device
    from gaussians.session.worker import Worker

    device = choose_device(asked.device)
    trace = None if asked.trace is None else Trace(asked.trace)
    return Window(Studio(Worker(device, Ellipsoids()), asked.run), device, asked.scene or DEMO, trace).run()
