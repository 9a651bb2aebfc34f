"""The stage between teachers and student, in which the labels are rendered."""

import time
from collections.abc import Callable, Generator, Mapping
from pathlib import Path

from gaussians.distill.labels import SoftLabels, render_labels
from gaussians.distill.pipeline import Stage, blending, first_label, label_cameras
from gaussians.distill.recipe import Recipe
from gaussians.distill.reweighed import ReweighedLabels
from gaussians.model import Gaussians
from gaussians.scene import Scene
from gaussians.session.clock import StageClock
from gaussians.session.events import StepDone


def labels_of(
    stage: Stage,
    teachers: Mapping[str, Gaussians],
    weights: Mapping[str, float],
    scene: Scene,
    recipe: Recipe,
    folder: Path,
    clock: StageClock,
) -> Generator[StepDone, None, SoftLabels]:
    """Render the labels that the recipe wants. Raises as `render_labels` does."""
    rendering = render_labels(
        teachers,
        weights,
        label_cameras(scene, recipe),
        scene.background,
        folder,
        recipe.labels.memory_mb,
        blending(scene, recipe),
        first_label(recipe, len(scene.train)),
    )
    count = sum(len(teacher) for teacher in teachers.values())
    while True:
        began = time.perf_counter()
        try:
            done = next(rendering)
        except StopIteration as end:
            return end.value
        clock.step(time.perf_counter() - began, look_at_memory=True)
        yield StepDone(stage, done, count)


def reweighable(
    labels: SoftLabels,
    weights: Mapping[str, float],
    scene: Scene,
    recipe: Recipe,
    teacher: Callable[[str], Gaussians],
) -> ReweighedLabels:
    """The labels that `labels_of` made with these weights, ready for others; `teacher` reads one by name."""
    cameras, memory = label_cameras(scene, recipe), recipe.labels.memory_mb
    return ReweighedLabels(
        labels, weights, cameras, scene.background, teacher, memory, blending(scene, recipe)
    )
