"""From lines of metrics.jsonl to the curves of the plots, as they come in."""

import math
from array import array
from bisect import bisect_left
from collections.abc import Iterable
from typing import Any

import numpy as np

MOST_POINTS = 600  # drawn of a curve: more are not seen on a panel
LONGEST_STEP = 30.0  # seconds between two lines that count as training and not as a pause


class Curve:
    """Values over x, which never goes back except where a resumed run replaces what it does again.

    Attributes:
        version: grows with each point.
    """

    def __init__(self) -> None:
        # Arrays of doubles, which NumPy reads without a copy: a long run has 100,000 points.
        self.x, self.y = array("d"), array("d")
        self.version = 0

    def add(self, x: float, y: float) -> None:
        """Append a point; what lies at or beyond `x` (of a run that was resumed earlier) is replaced."""
        if self.x and x <= self.x[-1]:
            keep = bisect_left(self.x, x)
            del self.x[keep:], self.y[keep:]
        self.x.append(x)
        self.y.append(y)
        self.version += 1

    def drawn(
        self, most: int = MOST_POINTS, low: float = -math.inf, high: float = math.inf
    ) -> tuple[list[float], list[float]]:
        """At most `most` points: of each stretch its lowest and highest, so that no spike is lost.

        Args:
            most: at least 8.
            low, high: what is seen of x: the points are spent on it; but the curve's two ends stay.
        """
        if not self.x:
            return [], []
        x, y = np.frombuffer(self.x), np.frombuffer(self.y)
        # One more on either side, for the lines that leave what is seen.
        first = max(0, int(np.searchsorted(x, low)) - 1)
        last = min(len(x), int(np.searchsorted(x, high, side="right")) + 1)
        size = -(-(last - first) // ((most - 4) // 2))  # of a stretch
        if last - first <= most - 2:
            picked = np.arange(first, last)
        else:
            whole = (last - first) // size * size
            stretches = y[first : first + whole].reshape(-1, size)
            starts = first + size * np.arange(len(stretches))
            rest = y[first + whole : last]
            ends = [first + whole + int(at) for at in (rest.argmin(), rest.argmax())] if len(rest) else []
            picked = np.concatenate(
                [starts + stretches.argmin(axis=1), starts + stretches.argmax(axis=1), ends]
            ).astype(int)
        picked = np.unique(np.concatenate([[0], picked, [len(x) - 1]]))
        return x[picked].tolist(), y[picked].tolist()

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
