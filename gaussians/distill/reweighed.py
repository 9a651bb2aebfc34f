"""Soft labels whose teachers' weights change while the student trains."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from gaussians.camera import Camera
from gaussians.distill.labels import MEAN, Blending, SoftLabels, label_shares, render_label
from gaussians.model import Gaussians


class ReweighedLabels:
    """The labels of all training views, with the weights as they are now.

    As long as the weights are those that the labels were rendered with, these are used and no teacher is
    read. Else each view's label is rendered when a step first needs it, from then on kept, and dropped when
    the weights change again: a change costs nothing until it is used, and the labels are at any step to the
    bit what rendering all of them anew with these weights gives.

    Args:
        labels: as rendered.
        weights: they were rendered with.
        cameras: that `labels` were rendered for.
        background: RGB in [0, 1].
        teacher: gives a teacher's Gaussians, on the device to render on.
        memory_mb: at most so many million bytes of new labels are kept; what is beyond is rendered each time.
        blending: of the renders, as for `labels`.
    """

    def __init__(
        self,
        labels: SoftLabels,
        weights: Mapping[str, float],
        cameras: Sequence[Camera],
        background: Sequence[float],
        teacher: Callable[[str], Gaussians],
        memory_mb: float,
        blending: Blending = MEAN,
    ) -> None:
        self._labels, self._rendered_with = labels, label_shares(weights)
        self._shares = self._rendered_with
        self._cameras, self._background = cameras, background
        self._teacher, self._memory = teacher, int(memory_mb * 1e6)
        self._blending = blending
        self._kept: dict[int, Tensor] = {}
        self._teachers: dict[str, Gaussians] = {}

    def weigh(self, weights: Mapping[str, float]) -> None:
        """Use these weights from now on. Raises RecipeError, as `label_shares` does."""
        shares = label_shares(weights)
        if shares == self._shares:
            return
        self._shares = shares
        self._kept.clear()
        if shares == self._rendered_with:
            self._teachers.clear()

    def image(self, view: int) -> Tensor:
        """[H, W, 3] uint8 on the CPU, the label of a training view by its index."""
        if self._shares == self._rendered_with:
            return self._labels.image(view)
        kept = self._kept.get(view)
        if kept is None:
            kept = self._render(view)
            if sum(tensor.numel() for tensor in self._kept.values()) + kept.numel() <= self._memory:
                self._kept[view] = kept
        return kept

    def _render(self, view: int) -> Tensor:
        for name in self._shares:
            if name not in self._teachers:
                self._teachers[name] = self._teacher(name)
        teachers = {name: self._teachers[name] for name in self._shares}
        pixels, _ = render_label(
            teachers,
            self._shares,
            self._cameras[view - self._labels.first],
            self._background,
            self._blending,
            view,
        )
        return torch.from_numpy(pixels)
