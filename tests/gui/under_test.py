"""The studio as it is, but that it writes what is where on the screen into a file, for who plays the user.

Run as a program: under_test.py PATH PLACES RUNS
"""

import json
import sys
import time
from pathlib import Path

import dearpygui.dearpygui as dpg

from app.paint import DRAWING
from app.studio import Studio
from app.window import Window
from gaussians.session.machine import choose_device
from gaussians.session.worker import Worker

EVERY = 0.1  # seconds


class Places:
    """Writes them every now and then."""

    def __init__(self, path: Path) -> None:
        self._path, self._next = path, 0.0

    def __call__(self, window: Window) -> None:
        if time.perf_counter() < self._next:
            return
        self._next = time.perf_counter() + EVERY
        state, studio = window.studio.state, window.studio
        document = {
            "items": self._items(),
            "cells": self._cells(window),
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
        partial = self._path.with_suffix(".partial")
        partial.write_text(json.dumps(document))
        partial.replace(self._path)

    def _items(self) -> dict[str, list[float]]:
        """Rectangles [left, top, right, bottom] of all named items that are seen, and texts' words."""
        items = {}
        for alias in dpg.get_aliases():
            state = dpg.get_item_state(alias)
            if state.get("visible") and "rect_min" in state and state["rect_max"][0] > state["rect_min"][0]:
                items[alias] = [*state["rect_min"], *state["rect_max"]]
        return items

    def _cells(self, window: Window) -> dict[str, list[float]]:
        left, top = dpg.get_item_rect_min(DRAWING)
        return {
            name: [left + place.x, top + place.y, left + place.x + place.width, top + place.y + place.height]
            for name, place in window.viewport.places().items()
        }


def main(path: Path, places: Path, runs: Path) -> int:
    device = choose_device("cpu")
    studio = Studio(Worker(device), runs)
    return Window(studio, device, path, Places(places)).run()


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
