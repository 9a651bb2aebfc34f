"""The stage between teachers and student, in which the labels are rendered."""

import time
from collections.abc import Generator, Mapping
from pathlib import Path

from gaussians.distill.labels import SoftLabels, render_labels
from gaussians.distill.pipeline import Stage
from gaussians.model import Gaussians
from gaussians.scene import Scene
from gaussians.session.clock import StageClock
from gaussians.session.events import StepDone


def labels_of(
    stage: Stage,
    teachers: Mapping[str, Gaussians],
    weights: Mapping[str, float],
    scene: Scene,
    folder: Path,
    memory_mb: float,
    clock: StageClock,
) -> Generator[StepDone, None, SoftLabels]:
    """Render the label of every training view, telling of each. Raises as `render_labels` does."""
    cameras = [view.camera for view in scene.train]
    rendering = render_labels(teachers, weights, cameras, scene.background, folder, memory_mb)
    count = sum(len(teacher) for teacher in teachers.values())
    while True:
        began = time.perf_counter()
        try:
            done = next(rendering)
        except StopIteration as end:
            return end.value
        clock.step(time.perf_counter() - began, look_at_memory=True)
        yield StepDone(stage, done, count)
