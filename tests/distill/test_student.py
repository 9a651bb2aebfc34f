import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from gaussians.distill.labels import SoftLabels, render_labels
from gaussians.distill.recipe import Simplify, Structure, Student
from gaussians.distill.simplify import StagedPrune
from gaussians.distill.structure import StructuralLoss
from gaussians.distill.student import StudentObjective
from gaussians.train.coarse import binned
from gaussians.train.losses import color_loss
from gaussians.train.objective import Rendered
from gaussians.train.optimisation import Optimisation
from gaussians.train.recipe import LearningRates, Optimise

from .scenes import BACKGROUND, EXTENT, lookout, orbit, photos, random_gaussians, render

TRUTH, TEACHER = random_gaussians(), random_gaussians(seed=5)
STUDENT = Student(
    photo_weight=0.7, label_weight=0.4, structure=Structure(weight=0.2, grid=16, every=5), optimise=Optimise()
)


def labels() -> SoftLabels:
    run = render_labels({"vanilla": TEACHER}, {"vanilla": 1.0}, orbit(), BACKGROUND, Path(), 100)
    while True:
        try:
            next(run)
        except StopIteration as end:
            return end.value


def rendered(seed: int = 9) -> Rendered:
    image = render(random_gaussians(seed=seed), orbit()[1]).requires_grad_()
    return Rendered(image, image[..., 0], torch.tensor(BACKGROUND), {})


def objective(student: Student) -> StudentObjective:
    structure = StructuralLoss(TEACHER.means, student.structure.grid)
    return StudentObjective(photos(TRUTH, orbit()), labels(), student, structure, "cpu")


