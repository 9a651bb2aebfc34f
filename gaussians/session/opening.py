"""Opening a scene, a run or a splat file: everything read, and described for the window."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gaussians.camera import Camera
from gaussians.distill.pipeline import ENSEMBLE, LABELS, STUDENT, TRUNK, Stage, label_weights, plan
from gaussians.distill.recipe import Recipe
from gaussians.distill.splat_views import known_cameras, splat_background
from gaussians.errors import DistilleryError, RunError, SceneError, SplatError
from gaussians.io import read_splat
from gaussians.model import Gaussians
from gaussians.scene import Progress, Scene, SceneOptions, View, load_scene
from gaussians.scene.load import background_color
from gaussians.scene.pixels import resampled
from gaussians.session.checkpoints import Checkpoints
from gaussians.session.directory import RunDirectory, RunPlan
from gaussians.session.gallery import DISAGREEMENT, PHOTO, Gallery
from gaussians.session.ground import Ground
from gaussians.session.history import History
from gaussians.session.messages.reports import SceneOpened
from gaussians.session.metrics import MetricsLog
from gaussians.session.scenes import load_views
from gaussians.session.weights import WEIGHTS, last_weights
from gaussians.train.parameters import FIELDS

THUMBNAIL_WIDTH = 112  # px
_TAKEN = frozenset({PHOTO, DISAGREEMENT, ENSEMBLE, "compare"})  # names that mean something else
_SPLAT_UP = np.array([0.0, -1.0, 0.0])  # the field's files keep COLMAP's axes, where y points down


@dataclass(frozen=True)
class Opened:
    """What is open.

    Attributes:
        ground: to train on; None: a splat file, or a run whose scene cannot be read any more.
        gallery: of the models that are there.
        message: describes it to the window.
        problem: why the scene of a run could not be read.
        is_finished: whether it is a run whose student is finished.
    """

    ground: Ground | None
    gallery: Gallery
    message: SceneOpened
    problem: DistilleryError | None = None
    is_finished: bool = False

    def trainable(self) -> Ground:
        """The ground. Raises RunError, saying why there is none."""
        if self.ground is not None:
            return self.ground
        why = "a splat file has no photos to train on; open a folder of photos"
        raise RunError(str(self.problem) if self.problem is not None else why)

    @property
    def run_path(self) -> Path | None:
        """The directory of the run that is open."""
        return None if self.message.run is None else self.message.run[0]

    def training_in(self, path: Path, recipe: Recipe, gallery: Gallery) -> "Opened":
        """The same with a run begun, or gone on with, in this directory."""
        return replace(self, gallery=gallery, message=replace(self.message, run=(path, recipe)))


def open_scene(path: Path, options: SceneOptions, device: torch.device, progress: Progress) -> Opened:
    """Load a scene folder. Raises DistilleryError, or what `progress` raises."""
    scene = load_scene(path, options, progress)
    gallery = Gallery(device, (), {}, scene)
    message = _described(scene, gallery, progress)
    return Opened(Ground(scene, path.resolve(), options), gallery, message)


def open_run(path: Path, device: torch.device, progress: Progress) -> Opened:
    """Open a run directory, finished or not: models are read when they are first looked at.

    Raises:
        DistilleryError: there is no run, or neither its scene nor any model can be read.
    """
    directory = RunDirectory(path)
    planned = directory.load()
    options = planned.options
    if options.cache is not None and not options.cache.is_dir():
        options = replace(options, cache=None)  # the studio finds cameras before it knows the run's folder
    scene, problem = None, None
    try:
        scene = load_views(planned.scene, options, progress, device)
    except (SceneError, SplatError) as error:
        problem = error
    metrics = tuple(MetricsLog(directory.metrics).lines())
    weights = last_weights(metrics) or label_weights(planned.recipe, planned.teacher_names)
    steps = planned.recipe.student.optimise.steps
    history = History(directory.path / "history", steps)
    splat = directory.splat(STUDENT)
    gallery = Gallery(
        device, planned.teacher_names, weights, scene, history=history, background=_background(splat)
    )
    gallery.combine = planned.recipe.labels.combine
    measured = _keep_models(gallery, directory, planned, len(scene.train) if scene is not None else 1)
    if scene is None and not gallery.counts():
        assert problem is not None
        raise problem
    run = (directory.path, planned.recipe)
    if scene is None:
        message = _described_models(path, splat, gallery, gallery.counts(), run)
    else:
        message = replace(_described(scene, gallery, progress), run=run, given=tuple(planned.teachers))
    finished = Checkpoints(directory.checkpoints).finished(STUDENT) is not None
    ground = None if scene is None else Ground(scene, planned.scene, planned.options)
    return Opened(ground, gallery, replace(message, metrics=metrics, measured=measured), problem, finished)


def open_splat(path: Path, device: torch.device, progress: Progress) -> Opened:
    """Read a splat file. Raises SplatError."""
    progress(f"reading {path.name}", 0, 1)
    gaussians = read_splat(path)
    name = path.name if path.stem in _TAKEN else path.stem
    gallery = Gallery(device, (name,), {name: 1.0}, background=_background(path))
    gallery.keep(name, len(gaussians), lambda: gaussians)
    return Opened(None, gallery, _described_models(path, path, gallery, (name,), None))


def keep_finished(gallery: Gallery, directory: RunDirectory, stage: Stage, facts: Mapping[str, Any]) -> None:
    """Show the model that a finished stage has made, from now on.

    The trunk has written none: until the next teacher goes on from it, it is read from its checkpoint.
    """
    path, checkpoints = directory.splat(stage.model), Checkpoints(directory.checkpoints)
    if stage.name == TRUNK and not path.is_file():
        keep_checkpoint(gallery, checkpoints, stage)
    elif stage.name not in (TRUNK, LABELS):
        gallery.keep(stage.model, facts["gaussians"], lambda: read_splat(path))


def keep_checkpoint(gallery: Gallery, checkpoints: Checkpoints, stage: Stage) -> None:
    """Show the model of a stage as its checkpoint has it, if there is one. Raises RunError."""
    checkpoint = checkpoints.load(stage.name)
    if checkpoint is not None:
        saved = checkpoint[0]
        # As it was shown while it trained: the running mean of the weights, where there was one.
        kind = "average" if "average.means" in saved else "params"
        # Copies: where files are mapped into memory, some systems let no one replace one that is in use.
        gaussians = Gaussians(**{field: saved[f"{kind}.{name}"].clone() for name, field in FIELDS.items()})
        gallery.keep(stage.model, len(gaussians), lambda: gaussians)


def _keep_models(gallery: Gallery, directory: RunDirectory, planned: RunPlan, views: int) -> dict[str, float]:
    """Finished models from their files, and one that isn't from its checkpoint.

    Returns:
        Held-out PSNR of those that are finished, dB.
    """
    checkpoints = Checkpoints(directory.checkpoints)
    measured = {}
    ensemble = checkpoints.finished(ENSEMBLE)
    measured_by = None if ensemble is None else ensemble.get(WEIGHTS, gallery.weights)
    if ensemble is not None and ensemble.get("psnr") is not None and measured_by == gallery.weights:
        measured[ENSEMBLE] = ensemble["psnr"]
    for stage in plan(planned.recipe, views, tuple(planned.teachers)):
        facts = checkpoints.finished(stage.name)
        if facts is not None:
            keep_finished(gallery, directory, stage, facts)
            if facts.get("psnr") is not None:
                measured[stage.model] = facts["psnr"]
        else:
            keep_checkpoint(gallery, checkpoints, stage)
    return measured


def _described(scene: Scene, gallery: Gallery, progress: Progress) -> SceneOpened:
    views = sorted((*scene.train, *scene.test), key=lambda view: view.name)
    thumbnails = {}
    for done, view in enumerate(views):
        progress("making thumbnails", done, len(views))
        thumbnails[view.name] = _thumbnail(view)
    cameras = [view.camera for view in views]
    centre = _centre(cameras, scene.points.xyz)
    distances = [float(np.linalg.norm(camera.centre - centre)) for camera in cameras]
    return SceneOpened(
        name=scene.name,
        path=scene.path,
        cameras={view.name: view.camera for view in views},
        test=tuple(view.name for view in scene.test),
        thumbnails=thumbnails,
        up=_up(cameras),
        centre=centre,
        extent=max(1e-6, float(np.median(distances))),
        models=tuple(gallery.counts()),
        notes=scene.notes,
    )


def _described_models(
    path: Path,
    splat: Path,
    gallery: Gallery,
    names: Sequence[str] | dict[str, int],
    run: tuple[Path, Recipe] | None,
) -> SceneOpened:
    """Without a scene: looked at from where the splat was trained from, should that be known.

    Else from where the field's cameras would be, about the densest part.
    """
    means = gallery.gaussians(next(name for name in names if name in gallery.counts())).means.cpu().numpy()
    cameras, notes = [], ()
    try:
        cameras = known_cameras(splat)
    except SplatError as error:  # no reason not to show it
        notes = (str(error),)
    if cameras:
        up, centre = _up(cameras), _centre(cameras, means)
        extent = float(np.median([np.linalg.norm(camera.centre - centre) for camera in cameras]))
    else:
        up, centre = _SPLAT_UP, np.median(means, axis=0).astype(np.float64)
        extent = 2.5 * float(np.median(np.linalg.norm(means - centre, axis=1)))
    return SceneOpened(
        name=path.stem,
        path=path,
        cameras={},
        test=(),
        thumbnails={},
        up=up,
        centre=centre,
        extent=max(1e-6, extent),
        models=tuple(gallery.counts()),
        run=run,
        notes=notes,
        home=cameras[0] if cameras else None,
    )


def _background(splat: Path) -> tuple[float, float, float]:
    """What a splat was trained on; black where that is not known."""
    return background_color(splat_background(splat) or "black")


def _thumbnail(view: View) -> np.ndarray:
    height, width = view.image.shape[:2]
    wanted = min(width, THUMBNAIL_WIDTH)
    return resampled(view.image, wanted, max(1, round(height * wanted / width)))


def _up(cameras: Sequence[Camera]) -> np.ndarray:
    """[3] the mean of the cameras' up; the first one's where they cancel out."""
    total = np.mean([camera.up for camera in cameras], axis=0)
    length = np.linalg.norm(total)
    return total / length if length > 0.1 else np.asarray(cameras[0].up)


def _centre(cameras: Sequence[Camera], points: np.ndarray) -> np.ndarray:
    """[3] the point nearest to all lines of sight (least squares); where it is behind, the points' median."""
    matrix, right = np.zeros((3, 3)), np.zeros(3)
    for camera in cameras:
        across = np.eye(3) - np.outer(camera.forward, camera.forward)
        matrix += across
        right += across @ camera.centre
    fallback = np.median(points, axis=0).astype(np.float64)
    if len(cameras) < 2 or np.linalg.cond(matrix) > 1e6:
        return fallback
    nearest = np.linalg.solve(matrix, right)
    in_front = [float(camera.forward @ (nearest - camera.centre)) > 0 for camera in cameras]
    return nearest if np.mean(in_front) > 0.5 else fallback
