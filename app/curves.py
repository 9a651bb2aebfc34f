"""From lines of metrics.jsonl to the curves of the plots, as they come in."""

import itertools
from bisect import bisect_left
from collections.abc import Iterable
from typing import Any

import numpy as np

MOST_POINTS = 600  # drawn of a curve: more are not seen on a panel
TERMS = ("photo", "label", "structure")
LONGEST_STEP = 30.0  # seconds between two lines that count as training and not as a pause


class Curve:
    """Values over x, which never goes back except by `cut`."""

    def __init__(self) -> None:
        self.x: list[float] = []
        self.y: list[float] = []

    def add(self, x: float, y: float) -> None:
        """Append a point; what lies at or beyond `x` (of a run that was resumed earlier) is replaced."""
        if self.x and x <= self.x[-1]:
            keep = bisect_left(self.x, x)
            del self.x[keep:], self.y[keep:]
        self.x.append(x)
        self.y.append(y)

    def drawn(self, most: int = MOST_POINTS) -> tuple[list[float], list[float]]:
        """At most `most` points: of each stretch its lowest and highest, so that no spike is lost."""
        if len(self.x) <= most:
            return self.x, self.y
        y = np.asarray(self.y)
        edges = np.linspace(0, len(y), most // 2 + 1).astype(int)
        picked: list[int] = []
        for start, stop in itertools.pairwise(edges):
            low, high = start + int(y[start:stop].argmin()), start + int(y[start:stop].argmax())
            picked.extend(sorted({low, high}))
        picked[0], picked[-1] = 0, len(y) - 1
        return [self.x[index] for index in picked], [self.y[index] for index in picked]

    def at(self, x: float) -> float | None:
        """The value of the point nearest to x, within the curve; None outside of it."""
        if not self.x or not self.x[0] <= x <= self.x[-1]:
            return None
        index = bisect_left(self.x, x)
        if index > 0 and x - self.x[index - 1] < self.x[index] - x:
            index -= 1
        return self.y[index]


class Curves:
    """All curves of a run, by plot and by name.

    Plots: "loss" (by model and term, over that model's steps), "psnr" and "count" (by model), "rate" (steps a
    second) and "memory" (MB), both over the run's minutes of training.
    """

    def __init__(self) -> None:
        self.plots: dict[str, dict[str, Curve]] = {
            name: {} for name in ("loss", "psnr", "count", "rate", "memory")
        }
        self.version = 0
        self._last: dict[str, Any] | None = None
        self._minutes = 0.0

    def add(self, lines: Iterable[dict[str, Any]]) -> None:
        """Take lines of metrics.jsonl in their order."""
        for line in lines:
            self._add(line)
            self.version += 1

    def _add(self, line: dict[str, Any]) -> None:
        if "count" not in line:  # a note, such as of changed weights
            return
        model, step = line["model"], line["step"]
        for term, value in line.get("loss", {}).items():
            self._curve("loss", f"{model} {term}").add(step, value)
        if "psnr" in line:
            self._curve("psnr", model).add(step, line["psnr"])
        self._curve("count", model).add(step, line["count"])
        self._add_rate(line)
        if "memory" in line:
            self._curve("memory", "memory").add(self._minutes, line["memory"] / 1e6)

    def _add_rate(self, line: dict[str, Any]) -> None:
        last, self._last = self._last, line
        if last is None or last["stage"] != line["stage"] or line["step"] <= last["step"]:
            return
        seconds = line["time"] - last["time"]
        if 0 < seconds <= LONGEST_STEP:
            self._minutes += seconds / 60
            self._curve("rate", "steps/s").add(self._minutes, (line["step"] - last["step"]) / seconds)

    def _curve(self, plot: str, name: str) -> Curve:
        return self.plots[plot].setdefault(name, Curve())
