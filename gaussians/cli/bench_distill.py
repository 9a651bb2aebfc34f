"""`bench distill`: what the pipeline costs beside one vanilla training of the same length, in one run."""

import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from gaussians.cli.console import Console
from gaussians.distill.recipe import Recipe
from gaussians.scene import Scene, SceneOptions
from gaussians.session.directory import RunDirectory, RunPlan
from gaussians.session.events import RunFinished
from gaussians.session.kernel_process import compile_apart
from gaussians.session.run import Run
from gaussians.session.warmup import compile_rendering


def bench_distill(
    scene: Scene, options: SceneOptions, recipe: Recipe, device: torch.device, console: Console
) -> dict[str, Any]:
    """Distil into a folder that is thrown away. Vanilla is trained first, so its peak of memory is its own.

    Args:
        scene: to distil; read by `options`.
        options: as the run directory notes them.
        recipe: what to train, teachers included.
        device: where.
        console: shows the progress.

    Returns:
        Seconds of steps by model, of all and of vanilla; wall seconds with measuring and writing; their ratio
        to vanilla, and that of the peaks of memory; the models' held-out PSNR and counts.

    Raises:
        DistilleryError: the recipe or the scene can't be carried out, or nothing can be written.
    """
    # What is compiled at first use must not count for vanilla, which comes first.
    if device.type == "cpu":
        with console.compiling() as show:
            compile_apart(show)
    compile_rendering(device)
    with tempfile.TemporaryDirectory(prefix="splat-distillery-") as folder:
        directory = RunDirectory(Path(folder) / "run")
        directory.create(RunPlan(scene.path, options, recipe, device.type))
        run = Run(directory, scene, recipe, device)
        began, report = time.perf_counter(), {}
        with console.training(run.plan) as show:
            for event in run.events():
                show(event)
                if isinstance(event, RunFinished):
                    report = event.report
        wall = time.perf_counter() - began
    models, totals = report["models"], report["totals"]
    vanilla = models[recipe.teachers.kinds[0]]
    return {
        "scene": scene.name,
        "size": report["scene"]["size"],
        "recipe": recipe.name,
        "steps": recipe.teachers.optimise.steps,
        "models": {
            name: {key: facts[key] for key in ("gaussians", "seconds", "peak_memory", "psnr")}
            for name, facts in models.items()
        },
        "pipeline_seconds": totals["seconds"],
        "vanilla_seconds": vanilla["seconds"],
        "ratio": totals["seconds"] / vanilla["seconds"],
        "wall_seconds": wall,
        "peak_memory_bytes": totals["peak_memory"],
        "memory_ratio": totals["peak_memory"] / vanilla["peak_memory"],
    }
