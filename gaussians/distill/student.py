"""What the student learns from: photos, soft labels, and where the teacher's Gaussians are."""

from collections.abc import Sequence

import torch
from torch import Tensor

from gaussians.distill.labels import Labels
from gaussians.distill.recipe import Student
from gaussians.distill.structure import SeparableLoss, StructuralLoss
from gaussians.model import Gaussians
from gaussians.scene.types import View
from gaussians.train.coarse import binned, binned_mask
from gaussians.train.objective import ColorTargets, Objective, Rendered
from gaussians.train.photos import Photos
from gaussians.train.transfer import to_device


class StudentObjective(Objective):
    """L = w_photo L_color(photo) + w_label L_color(label) + w_structure L_hist (Distilled-3DGS, eq. 9).

    At poses beyond the training views there is no photo: the label takes its weight as well, so that a step
    there counts as one at a view.

    Args:
        views: the training views; their masks hold for photo and label.
        labels: of the same views, and of the unseen poses after them; not looked at when
            `student.label_weight` is 0 and no step is at an unseen pose.
        student: the weights.
        structure: the structural loss, evaluated every `student.structure.every` steps; None: none.
        device: where to train.
    """

    def __init__(
        self,
        views: Sequence[View],
        labels: Labels | None,
        student: Student,
        structure: StructuralLoss | SeparableLoss | None,
        device: torch.device | str,
    ) -> None:
        self._photos, self._device = Photos(views, device), torch.device(device)
        self._labels = labels if student.label_weight > 0 or student.poses.share > 0 else None
        self._student = student
        self._structure = structure

    def __call__(
        self, rendered: Rendered, view_index: int, step: int, gaussians: Gaussians
    ) -> dict[str, Tensor]:
        """The weighted terms "photo", "label" and, where it is due, "structure"."""
        targets = self._targets(view_index, step, rendered.binning, rendered.image.device)
        terms = targets.terms(targets.loss(rendered.image))
        settings = self._student.structure
        if self._structure is not None and step % settings.every == 0:
            counted = gaussians.opacities if settings.by_opacity else None
            terms["structure"] = settings.weight * self._structure(gaussians.means, counted)
        return terms

    def colors(
        self, view_index: int, step: int, binning: int, background: Tensor | None = None
    ) -> ColorTargets | None:
        """Photo and label, as far as they have a weight; None where the structural loss is due."""
        if self._structure is not None and step % self._student.structure.every == 0:
            return None
        return self._targets(view_index, step, binning, self._device)

    def _targets(self, view: int, step: int, binning: int, device: torch.device) -> ColorTargets:
        wanted = self._weights(view, step)
        images = tuple(binned(self._target(name, view, device), binning) for name in wanted)
        mask = binned_mask(self._photos.mask(view), binning) if view < len(self._photos) else None
        weights, mixes = zip(*wanted.values(), strict=True)
        return ColorTargets(tuple(wanted), images, weights, mixes, mask)

    def _weights(self, view: int, step: int) -> dict[str, tuple[float, float]]:
        """By target ("photo", "label") its weight and the share of D-SSIM in it; none of weight 0."""
        student, mix = self._student, self._student.optimise.ssim_weight
        progress = step / max(1, student.optimise.steps - 1)
        label = student.label_weight * (1 + (student.label_final - 1) * min(1.0, progress))
        if self._labels is None:
            label = 0.0
        photo = student.photo_weight
        if view >= len(self._photos):
            return {"label": (photo + label, mix)}
        if not student.label_l1 and label > 0:
            # L1 against the photo alone, with the weight of both; D-SSIM against each.
            by_l1, by_ssim = (1 - mix) * (photo + label), mix * photo
            both = by_l1 + by_ssim
            weights = {"photo": (both, by_ssim / both if both > 0 else mix), "label": (mix * label, 1.0)}
        else:
            weights = {"photo": (photo, mix), "label": (label, mix)}
        kept = {name: value for name, value in weights.items() if value[0] > 0}
        return kept or {"photo": (0.0, mix)}

    def _target(self, name: str, view: int, device: torch.device) -> Tensor:
        if name == "photo":
            return self._photos.image(view)
        assert self._labels is not None, "a label has weight only where there are labels"
        return to_device(self._labels.image(view), device)
