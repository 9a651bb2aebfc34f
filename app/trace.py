"""What the window shows, written down as it shows it: for programs that play the user.

TRACE/places.json, anew every now and then: where what is on the screen, and the state of things.
TRACE/frames.jsonl, a line for each frame of the window: when it was drawn, and the camera of its images.
"""

import json
import time
from pathlib import Path
from typing import Any

import dearpygui.dearpygui as dpg

from app.paint import DRAWING
from app.window import Window
from gaussians.errors import StorageError

EVERY = 0.2  # seconds between two writings
MOST_CAMERAS = 500  # kept: images come a second late at most


class Trace:
    """Called after each frame of a window.

    Args:
        folder: where to write; it is made.

    Raises:
        StorageError: it can't be.
    """

    def __init__(self, folder: Path) -> None:
        self._places, self._frames = folder / "places.json", folder / "frames.jsonl"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._places.unlink(missing_ok=True)
            self._frames.write_text("", encoding="utf-8")
        except OSError as error:
            raise StorageError(f"--trace {folder}: can't be written ({error.strerror})") from error
        self._lines: list[str] = []
        self._next = 0.0
        self._mouse = (-1.0, -1.0)
        self._cameras: dict[bytes, int] = {}
        self._asked = (b"", -1)  # the camera now, and its number

    def __call__(self, window: Window) -> None:
        """Note the frame that was just drawn."""
        now = time.monotonic()
        self._lines.append(json.dumps(self._frame(window, now)) + "\n")
        if now >= self._next:
            self._next = now + EVERY
            with self._frames.open("a", encoding="utf-8") as file:
                file.writelines(self._lines)
            self._lines.clear()
            # Atomic for who reads it; not synced to the disk, which would hold up the frame.
            partial = self._places.with_suffix(".partial")
            partial.write_text(json.dumps(_places(window)), encoding="utf-8")
            partial.replace(self._places)

    def _frame(self, window: Window, now: float) -> dict[str, Any]:
        """One frame.

        "t": when it was on the screen, of the monotonic clock; "mouse": where the mouse was that moved its
        camera; "camera": the number of that camera, counted up; "shown": that of the images in the cells.
        """
        studio = window.studio
        mouse, self._mouse = self._mouse, tuple(dpg.get_mouse_pos(local=False))
        if studio.control is not None:
            self._number(studio.control.camera(16, 16).viewmat.tobytes())
        shown = {
            cell: number
            for cell, frame in studio.frames.items()
            if (number := self._cameras.get(frame.camera.viewmat.tobytes())) is not None
        }
        return {"t": now, "mouse": mouse, "camera": self._asked[1], "shown": shown}

    def _number(self, viewmat: bytes) -> None:
        """Count up if the camera is another one."""
        if viewmat == self._asked[0]:
            return
        self._asked = (viewmat, self._asked[1] + 1)
        self._cameras.pop(viewmat, None)
        self._cameras[viewmat] = self._asked[1]
        while len(self._cameras) > MOST_CAMERAS:
            self._cameras.pop(next(iter(self._cameras)))


def _places(window: Window) -> dict[str, Any]:
    state, studio = window.studio.state, window.studio
    return {
        "items": _items(),
        "cells": _cells(window),
        "run_state": state.run_state,
        "loading": state.loading is not None,
        "opened": str(state.opened.path) if state.opened else None,
        "run": str(state.run[0]) if state.run else None,
        "counts": state.counts,
        "shares": state.shares,
        "marks": state.marks,
        "history": state.history,
        "dataset": studio.control.dataset if studio.control else None,
        "images": {cell: [frame.model, frame.sharp] for cell, frame in studio.frames.items()},
        "points": {
            name: sum(len(c.x) for c in curves.values()) for name, curves in state.curves.plots.items()
        },
        "exported": str(state.exported.path) if state.exported else None,
        "rate": window.status.frame_rate,
    }


def _items() -> dict[str, list[float]]:
    """Rectangles [left, top, right, bottom] of all named items that are seen."""
    items = {}
    for alias in dpg.get_aliases():
        state = dpg.get_item_state(alias)
        if state.get("visible") and "rect_min" in state and state["rect_max"][0] > state["rect_min"][0]:
            items[alias] = [*state["rect_min"], *state["rect_max"]]
    return items


def _cells(window: Window) -> dict[str, list[float]]:
    left, top = dpg.get_item_rect_min(DRAWING)
    return {
        name: [left + place.x, top + place.y, left + place.x + place.width, top + place.y + place.height]
        for name, place in window.viewport.places().items()
    }
