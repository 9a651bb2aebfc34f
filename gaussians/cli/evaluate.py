"""`main.py eval`: measure a run's models, or a splat, on a scene's held-out views."""

import dataclasses
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
from gaussians.session.machine import choose_device, device_name
from gaussians.session.measure import measured, measured_ensemble
from gaussians.session.models import Models, open_models
from gaussians.session.weights import weights_of
from gaussians.storage import write_json

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
    device = choose_device(flags.device)
    models = open_models(flags.source)
    scene = open_scene(models, flags.scene, flags.scene_flags)
    if not scene.test:
        raise SceneError(f"{scene.path}: holds out no view to measure on; add --test-every 8")
    results = measure_models(models, scene, device)
    print_whole(model_table(results))
    print(f"means over {len(scene.test)} held-out views of {scene.path}")
    if flags.json is not None:
        camera = scene.test[0].camera
        facts = {"name": scene.name, "path": str(scene.path), "size": [camera.width, camera.height]}
        facts["test"] = [view.name for view in scene.test]
        write_json(flags.json, {"models": results, "scene": facts, "device": device_name(device)})
    return 0


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
    with counting(ENSEMBLE, len(scene.test)) as done:
        quality = measured_ensemble(gaussians, weights, scene, device, done)
    parts = [results[kind] for kind in weights]
    ensemble = {key: sum(part[key] for part in parts) for key in ("gaussians", "bytes")} | quality
    student = {STUDENT: results.pop(STUDENT)} if STUDENT in results else {}
    return {**results, ENSEMBLE: ensemble, **student}
