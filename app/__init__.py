"""The studio: a window on a distillation. The only package that imports dearpygui, and only when it opens."""

import os
import sys
from pathlib import Path


def has_display() -> bool:
    """Whether a window can be opened here."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def run(path: Path, directory: Path | None = None) -> int:
    """Open the studio; returns the exit code when it is closed.

    Args:
        path: a scene, a run or a splat file.
        directory: where the first run that is started goes; None: runs/NAME.
    """
    from app.studio import Studio
    from app.window import Window  # the toolkit is not even imported where nothing is shown
    from gaussians.session.machine import choose_device
    from gaussians.session.worker import Worker

    device = choose_device("auto")
    return Window(Studio(Worker(device), directory), device, path).run()
