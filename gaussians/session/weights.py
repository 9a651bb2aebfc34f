"""Teachers' weights that were changed while a run went on, in its metrics.jsonl."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gaussians.distill.pipeline import label_weights
from gaussians.session.directory import RunDirectory, RunPlan
from gaussians.session.metrics import MetricsLog

WEIGHTS = "weights"


def last_weights(lines: Iterable[dict[str, Any]]) -> dict[str, float] | None:
    """The newest weights among lines of metrics; None: they were never changed."""
    newest = None
    for line in lines:
        if line.get("event") == WEIGHTS:
            newest = line[WEIGHTS]
    return newest


def weights_of(path: Path, plan: RunPlan) -> dict[str, float]:
    """The weights that hold in a run: the newest, or those of its recipe."""
    changed = last_weights(MetricsLog(RunDirectory(path).metrics).lines())
    return changed or label_weights(plan.recipe, plan.teacher_names)
