"""What the comparison cell shows: which two models, and how."""

import numpy as np

from app.compare import Mode, composed, flip_colors, mean_difference
from app.state import PHOTO
from gaussians.distill.pipeline import STUDENT
from gaussians.session.flip_process import FlipMap
from gaussians.session.messages.frame import Frame


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

    @property
    def is_error(self) -> bool:
        """Whether an error of the second image to the first is shown."""
        return self.mode in (Mode.ERROR, Mode.FLIP_MAP)

    def choose(self, which: str, model: str) -> None:
        """Compare this model, as "first" or as "second"; it stays chosen as long as there is one."""
        self._chosen.add(which)
        setattr(self, which, model)

    def models(self, first: Frame | None, second: Frame | None) -> tuple[str, str]:
        """What is compared in these images, such as the student as it was; without one, what will be."""
        one, other = (
            frame.model if frame is not None and is_of(frame.model, chosen) else chosen
            for frame, chosen in ((first, self.first), (second, self.second))
        )
        return one, other

    def image(self, first: np.ndarray, second: np.ndarray, flip: FlipMap | None) -> np.ndarray:
        """Two images [H, W, 3] uint8 compared as chosen; notes the mean of the error that is shown.

        Args:
            first, second: of the two models.
            flip: their FLIP map; without, its place is taken by the second image.
        """
        self.mean = None
        if self.mode is Mode.FLIP_MAP:
            self.mean = None if flip is None else flip.mean
            return second if flip is None else flip_colors(flip.error)
        if self.mode is Mode.ERROR:
            self.mean = mean_difference(first, second)
        return composed(self.mode, first, second, self.share, self.flipped, self.most)

    def settle(self, models: tuple[str, ...]) -> None:
        """Keep to models that there are: those chosen, else ground truth and the student."""
        if not models:
            return
        if "first" not in self._chosen or self.first not in models:
            self.first = models[0]
        if "second" not in self._chosen or self.second not in models:
            self.second = STUDENT if STUDENT in models else models[-1]


def is_of(model: str, name: str) -> bool:
    """Whether a frame's model is the one wanted; the student's past stands for the student."""
    return model == name or (name == STUDENT and model.startswith("history:"))
