"""Which scene a command is about: a run's own, wherever it lies now, unless flags say otherwise."""

import dataclasses
from pathlib import Path

import torch

from gaussians.cli.console import Console
from gaussians.cli.flags import SceneFlags, absolute
from gaussians.errors import RunError, SceneError
from gaussians.scene import Scene, SceneOptions
from gaussians.session.directory import RunPlan
from gaussians.session.models import Models
from gaussians.session.scenes import load_views

OWN_SCENE = "(default: the run's own)"


def scene_source(models: Models, scene: Path | None, flags: SceneFlags) -> tuple[Path, SceneOptions]:
    """Which folder to load, and how.

    Raises:
        SceneError: models of a splat file, and no scene given.
    """
    if models.plan is None:
        if scene is None:
            raise SceneError(f"{models.path}: is seen in which scene? Give its folder by --scene")
        return absolute(scene), flags.apply(SceneOptions())
    folder = models.plan.scene if scene is None else absolute(scene)
    if scene is None and not folder.exists():
        raise SceneError(f"{models.path}: its scene is gone from {folder}; give its new place by --scene")
    options = flags.apply(models.plan.options)
    if folder != models.plan.scene:
        options = dataclasses.replace(options, cache=None)  # the run's folder is for its own scene's cameras
    return folder, options


def resumed_scene(out: Path, scene: Path | None, plan: RunPlan) -> Path:
    """Where the scene lies of a run that goes on; it may have been moved.

    Args:
        out: the run's directory.
        scene: the one that is given; None: none is.
        plan: of the run.

    Raises:
        RunError: it isn't there any more, or another one is given.
    """
    given = None if scene is None else absolute(scene)
    if given in (None, plan.scene) and not plan.scene.exists():
        raise RunError(
            f"{out}: its scene is gone from {plan.scene}; put it back, or give its new place: "
            f"distill SCENE --out {out} --resume"
        )
    if given not in (None, plan.scene) and plan.scene.exists():
        raise RunError(f"{out}: was begun on {plan.scene}, not on {scene}; leave the scene out to resume")
    return given or plan.scene


def open_scene(models: Models, scene: Path | None, flags: SceneFlags, device: torch.device) -> Scene:
    """Load the scene that the models are looked at with, showing progress; a splat's views are rendered.

    Raises:
        SceneError: no scene given, or it can't be read.
    """
    folder, options = scene_source(models, scene, flags)
    with Console().loading(folder) as progress:
        return load_views(folder, options, progress, device)
