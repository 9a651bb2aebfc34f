"""What the worker tells the window: reports that wait to be drained, the newest of those that conflate."""

import threading

from gaussians.session.events import StepDone
from gaussians.session.messages.reports import HistoryGrew, Loading, MetricsLogged, Progressed, Report


class Outbox:
    """A queue of reports between two threads.

    Loading, the progress of steps and the list of snapshots conflate: only the newest is kept. Lines of
    metrics gather in one report. Everything else is kept, in order.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reports: list[Report] = []

    def put(self, report: Report) -> None:
        """Add a report."""
        with self._lock:
            kind = _conflates(report)
            if kind is not None and self._reports and _conflates(self._reports[-1]) == kind:
                self._reports[-1] = _merged(self._reports[-1], report)
            elif kind is not None:
                self._put_newest(report, kind)
            else:
                self._reports.append(report)

    def drain(self) -> list[Report]:
        """All reports since the last call, oldest first. Does not wait."""
        with self._lock:
            reports, self._reports = self._reports, []
            return reports

    def _put_newest(self, report: Report, kind: str) -> None:
        """Drop the older one of its kind, so that at most one of each waits however long nobody drains."""
        for index in range(len(self._reports) - 1, -1, -1):
            if _conflates(self._reports[index]) == kind:
                report = _merged(self._reports.pop(index), report)
                break
        self._reports.append(report)


def _conflates(report: Report) -> str | None:
    """The kind of which one is enough; None: each counts."""
    if isinstance(report, Loading):
        return "loading"
    if isinstance(report, HistoryGrew):
        return "history"
    if isinstance(report, MetricsLogged):
        return "metrics"
    return "step" if isinstance(report, Progressed) and isinstance(report.event, StepDone) else None


def _merged(older: Report, newer: Report) -> Report:
    if isinstance(older, MetricsLogged) and isinstance(newer, MetricsLogged):
        return MetricsLogged(older.lines + newer.lines)
    return newer