def test_terms_and_gradient_are_those_of_the_separate_losses() -> None:
    frame = rendered()
    terms = objective(STUDENT)(frame, 1, 5, TEACHER)
    torch.stack(list(terms.values())).sum().backward()
    fused = frame.image.grad
    again = rendered()
    photo = torch.from_numpy(photos(TRUTH, orbit())[1].image)
    expected = {
        "photo": 0.7 * color_loss(again.image, photo).total,
        "label": 0.4 * color_loss(again.image, labels().label(1)).total,
    }
    torch.stack(list(expected.values())).sum().backward()
    assert list(terms) == ["photo", "label", "structure"]
    for name, value in expected.items():
        assert float(value.detach()) > 0.01
        torch.testing.assert_close(terms[name].detach(), value.detach(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(fused, again.image.grad, rtol=1e-4, atol=1e-8)


def test_structure_is_due_at_intervals_and_pulls_on_the_centres() -> None:
    ours = objective(STUDENT)
    student = random_gaussians(60, seed=7)
    student.means.requires_grad_()
    assert "structure" not in ours(rendered(), 1, 6, student)
    term = ours(rendered(), 1, 10, student)["structure"]
    expected = 0.2 * StructuralLoss(TEACHER.means, 16)(student.means)
    torch.testing.assert_close(term, expected)
    term.backward()
    assert student.means.grad is not None
    assert float(student.means.grad.abs().max()) > 0


def test_structure_can_count_by_opacity() -> None:
    structure = dataclasses.replace(STUDENT.structure, by_opacity=True)
    by_opacity = dataclasses.replace(STUDENT, structure=structure)
    student = random_gaussians(60, seed=7)
    student.logit_opacities.requires_grad_()
    objective(by_opacity)(rendered(), 1, 0, student)["structure"].backward()
    assert student.logit_opacities.grad is not None
    assert float(student.logit_opacities.grad.abs().max()) > 0


@pytest.mark.parametrize(
    ("photo", "label", "terms"),
    [(1.0, 0.0, ["photo"]), (0.0, 1.0, ["label"]), (1.0, 1.0, ["photo", "label"])],
)
def test_a_weight_of_zero_leaves_the_term_out(photo: float, label: float, terms: list[str]) -> None:
    student = dataclasses.replace(STUDENT, photo_weight=photo, label_weight=label)
    assert list(objective(student)(rendered(), 1, 1, TEACHER)) == terms


def test_masked_pixels_teach_nothing() -> None:
    mask = np.zeros((32, 40), dtype=bool)
    mask[:, :20] = True
    views = [dataclasses.replace(view, mask=mask) for view in photos(TRUTH, orbit())]
    frame = rendered()
    terms = StudentObjective(views, labels(), STUDENT, None, "cpu")(frame, 1, 1, TEACHER)
    torch.stack(list(terms.values())).sum().backward()
    assert frame.image.grad is not None
    assert float(frame.image.grad[:, 20:].abs().max()) == 0
    assert float(frame.image.grad[:, :20].abs().max()) > 0


def test_a_student_learns_what_only_the_teacher_shows() -> None:
    """Photos of another scene with weight 0: the student still comes to look like its teacher."""
    student = dataclasses.replace(STUDENT, photo_weight=0.0, label_weight=1.0)
    start = dataclasses.replace(TEACHER, sh0=torch.zeros_like(TEACHER.sh0))
    optimisation = Optimisation(
        start,
        photos(TRUTH, orbit()),
        Optimise(steps=60, sh_degree=0, rates=LearningRates(sh0=0.05)),
        extent=EXTENT,
        background=BACKGROUND,
        seed=0,
        stream="student",
        objective=objective(student),
        refinement=StagedPrune(Simplify(stages=2, start=0, stop=10), 100, lookout()),
    )
    wanted = render(TEACHER, orbit()[2])
    before = float((render(start, orbit()[2]) - wanted).abs().mean())
    for stats in optimisation.steps():
        assert stats.count <= 120
    after = float((render(optimisation.gaussians(), orbit()[2]) - wanted).abs().mean())
    assert len(optimisation) == 100
    assert after < 0.5 * before


def test_an_unseen_pose_has_its_label_only_with_the_weight_of_both() -> None:
    views, frame = photos(TRUTH, orbit())[:3], rendered()
    terms = StudentObjective(views, labels(), STUDENT, None, "cpu")(frame, 4, 1, TEACHER)
    assert list(terms) == ["label"]
    expected = 1.1 * color_loss(frame.image.detach(), labels().label(4)).total
    torch.testing.assert_close(terms["label"].detach(), expected)


def test_the_label_fades_to_its_final_weight() -> None:
    steps = dataclasses.replace(STUDENT.optimise, steps=101)
    ours = objective(dataclasses.replace(STUDENT, label_final=0.25, optimise=steps))
    values = [float(ours(rendered(), 1, step, TEACHER)["label"].detach()) for step in (1, 51, 101)]
    assert values[1] / values[0] == pytest.approx((1 - 0.75 * 0.51) / (1 - 0.75 * 0.01), rel=1e-4)
    assert values[2] / values[0] == pytest.approx(0.25 / (1 - 0.75 * 0.01), rel=1e-4)


def test_the_released_codes_label_counts_by_its_structure_alone() -> None:
    """0.7 L(photo) + 0.4 (0.8 L1(photo) + 0.2 D-SSIM(label))."""
    frame = rendered()
    terms = objective(dataclasses.replace(STUDENT, label_l1=False))(frame, 1, 1, TEACHER)
    photo = color_loss(frame.image.detach(), torch.from_numpy(photos(TRUTH, orbit())[1].image))
    label = color_loss(frame.image.detach(), labels().label(1))
    expected = 0.7 * photo.total + 0.4 * (0.8 * photo.l1 + 0.2 * label.dssim)
    torch.testing.assert_close(sum(terms.values()), expected, check_dtype=False)
    torch.testing.assert_close(terms["label"].detach(), 0.4 * 0.2 * label.dssim, rtol=1e-4, atol=1e-6)


def test_where_that_leaves_nothing_for_the_photo_the_label_alone_counts() -> None:
    """No weight on the photo, and no L1: 0.4 D-SSIM(label)."""
    by_structure = dataclasses.replace(STUDENT.optimise, ssim_weight=1.0)
    student = dataclasses.replace(STUDENT, photo_weight=0.0, label_l1=False, optimise=by_structure)
    frame = rendered()
    terms = objective(student)(frame, 1, 1, TEACHER)
    assert list(terms) == ["label"]
    label = color_loss(frame.image.detach(), labels().label(1))
    torch.testing.assert_close(terms["label"].detach(), 0.4 * label.dssim, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("view", [1, len(orbit())], ids=["a view", "an unseen pose"])
def test_a_coarse_step_compares_with_binned_photo_and_label(view: int) -> None:
    """Labels of one pose more than there are photos."""
    whole = rendered()
    coarse = Rendered(binned(whole.image.detach(), 2).requires_grad_(), whole.alpha[::2, ::2], None, {}, 2)
    known = labels()
    photo = torch.from_numpy(photos(TRUTH, orbit())[1].image)
    shown = [known.label(1)] if view == len(orbit()) else [photo, known.label(1)]
    weights = [1.1] if view == len(orbit()) else [0.7, 0.4]
    made = StudentObjective(photos(TRUTH, orbit()), _Repeated(known), STUDENT, None, "cpu")
    total = torch.stack(list(made(coarse, view, 1, TEACHER).values())).sum()
    expected = sum(
        weight * color_loss(coarse.image, binned(image, 2)).total
        for weight, image in zip(weights, shown, strict=True)
    )
    torch.testing.assert_close(total, expected, rtol=1e-5, atol=1e-6)


class _Repeated:
    """The labels of other labels' second view, everywhere."""

    def __init__(self, labels: SoftLabels) -> None:
        self._labels = labels
        self.disagreement = labels.disagreement

    def __len__(self) -> int:
        return len(orbit()) + 1

    def image(self, view: int) -> torch.Tensor:
        return self._labels.image(1)
