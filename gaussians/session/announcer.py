"""Tells the window what can be shown, and only what is news."""

from collections.abc import Callable

from gaussians.distill.labels import label_shares
from gaussians.session.gallery import Gallery
from gaussians.session.messages.reports import HistoryGrew, ModelsChanged, Report, TeachersWeighed


class Announcer:
    """Reports models, weights and history of a gallery.

    Args:
        tell: takes the reports.
    """

    def __init__(self, tell: Callable[[Report], None]) -> None:
        self._tell = tell
        self._history: tuple[int, ...] = ()

    def all(self, gallery: Gallery) -> None:
        """Another gallery is shown."""
        self._history = ()
        self.models(gallery)
        self.weights(gallery, 0)

    def models(self, gallery: Gallery) -> None:
        """Models came, went or changed."""
        self._tell(ModelsChanged(gallery.counts()))
        self.history(gallery)

    def weights(self, gallery: Gallery, step: int) -> None:
        """Teachers were weighed, so that it holds after this step."""
        if gallery.weights:
            weights = dict(gallery.weights)
            self._tell(TeachersWeighed(weights, step, label_shares(weights)))

    def history(self, gallery: Gallery) -> None:
        """The student may have a snapshot more."""
        if gallery.history is not None and gallery.history.steps != self._history:
            self._history = gallery.history.steps
            self._tell(HistoryGrew(self._history))
