"""What the student learns from: photos, soft labels, and where the teacher's Gaussians are."""

from collections.abc import Sequence

import torch
from torch import Tensor

from gaussians.distill.labels import Labels
from gaussians.distill.recipe import Student
from gaussians.distill.structure import StructuralLoss
from gaussians.model import Gaussians
from gaussians.scene.types import View
from gaussians.train.losses import color_losses
from gaussians.train.objective import Objective, Rendered


class StudentObjective(Objective):
    """L = w_photo L_color(photo) + w_label L_color(label) + w_structure L_hist (Distilled-3DGS, eq. 9).

    Args:
        views: the training views; their masks hold for photo and label.
        labels: of the same views; not looked at when `student.label_weight` is 0.
        student: the weights.
        structure: the structural loss, evaluated every `student.structure.every` steps; None: none.
        device: where the photos are kept, as they are: 8 bits a channel.
    """

    def __init__(
        self,
        views: Sequence[View],
        labels: Labels | None,
        student: Student,
        structure: StructuralLoss | None,
        device: torch.device | str,
    ) -> None:
        self._photos = [torch.tensor(view.image, device=device) for view in views]
        self._masks = [
            None if view.mask is None else torch.tensor(view.mask, device=device) for view in views
        ]
        self._labels = labels if student.label_weight > 0 else None
        self._student = student
        self._structure = structure

    def __call__(
        self, rendered: Rendered, view_index: int, step: int, gaussians: Gaussians
    ) -> dict[str, Tensor]:
        """The weighted terms "photo", "label" and, where it is due, "structure"."""
        terms = self._color_terms(rendered.image, view_index)
        settings = self._student.structure
        if self._structure is not None and step % settings.every == 0:
            counted = gaussians.opacities if settings.by_opacity else None
            terms["structure"] = settings.weight * self._structure(gaussians.means, counted)
        return terms

    def _color_terms(self, image: Tensor, view: int) -> dict[str, Tensor]:
        """The colour losses against both targets, which share the statistics of the rendered image.

        Only their total has a gradient, so the last term is what the total has beyond the others' values:
        each term has its own value, and their sum the gradient of all.
        """
        targets, weights = {}, {}
        if self._student.photo_weight > 0:
            targets["photo"], weights["photo"] = self._photos[view], self._student.photo_weight
        if self._labels is not None:
            targets["label"] = self._labels.image(view).to(image.device, non_blocking=True)
            weights["label"] = self._student.label_weight
        mix = self._student.optimise.ssim_weight
        loss = color_losses(image, list(targets.values()), list(weights.values()), mix, self._masks[view])
        values = (1 - mix) * loss.l1 + mix * loss.dssim
        terms = {name: weights[name] * value.detach() for name, value in zip(targets, values, strict=True)}
        *others, last = terms
        terms[last] = loss.total - sum(terms[name] for name in others)
        return terms
