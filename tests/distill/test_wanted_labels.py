"""Labels are rendered of what the student looks at; where that is nothing, of training views."""

from pathlib import Path

import pytest
import torch

from gaussians.camera import Camera
from gaussians.distill.labels import SoftLabels, render_label, render_labels
from gaussians.distill.optimisations import student_optimisation
from gaussians.distill.pipeline import first_label, label_cameras, label_count
from gaussians.distill.poses import unseen_poses
from gaussians.distill.recipe import Recipe
from gaussians.distill.reweighed import ReweighedLabels
from gaussians.distill.variant_changes import having
from tests.session import tiny

SCENE = tiny.scene()
VIEWS = [view.camera for view in SCENE.train]
TEACHERS = {"vanilla": tiny.true_gaussians(100), "dropout": tiny.true_gaussians(40)}
EQUAL = {"vanilla": 1.0, "dropout": 1.0}
AT_POSES = having(
    student__label_weight=0.0, student__poses__share=0.5, student__poses__count=5, student__poses__stop=1000,
    student__budget="12%",
)(tiny.recipe())  # fmt: skip


def labels(cameras: list[Camera], folder: Path, memory_mb: float, first: int) -> SoftLabels:
    run = render_labels(TEACHERS, EQUAL, cameras, SCENE.background, folder, memory_mb, first=first)
    while True:
        try:
            next(run)
        except StopIteration as end:
            return end.value


@pytest.mark.parametrize(
    ("recipe", "first", "count"),
    [
        (AT_POSES, len(VIEWS), 5),
        (having(student__label_weight=0.1)(AT_POSES), 0, len(VIEWS) + 5),
        (having(student__label_weight=0.1, student__poses__share=0.0)(AT_POSES), 0, len(VIEWS)),
        (having(student__poses__share=0.0)(AT_POSES), 0, len(VIEWS)),
    ],
    ids=["poses", "views and poses", "views", "neither: views, to compare teachers at"],
)
def test_which_they_are(recipe: Recipe, first: int, count: int):
    everything = VIEWS + unseen_poses(VIEWS, recipe.student.poses, recipe.seed)
    cameras = label_cameras(SCENE, recipe)
    assert first_label(recipe, len(VIEWS)) == first
    assert len(cameras) == label_count(recipe, len(VIEWS)) == count
    assert [camera.viewmat.tobytes() for camera in cameras] == [
        camera.viewmat.tobytes() for camera in everything[first : first + count]
    ]


@pytest.mark.parametrize("memory_mb", [100, 0])
def test_a_student_is_the_same_with_those_it_looks_at_as_with_all(tmp_path: Path, memory_mb: float):
    everything = VIEWS + unseen_poses(VIEWS, AT_POSES.student.poses, AT_POSES.seed)
    wanted = labels(label_cameras(SCENE, AT_POSES), tmp_path, memory_mb, len(VIEWS))
    students = []
    for known in (wanted, labels(everything, tmp_path, 100, 0)):
        training = student_optimisation(SCENE, AT_POSES, TEACHERS, known, torch.device("cpu"))
        looked_at = [stats.view for stats in training.steps()]
        assert any(view >= len(VIEWS) for view in looked_at)
        students.append(training.gaussians())
    assert torch.equal(students[0].means, students[1].means)
    assert torch.equal(students[0].sh0, students[1].sh0)


def test_weighed_otherwise_they_are_those_of_the_new_weights(tmp_path: Path):
    cameras, first = label_cameras(SCENE, AT_POSES), len(VIEWS)
    known = labels(cameras, tmp_path, 100, first)
    changed = ReweighedLabels(known, EQUAL, cameras, SCENE.background, TEACHERS.__getitem__, 100)
    assert torch.equal(changed.image(first + 3), known.image(first + 3))
    changed.weigh({"vanilla": 0.0, "dropout": 1.0})
    alone = {"dropout": TEACHERS["dropout"]}
    pixels, _ = render_label(alone, {"dropout": 1.0}, cameras[3], SCENE.background)
    assert torch.equal(changed.image(first + 3), torch.from_numpy(pixels))


def test_no_other_is_given(tmp_path: Path):
    known = labels(label_cameras(SCENE, AT_POSES), tmp_path, 100, len(VIEWS))
    with pytest.raises(AssertionError, match="no label was wanted"):
        known.image(0)
