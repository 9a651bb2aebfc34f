"""Labels follow the teachers' weights, to the bit as if they had been rendered with them."""

from collections.abc import Generator
from pathlib import Path

import pytest
import torch

from gaussians.distill.labels import SoftLabels, render_labels
from gaussians.distill.reweighed import ReweighedLabels
from gaussians.errors import RecipeError
from gaussians.model import Gaussians
from tests.session import tiny

CAMERAS = tiny.cameras(3)
EQUAL = {"a": 1.0, "b": 1.0}


def teachers() -> dict[str, Gaussians]:
    one = tiny.true_gaussians()
    return {"a": one, "b": one.map(lambda tensor: tensor * 0.9)}


def whole(rendering: Generator[int, None, SoftLabels]) -> SoftLabels:
    while True:
        try:
            next(rendering)
        except StopIteration as end:
            return end.value


def rendered(weights: dict[str, float], folder: Path) -> SoftLabels:
    return whole(render_labels(teachers(), weights, CAMERAS, tiny.BACKGROUND, folder, 100))


def reweighed(folder: Path, memory_mb: float = 100) -> tuple[ReweighedLabels, list[str]]:
    """Labels of equal weights, and the names of the teachers that were read since."""
    read: list[str] = []

    def teacher(name: str) -> Gaussians:
        read.append(name)
        return teachers()[name]

    labels = rendered(EQUAL, folder)
    return ReweighedLabels(labels, EQUAL, CAMERAS, tiny.BACKGROUND, teacher, memory_mb), read


@pytest.mark.parametrize("memory_mb", [100, 0.006, 0])
@pytest.mark.parametrize("weights", [{"a": 3.0, "b": 1.0}, {"a": 0.0, "b": 2.0}, {"a": 2.0, "b": 2.0}])
def test_labels_are_those_of_the_new_weights(weights: dict[str, float], memory_mb: float, tmp_path: Path):
    labels, _ = reweighed(tmp_path, memory_mb)
    labels.weigh(weights)
    anew = rendered(weights, tmp_path)
    for _ in range(2):
        for view in range(3):
            assert torch.equal(labels.image(view), anew.image(view))


def test_unchanged_weights_read_no_teacher(tmp_path: Path):
    labels, read = reweighed(tmp_path)
    labels.weigh({"a": 5.0, "b": 5.0})
    assert torch.equal(labels.image(1), rendered(EQUAL, tmp_path).image(1))
    assert read == []


def test_only_teachers_with_weight_are_read_and_only_once(tmp_path: Path):
    labels, read = reweighed(tmp_path)
    labels.weigh({"a": 1.0, "b": 0.0})
    assert read == []
    labels.image(0)
    labels.image(1)
    assert read == ["a"]


def test_weights_set_back_give_the_first_labels(tmp_path: Path):
    labels, _ = reweighed(tmp_path)
    first = labels.image(2)
    labels.weigh({"a": 1.0, "b": 9.0})
    assert not torch.equal(labels.image(2), first)
    labels.weigh(EQUAL)
    assert torch.equal(labels.image(2), first)


def test_kept_labels_stay_within_the_memory(tmp_path: Path):
    size = 3 * tiny.WIDTH * tiny.HEIGHT
    labels, _ = reweighed(tmp_path, memory_mb=2 * size / 1e6)
    labels.weigh({"a": 1.0, "b": 2.0})
    for view in (0, 1, 2, 0, 1, 2):
        labels.image(view)
    assert sum(tensor.numel() for tensor in labels._kept.values()) == 2 * size


def test_no_teacher_left_is_refused_and_changes_nothing(tmp_path: Path):
    labels, _ = reweighed(tmp_path)
    first = labels.image(0)
    with pytest.raises(RecipeError, match="weight 0"):
        labels.weigh({"a": 0.0, "b": 0.0})
    assert torch.equal(labels.image(0), first)
