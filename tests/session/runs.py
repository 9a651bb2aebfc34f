"""Runs on the tiny scene, and what of their reports is the same each time."""

import json
from pathlib import Path

import torch

from gaussians.distill.recipe import Recipe
from gaussians.scene import SceneOptions
from gaussians.session.directory import RunDirectory, RunPlan
from gaussians.session.run import Run
from tests.session import tiny

MODELS = ("vanilla", "perturbed", "dropout", "ensemble", "student")
SCENE = tiny.scene()


def begin(path: Path, recipe: Recipe) -> Run:
    directory = RunDirectory(path)
    if not directory.exists:
        directory.create(RunPlan(Path("tiny"), SceneOptions(), recipe, "cpu"))
    return Run(directory, SCENE, recipe, torch.device("cpu"))


def quality(report: dict) -> dict:
    """The report less what the clock and the machine's memory put into it."""
    untimed = json.loads(json.dumps(report))
    for facts in (*untimed["models"].values(), untimed["totals"]):
        facts.pop("seconds")
        facts.pop("peak_memory")
    return untimed
