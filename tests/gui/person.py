"""A virtual user who looks: at the display's pixels."""

import io
import subprocess
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

from gaussians.cli import virtual_user
from gaussians.cli.virtual_user import ROOT, VirtualUser, virtual_display

__all__ = ["ROOT", "Person", "missing", "virtual_display"]


def missing() -> list[str]:
    """Programs that are needed and not there."""
    return virtual_user.missing(("import",))


class Person(VirtualUser):
    """Uses one studio, and judges by what is on the screen."""

    def wait(self, what: str, done: Callable[[dict[str, Any]], Any], seconds: float = 60) -> dict[str, Any]:
        """Until something is so; else it leaves a screenshot."""
        try:
            return super().wait(what, done, seconds)
        except virtual_user.StudioEndedError:
            self.screenshot("failure")
            raise

    def hold(self, key: str, seconds: float = 1.0) -> None:
        """Keep a key down for so long that the system repeats it."""
        self.do("keydown", key)
        time.sleep(seconds)
        self.do("keyup", key)
        time.sleep(0.3)

    def screenshot(self, name: str) -> np.ndarray:
        """[H, W, 3] uint8: the whole display; kept as NAME.png."""
        command = ["import", "-window", "root", "png:-"]
        png = subprocess.run(
            command, env=self.environment, check=True, capture_output=True, timeout=60
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
