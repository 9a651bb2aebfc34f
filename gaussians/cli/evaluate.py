"""`main.py eval`: measure a run's models, or a splat, on a scene's held-out views."""

import dataclasses
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro

from gaussians.cli.flags import SceneFlags, parse
from gaussians.cli.progress import counting
from gaussians.cli.sources import OWN_SCENE, open_scene
from gaussians.cli.tables import model_table, print_whole
from gaussians.distill.pipeline import ENSEMBLE, STUDENT
from gaussians.errors import SceneError
from gaussians.io import read_splat
from gaussians.scene import Scene
from gaussians.session.directory import SAME_PLACE, RunDirectory
from gaussians.session.machine import choose_device, device_name
from gaussians.session.measure import measured, measured_ensemble
from gaussians.session.models import Models, open_models
from gaussians.session.weights import weights_of
from gaussians.storage import check_file_name, write_json

DESCRIPTION = "Measure a run's models, or a splat file, on a scene's held-out views."


@dataclass(frozen=True)
class Flags:
    """The flags of `eval`."""

    source: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(name="RUN_OR_SPLAT", metavar="RUN_OR_SPLAT")]
    """A run directory, or a splat file."""
    scene: Annotated[Path | None, tyro.conf.arg(metavar="SCENE", help_behavior_hint=OWN_SCENE)] = None
    """Folder with photos and cameras."""
    json: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None
    """Also write all numbers, view by view, to this file."""
    device: Annotated[str, tyro.conf.arg(metavar="auto|cpu|cuda")] = "auto"
    """Where to render."""
    scene_flags: SceneFlags = dataclasses.field(default_factory=SceneFlags)


def run(arguments: list[str]) -> int:
    """The command; see `main`.

    Raises:
        DistilleryError: of any kind, for bad input.
    """
    flags: Flags = parse(Flags, arguments, "eval", DESCRIPTION)
    if flags.json is not None:
        check_file_name(flags.json)  # now, and not after minutes of measuring
    device = choose_device(flags.device)
    models = open_models(flags.source)
    scene = open_scene(models, flags.scene, flags.scene_flags, device)
    if not scene.test:
        raise SceneError(f"{scene.path}: holds out no view to measure on; {_instead(models)}")
    trained_on = trained_views(models, scene)
    results = measure_models(models, scene, device)
    print_whole(model_table(results))
    print(_measured_on(scene, len(trained_on)))
    if flags.json is not None:
        camera = scene.test[0].camera
        facts = {"name": scene.name, "path": str(scene.path), "size": [camera.width, camera.height]}
        facts["test"] = [view.name for view in scene.test]
        facts["trained_on"] = len(trained_on)
        write_json(flags.json, {"models": results, "scene": facts, "device": device_name(device)})
    return 0


def _instead(models: Models) -> str:
    """What to do where no view is held out."""
    if models.plan is None:
        return "add --test-every 8"
    if models.plan.options.test_every or models.plan.options.test_names:
        return "the run holds out its own: leave --test-every and --test-names out"
    # It was trained on all: to hold out some of them now would measure what it has seen.
    return "the run was trained on all its photos; give others of the same place by --scene"


def trained_views(models: Models, scene: Scene) -> list[str]:
    """Names of the views to measure on that the run was trained on, which flags may have chosen.

    By name and place, as folders move, and other scenes have photos of the same names. None where the models
    are of no run.
    """
    if models.plan is None:
        return []
    known, near = RunDirectory(models.path).trained_views(), SAME_PLACE * scene.extent
    return [
        view.name
        for view in scene.test
        if view.name in known and math.dist(view.camera.centre, known[view.name]) <= near
    ]


def _measured_on(scene: Scene, trained_on: int) -> str:
    """What the table's numbers are means over, in a line."""
    if not trained_on:
        return f"means over {len(scene.test)} held-out views of {scene.path}"
    return (
        f"means over {len(scene.test)} views of {scene.path}, {trained_on} of which the run was trained on: "
        "they say nothing of views that it has not seen"
    )


def measure_models(models: Models, scene: Scene, device: torch.device) -> dict[str, dict[str, Any]]:
    """By model name: gaussians, bytes, psnr, ssim, flip, lpips and per_view, as report.json has them.

    A run's ensemble comes before its student, when all teachers that take part in it are finished.
    """
    results: dict[str, dict[str, Any]] = {}
    for name, path in models.splats.items():
        gaussians = read_splat(path).to(device)
        with counting(name, len(scene.test)) as done:
            quality = measured(gaussians, scene, device, done)
        results[name] = {"gaussians": len(gaussians), "bytes": path.stat().st_size, **quality}
    return _with_ensemble(results, models, scene, device)


def _with_ensemble(
    results: dict[str, dict[str, Any]], models: Models, scene: Scene, device: torch.device
) -> dict[str, dict[str, Any]]:
    if models.plan is None:
        return results
    weights = weights_of(models.path, models.plan)
    if not all(kind in models.splats for kind in weights):
        return results
    gaussians = {kind: read_splat(models.splats[kind]).to(device) for kind in weights}
    combine = models.plan.recipe.labels.combine
    with counting(ENSEMBLE, len(scene.test)) as done:
        quality = measured_ensemble(gaussians, weights, scene, device, done, combine)
    parts = [results[kind] for kind in weights]
    ensemble = {key: sum(part[key] for part in parts) for key in ("gaussians", "bytes")} | quality
    student = {STUDENT: results.pop(STUDENT)} if STUDENT in results else {}
    return {**results, ENSEMBLE: ensemble, **student}
