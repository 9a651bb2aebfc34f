"""Held-out views in two halves: one to choose by, one to report, so that nobody tunes on what is reported."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any

QUALITIES = ("psnr", "ssim", "flip")
CHOOSE, REPORT = "choose", "report"


@dataclass(frozen=True)
class Quality:
    """Means over views; PSNR in dB."""

    psnr: float
    ssim: float
    flip: float


def half(per_view: Mapping[str, Mapping[str, float]], which: str | None = None) -> Quality | None:
    """The means over one half of the views by name: "choose" has the 1st, 3rd, ..., "report" the others.

    Args:
        per_view: metrics by view, as report.json has them.
        which: None: all views.

    Returns:
        None where there is no view in that half.
    """
    names = sorted(per_view)
    chosen = {None: names, CHOOSE: names[::2], REPORT: names[1::2]}[which]
    if not chosen:
        return None
    values: dict[str, Any] = {key: fmean(per_view[name][key] for name in chosen) for key in QUALITIES}
    return Quality(**values)
