"""What a run will need is predicted, and made to fit: labels on disk, a lower cap, smaller photos."""

import dataclasses
from pathlib import Path

import pytest
import torch

from gaussians.distill.presets import recipe as preset
from gaussians.distill.variant_changes import having
from gaussians.scene import SceneOptions
from gaussians.session import memory_plan
from gaussians.session.directory import RunPlan
from gaussians.session.memory_plan import Size, as_fitted, fitted, plan_memory, predicted, smaller
from tests.session import tiny

FAST = preset("fast")
LARGE = Size(views=200, pixels=2e6, largest=2_000_000, side=1920, points=50_000)
SCENE = tiny.scene()
CPU = torch.device("cpu")


def free(monkeypatch: pytest.MonkeyPatch, size: float | None) -> None:
    monkeypatch.setattr(memory_plan, "available_memory", lambda device: None if size is None else int(size))


def test_more_of_anything_needs_more():
    recipe = having(student__label_weight=0.5, labels__memory_mb=100_000)(FAST)
    base = predicted(recipe, LARGE, 180, {})
    for changed in (
        predicted(having(teachers__optimise__densify__cap=600_000)(recipe), LARGE, 180, {}),
        predicted(recipe, dataclasses.replace(LARGE, views=400), 360, {}),
        predicted(recipe, dataclasses.replace(LARGE, pixels=4e6, largest=4_000_000), 180, {}),
    ):
        assert changed["teachers"] > base["teachers"]
        assert changed["labels"] > base["labels"]


def test_views_without_labels_need_no_room_for_them():
    more = dataclasses.replace(LARGE, views=400)
    labelled = having(student__label_weight=0.5, labels__memory_mb=100_000)(FAST)
    at_poses = having(labels__memory_mb=100_000)(FAST)
    need = [predicted(recipe, more, 360, {})["labels"] for recipe in (labelled, at_poses)]
    assert need[0] - need[1] == 3 * LARGE.pixels * 360


def test_the_prediction_holds_what_runs_took():
    """Peaks of the ablation at quarter size (docs/measurements/ablation_quarter.csv) are below it."""
    bonsai = Size(views=292, pixels=200 * 133, largest=200 * 133, side=200, points=60_000)
    then = having(teachers__optimise__densify__cap=149_885, student__start="vanilla")(FAST)
    need = predicted(then, bonsai, 256, {})
    assert 965e6 < need["teachers"] < 1.5 * 965e6
    assert 809e6 < need["student"] < 1.5 * 809e6


def test_a_student_from_a_compact_teacher_needs_less_than_one_from_vanilla():
    from_vanilla = having(student__start="vanilla")(FAST)
    assert predicted(FAST, LARGE, 180, {})["student"] < predicted(from_vanilla, LARGE, 180, {})["student"]


def test_given_teachers_are_not_trained():
    need = predicted(FAST, LARGE, 180, {"mine": 2_000_000})
    assert need["teachers"] < need["student"]


def test_what_fits_or_is_not_known_is_left_alone(monkeypatch: pytest.MonkeyPatch):
    for size in (64e9, None):
        free(monkeypatch, size)
        plan = plan_memory(SCENE, FAST, CPU)
        assert (plan.recipe, plan.halvings, plan.notes) == (FAST, 0, ())


def test_labels_go_to_disk_first(monkeypatch: pytest.MonkeyPatch):
    scene = _large()
    many = having(student__poses__count=2000, labels__memory_mb=100_000)(FAST)
    need = predicted(many, Size.of(scene), len(scene.train), {})
    on_disk = predicted(having(labels__memory_mb=0)(many), Size.of(scene), len(scene.train), {})
    free(monkeypatch, (max(on_disk.values()) + max(need.values())) / 2)
    plan = plan_memory(scene, many, CPU)
    assert plan.recipe == having(labels__memory_mb=0)(many)
    assert plan.notes[-1] == "labels are kept on disk"
    assert plan.notes[0].startswith("would need up to ")


def test_then_the_cap_falls_and_then_the_photos(monkeypatch: pytest.MonkeyPatch):
    scene = _large()
    free(monkeypatch, 0.8e9)
    plan = plan_memory(scene, FAST, CPU)
    cap = plan.recipe.teachers.optimise.densify.cap
    assert 75_000 <= cap < 300_000
    assert plan.halvings == 0
    assert plan.peak < 0.9 * 0.8e9 + 0.6e9
    assert f"teachers grow to {cap:,} Gaussians at most, not 300,000" in plan.notes
    free(monkeypatch, 0.15e9)
    less = plan_memory(scene, FAST, CPU)
    assert less.halvings > 0
    kept = plan_memory(scene, FAST, CPU, may_halve=False)
    assert kept.halvings == 0
    assert kept.recipe.teachers.optimise.densify.cap == 75_000


def test_what_cannot_fit_is_made_small_and_said(monkeypatch: pytest.MonkeyPatch):
    free(monkeypatch, 1e6)
    plan = plan_memory(SCENE, FAST, CPU)
    assert "even so it may need" in plan.notes[-1]


def test_a_scene_is_read_anew_where_it_has_to_be_smaller(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    folder = tiny.write(tmp_path / "scene")
    monkeypatch.setattr(memory_plan, "_LEAST_SIDE", 8)
    free(monkeypatch, 0)
    planned = RunPlan(folder, SceneOptions(), tiny.recipe(), "cpu")
    scene = memory_plan.load_views(folder, SceneOptions())
    plan, less, notes = fitted(planned, scene, CPU)
    before, after = scene.train[0].camera, less.train[0].camera
    assert plan.options.resolution is not None
    assert float(plan.options.resolution) == 1 / 2**plan.halvings < 1
    assert after.width == pytest.approx(before.width * float(plan.options.resolution), abs=1)
    assert any(f"1/{round(1 / float(plan.options.resolution))} of that size" in note for note in notes)


@pytest.mark.parametrize(
    ("asked", "halvings", "result"), [(None, 1, "0.5"), ("1/2", 2, "0.125"), ("800", 1, "400"), ("1", 0, "1")]
)
def test_half_the_size_of_what_was_asked(asked: str | None, halvings: int, result: str):
    assert smaller(asked, halvings) == result


def test_a_run_that_was_made_to_fit_is_resumed_by_the_recipe_that_was_asked_for():
    fitting = having(labels__memory_mb=0, teachers__optimise__densify__cap=100_000)(FAST)
    assert as_fitted(fitting, FAST) == FAST
    other = having(seed=7)(fitting)
    assert as_fitted(other, FAST) != FAST
    larger = having(teachers__optimise__densify__cap=900_000)(FAST)
    assert as_fitted(larger, FAST) == larger


def _large():
    """The tiny scene, said to be of photos of 1024x768."""
    views = [dataclasses.replace(view, camera=view.camera.resized(1024, 768)) for view in SCENE.train]
    return dataclasses.replace(SCENE, train=tuple(views), test=())
