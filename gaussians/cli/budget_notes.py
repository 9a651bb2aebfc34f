"""What a finished run tells of its budget: that it was more than could be given, or too little."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gaussians.distill.budget import parse_budget
from gaussians.distill.pipeline import STUDENT
from gaussians.io import readable_suffixes

_BEARABLE = {"psnr": (0.1, "{:.2f} dB"), "ssim": (0.005, "{:.3f} of SSIM")}  # that a student may lack
_AT_CAP = 0.98  # of the cap: what is removed after growth's end is not much


def budget_notes(report: Mapping[str, Any]) -> list[str]:
    """A line on a budget with room for more than the student could be given, or one on a student that lacks.

    Args:
        report: as report.json holds it.
    """
    return [*_unneeded(report), *_lacking(report)]


def _unneeded(report: Mapping[str, Any]) -> list[str]:
    student = report["recipe"]["student"]
    budget, vanilla = parse_budget(student["budget"]), _vanilla(report)["gaussians"]
    if not budget.exceeds(vanilla, student["optimise"]["sh_degree"]):
        return []
    more = f"budget {budget.text} has room for more than the vanilla teacher's {vanilla:,} Gaussians"
    return [f"{more}, which were the limit then"]


def _lacking(report: Mapping[str, Any]) -> list[str]:
    vanilla, student = _vanilla(report), report["models"][STUDENT]
    if vanilla["psnr"] is None or student["psnr"] is None:
        return []
    if Path(report["scene"]["path"]).suffix.lower() in readable_suffixes():
        return []  # a splat without photos: it is compared with its own renders, and so is as good as can be
    lacks = [
        text.format(vanilla[metric] - student[metric])
        for metric, (bearable, text) in _BEARABLE.items()
        if vanilla[metric] - student[metric] > bearable
    ]
    if not lacks or student["gaussians"] >= vanilla["gaussians"]:
        return []
    below = f"the student lacks {' and '.join(lacks)} that the vanilla teacher has"
    advice = "give it a larger --budget, or let --within 0.2dB find the smallest that is good enough"
    cap = report["recipe"]["teachers"]["optimise"]["densify"]["cap"]
    trained = vanilla["seconds"] > 0  # and not given
    if trained and _AT_CAP * cap < vanilla["gaussians"] <= cap:
        advice += f"; vanilla stopped growing at teachers.optimise.densify.cap = {cap:,}"
    return [f"{below}: {advice}"]


def _vanilla(report: Mapping[str, Any]) -> Mapping[str, Any]:
    return next(iter(report["models"].values()))
