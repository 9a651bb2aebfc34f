"""What the comparison cell shows: which two models, and how."""

from app.compare import Mode
from app.state import PHOTO
from gaussians.distill.pipeline import STUDENT


class Comparison:
    """What the comparison cell shows."""

    def __init__(self) -> None:
        self.first, self.second = PHOTO, STUDENT
        self._chosen: set[str] = set()
        self.mode = Mode.DIVIDER
        self.share = 0.5
        self.flipped = False
        self.most = 0.25
        self.mean: float | None = None  # of the error that is shown

    def choose(self, which: str, model: str) -> None:
        """Compare this model, as "first" or as "second"; it stays chosen as long as there is one."""
        self._chosen.add(which)
        setattr(self, which, model)

    def settle(self, models: tuple[str, ...]) -> None:
        """Keep to models that there are: those chosen, else ground truth and the student."""
        if not models:
            return
        if "first" not in self._chosen or self.first not in models:
            self.first = models[0]
        if "second" not in self._chosen or self.second not in models:
            self.second = STUDENT if STUDENT in models else models[-1]
