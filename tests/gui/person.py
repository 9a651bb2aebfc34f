"""Someone at a virtual display: sees its pixels, moves the mouse, presses keys."""

import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
NEEDED = ("Xvfb", "xdotool", "import")


def missing() -> list[str]:
    """Programs that are needed and not there."""
    return [name for name in NEEDED if shutil.which(name) is None]


@contextlib.contextmanager
def virtual_display(width: int, height: int) -> Iterator[str]:
    """Within: an X display of this size; its name."""
    read, write = os.pipe()
    command = ["Xvfb", "-displayfd", str(write), "-screen", "0", f"{width}x{height}x24", "-nolisten", "tcp"]
    process = subprocess.Popen(command, pass_fds=(write,), stderr=subprocess.DEVNULL)
    os.close(write)
    try:
        with os.fdopen(read) as told:
            number = told.readline().strip()
        if not number:
            raise RuntimeError("Xvfb did not start")
        yield f":{number}"
    finally:
        process.terminate()
        process.wait(timeout=20)


class Person:
    """Uses one studio.

    Attributes:
        program: that is run as the studio.

    Args:
        display: name of the X display.
        folder: for settings, runs, screenshots.
        path: what the studio is opened on.
        run: folder of the run.
    """

    program = Path(__file__).with_name("under_test.py")

    def __init__(self, display: str, folder: Path, path: Path, run: Path) -> None:
        self.folder, self.display = folder, display
        self._places = folder / "places.json"
        self._places.unlink(missing_ok=True)
        self._environment = {
            **os.environ,
            "DISPLAY": display,
            "XDG_CONFIG_HOME": str(folder / "config"),
            "PYTHONPATH": str(ROOT),
        }
        self._log = (folder / "studio.log").open("ab")
        command = [sys.executable, str(self.program)]
        self.process = subprocess.Popen(
            [*command, str(path), str(self._places), str(run)],
            env=self._environment,
            cwd=folder,
            stdout=self._log,
            stderr=self._log,
        )

    def end(self) -> None:
        """Kill what is left."""
        self.process.kill()
        self.process.wait()
        self._log.close()

    def knows(self) -> dict[str, Any]:
        """What is where; empty before the first frame."""
        if self.process.poll() is not None:
            raise AssertionError("the studio ended:\n" + (self.folder / "studio.log").read_text()[-3000:])
        try:
            return json.loads(self._places.read_text())
        except (FileNotFoundError, ValueError):
            return {}

    def wait(self, what: str, done: Callable[[dict[str, Any]], Any], seconds: float = 60) -> dict[str, Any]:
        """Until something is so; fails with what was waited for."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            known = self.knows()
            if known and done(known):
                return known
            time.sleep(0.1)
        self.screenshot("failure")
        known = self.knows()
        known["items"] = sorted(known.get("items", {}))
        raise AssertionError(f"waited {seconds:.0f} s in vain for {what}; there is {known}")

    def focus(self) -> None:
        """Let the window have the keys, which is a window manager's work where there is one."""
        self.do("search", "--sync", "--onlyvisible", "--name", "Splat Distillery", "windowfocus", "--sync")

    def wait_for_item(self, tag: str, seconds: float = 30) -> None:
        """Until an item is on the screen."""
        self.wait(f"the item {tag}", lambda known: tag in known["items"], seconds)

    def place(self, tag: str, across: float = 0.5, along: float = 0.5) -> tuple[int, int]:
        """A point of an item or a cell."""
        known = self.knows()
        left, top, right, bottom = known["items"].get(tag) or known["cells"][tag]
        return round(left + across * (right - left)), round(top + along * (bottom - top))

    def click(self, tag: str, across: float = 0.5, along: float = 0.5, button: int = 1) -> None:
        """Move there and click."""
        self.wait(f"{tag} to click on", lambda known: tag in known["items"] or tag in known["cells"])
        self.move(*self.place(tag, across, along))
        self.do("mousedown", str(button))
        time.sleep(0.15)
        self.do("mouseup", str(button))
        time.sleep(0.3)

    def double_click(self, tag: str) -> None:
        """Twice, quickly."""
        self.move(*self.place(tag))
        self.do("click", "--repeat", "2", "--delay", "90", "1")
        time.sleep(0.3)

    def drag(self, start: tuple[int, int], end: tuple[int, int], button: int = 1, steps: int = 8) -> None:
        """Press, move in steps, let go."""
        self.move(*start)
        self.do("mousedown", str(button))
        time.sleep(0.15)
        for step in range(1, steps + 1):
            share = step / steps
            self.do("mousemove", *(str(round(a + (b - a) * share)) for a, b in zip(start, end, strict=True)))
            time.sleep(0.06)
        time.sleep(0.15)
        self.do("mouseup", str(button))
        time.sleep(0.3)

    def move(self, x: int, y: int) -> None:
        """Move the mouse, and rest a moment, as people do before they click."""
        self.do("mousemove", str(x), str(y))
        time.sleep(0.25)

    def press(self, key: str) -> None:
        """Press a key or a combination such as ctrl+e."""
        self.do("key", "--delay", "120", key)
        time.sleep(0.3)

    def type(self, words: str) -> None:
        """Replace a field's text, which was clicked before."""
        self.press("ctrl+a")
        self.do("type", "--delay", "60", words)
        time.sleep(0.3)

    def do(self, *arguments: str) -> None:
        """Anything that xdotool can."""
        subprocess.run(["xdotool", *arguments], env=self._environment, check=True, timeout=30)

    def screenshot(self, name: str) -> np.ndarray:
        """[H, W, 3] uint8: the whole display; kept as NAME.png."""
        command = ["import", "-window", "root", "png:-"]
        png = subprocess.run(
            command, env=self._environment, check=True, capture_output=True, timeout=60
        ).stdout
        image = Image.open(io.BytesIO(png)).convert("RGB")
        image.save(self.folder / f"{name}.png")
        return np.asarray(image)

    def cell(self, name: str, shot: str) -> np.ndarray:
        """The pixels of a cell below its label, on a new screenshot."""
        time.sleep(0.7)  # what was told may be seen a frame later
        image = self.screenshot(shot)
        left, top, right, bottom = (round(side) for side in self.knows()["cells"][name])
        return image[top + 28 : bottom - 4, left + 4 : right - 4]
