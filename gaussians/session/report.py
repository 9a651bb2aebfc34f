"""report.json: what a run made, how good it is on views that it never trained on, and what it cost."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from gaussians.distill.pipeline import ENSEMBLE, STUDENT, TRUNK
from gaussians.distill.recipe import Recipe
from gaussians.distill.recipe_json import to_json
from gaussians.scene import Scene
from gaussians.session.backing_off import CAP
from gaussians.session.machine import device_name, versions

MODEL_KEYS = ("gaussians", "bytes", "psnr", "ssim", "flip", "lpips", "seconds", "peak_memory", "per_view")


def build_report(
    scene: Scene,
    recipe: Recipe,
    device: torch.device,
    teachers: Sequence[str],
    facts: Mapping[str, dict[str, Any] | None],
) -> dict[str, Any]:
    """The report from each stage's facts, as JSON values.

    The trunk's seconds count for the vanilla teacher, whose youth it is; those of the other teachers are
    what they took beyond it. The ensemble's seconds are those of rendering the soft labels. So they add up.
    """
    models: dict[str, dict[str, Any]] = {}
    for name in (*teachers, ENSEMBLE, STUDENT):
        stage = facts[name]
        assert stage is not None, f"{name} is finished before the report"
        models[name] = {key: stage[key] for key in MODEL_KEYS}
    trunk, vanilla = facts.get(TRUNK), models[teachers[0]]
    if trunk:
        vanilla["seconds"] = round(vanilla["seconds"] + trunk["seconds"], 3)
        vanilla["peak_memory"] = max(vanilla["peak_memory"], trunk["peak_memory"])
    student = facts[STUDENT] or {}
    # Stages that had to do with fewer Gaussians, for want of memory.
    held = {name: stage[CAP] for name, stage in facts.items() if stage and CAP in stage}
    return {
        "models": models,
        "totals": {
            "seconds": round(sum(model["seconds"] for model in models.values()), 3),
            "peak_memory": max(model["peak_memory"] for model in models.values()),
            "student_share": models[STUDENT]["gaussians"] / vanilla["gaussians"],
            "budget": student["budget"],
            "disagreement": (facts[ENSEMBLE] or {})["disagreement"],
            **({"held": held} if held else {}),
        },
        "scene": {
            "name": scene.name,
            "path": str(scene.path),
            "train": [view.name for view in scene.train],
            "test": [view.name for view in scene.test],
            "size": [scene.train[0].camera.width, scene.train[0].camera.height],
            "points": len(scene.points.xyz),
            "points_source": scene.points.source,
            "background": list(scene.background),
            "extent": scene.extent,
            "notes": list(scene.notes),
        },
        "recipe": to_json(recipe),
        "device": device_name(device),
        "versions": versions(),
    }
