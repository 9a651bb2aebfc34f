"""Someone at an X display who uses the studio by mouse and keys. For `bench gui` and for tests."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from gaussians.errors import BackendUnavailableError

ROOT = Path(__file__).resolve().parents[2]
NEEDED = ("Xvfb", "xdotool")
MAIN = str(ROOT / "main.py")
TITLE = "Splat Distillery"

Known = dict[str, Any]
"""What the studio's trace says: see app/trace.py."""


class StudioEndedError(AssertionError):
    """The studio ended, or does not do what was waited for."""


def missing(more: tuple[str, ...] = ()) -> list[str]:
    """Programs that are needed and not there."""
    return [name for name in (*NEEDED, *more) if shutil.which(name) is None]


@contextlib.contextmanager
def virtual_display(width: int, height: int) -> Iterator[str]:
    """Within: an X display of this size; its name.

    Raises:
        BackendUnavailableError: Xvfb does not start.
    """
    read, write = os.pipe()
    command = ["Xvfb", "-displayfd", str(write), "-screen", "0", f"{width}x{height}x24", "-nolisten", "tcp"]
    command += ["-noreset"]  # else it starts over when a studio closes, and the next one may meet it doing so
    process = subprocess.Popen(command, pass_fds=(write,), stderr=subprocess.DEVNULL)
    os.close(write)
    try:
        with os.fdopen(read) as told:
            number = told.readline().strip()
        if not number:
            raise BackendUnavailableError("Xvfb did not start; try `Xvfb :99` by hand to see why")
        yield f":{number}"
    finally:
        process.terminate()
        process.wait(timeout=20)


class VirtualUser:
    """Starts a studio and uses it, until `end`.

    Args:
        display: name of the X display.
        folder: for settings, trace and log.
        path: what the studio is opened on.
        run: folder of the run.
        device: where it trains and renders.
        environment: additional variables.

    Attributes:
        program: that is run as the studio.
        began: when the studio was started, of the monotonic clock.
    """

    program = MAIN

    def __init__(
        self,
        display: str,
        folder: Path,
        path: Path,
        run: Path,
        device: str = "cpu",
        environment: dict[str, str] | None = None,
    ) -> None:
        self.folder, self.display = folder, display
        self.trace = folder / "trace"
        shutil.rmtree(self.trace, ignore_errors=True)
        self.environment = {
            **os.environ,
            "DISPLAY": display,
            "XDG_CONFIG_HOME": str(folder / "config"),
            **(environment or {}),
        }
        command = [sys.executable, self.program, str(path), "--run", str(run)]
        with (folder / "studio.log").open("ab") as log:
            self.began = time.monotonic()
            self.process = subprocess.Popen(
                [*command, "--trace", str(self.trace), "--device", device],
                env=self.environment,
                cwd=folder,
                stdout=log,
                stderr=log,
            )
        self._hand = subprocess.Popen(
            ["xdotool", "-"], env=self.environment, stdin=subprocess.PIPE, text=True
        )

    def end(self) -> None:
        """Kill what is left."""
        for process in (self.process, self._hand):
            process.kill()
            process.wait()

    def knows(self) -> Known:
        """What is where; empty before the first frame."""
        if self.process.poll() is not None:
            log = (self.folder / "studio.log").read_text(errors="replace")
            raise StudioEndedError("the studio ended:\n" + log[-3000:])
        try:
            return json.loads((self.trace / "places.json").read_text())
        except (FileNotFoundError, ValueError):
            return {}

    def wait(self, what: str, done: Callable[[Known], Any], seconds: float = 60) -> Known:
        """Until something is so. Raises StudioEndedError with what was waited for, if it does not come."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            known = self.knows()
            if known and done(known):
                return known
            time.sleep(0.1)
        known = self.knows()
        known["items"] = sorted(known.get("items", {}))
        raise StudioEndedError(f"waited {seconds:.0f} s in vain for {what}; there is {known}")

    def focus(self) -> None:
        """Let the window have the keys, which is a window manager's work where there is one."""
        self.do("search", "--sync", "--onlyvisible", "--name", TITLE, "windowfocus", "--sync")

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
            self.slide(*(round(a + (b - a) * share) for a, b in zip(start, end, strict=True)))
            time.sleep(0.06)
        time.sleep(0.15)
        self.do("mouseup", str(button))
        time.sleep(0.3)

    def move(self, x: int, y: int) -> None:
        """Move the mouse, and rest a moment, as people do before they click."""
        self.slide(x, y)
        time.sleep(0.25)

    def slide(self, x: int, y: int) -> float:
        """Move the mouse at once; when, of the monotonic clock. Costs no new process."""
        assert self._hand.stdin is not None
        now = time.monotonic()
        self._hand.stdin.write(f"mousemove {x} {y}\n")
        self._hand.stdin.flush()
        return now

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
        subprocess.run(["xdotool", *arguments], env=self.environment, check=True, timeout=30)
