"""Teachers' weights that were changed while a run went on, in its metrics.jsonl."""

from collections.abc import Iterable
from typing import Any

WEIGHTS = "weights"


def last_weights(lines: Iterable[dict[str, Any]]) -> dict[str, float] | None:
    """The newest weights among lines of metrics; None: they were never changed."""
    newest = None
    for line in lines:
        if line.get("event") == WEIGHTS:
            newest = line[WEIGHTS]
    return newest
