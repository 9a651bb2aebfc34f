"""frontier.csv: what a search has found about size and quality."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gaussians.session.halves import CHOOSE, REPORT, Quality, half

FEWEST_VIEWS = 4  # held out: with fewer, a half would be one view
_HEADS = ("model", "gaussians", "bytes", "psnr_choose", "psnr", "ssim", "flip", "within")


@dataclass(frozen=True)
class Point:
    """A model on the frontier.

    Attributes:
        model: "vanilla" or "student".
        gaussians, bytes: its size.
        psnr_choose: dB on the held-out views that the search goes by.
        reported: quality on the others; both on all views where fewer than four are held out.
    """

    model: str
    gaussians: int
    bytes: int
    psnr_choose: float
    reported: Quality


def point(model: str, facts: Mapping[str, Any]) -> Point:
    """From a finished model's facts, at least one view held out."""
    views = facts["per_view"]
    enough = len(views) >= FEWEST_VIEWS
    choose, report = half(views, CHOOSE if enough else None), half(views, REPORT if enough else None)
    assert choose is not None
    assert report is not None
    return Point(model, facts["gaussians"], facts["bytes"], choose.psnr, report)


def csv_text(points: Sequence[Point], within: float) -> str:
    """The file's text.

    Args:
        points: the vanilla teacher first.
        within: dB; "yes" where the PSNR to choose by is at most so far below the vanilla teacher's.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_HEADS)
    for each in points:
        values = (each.psnr_choose, each.reported.psnr, each.reported.ssim, each.reported.flip)
        is_within = points[0].psnr_choose - each.psnr_choose <= within
        cells = (f"{value:.5f}" for value in values)
        writer.writerow([each.model, each.gaussians, each.bytes, *cells, "yes" if is_within else "no"])
    return text.getvalue()
