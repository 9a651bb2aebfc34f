"""A run under way: its lock, its generator and what the window is told of it."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch

from gaussians.distill.recipe import Recipe
from gaussians.distill.recipe_check import check_recipe
from gaussians.errors import RunError
from gaussians.scene.load import cache_folder
from gaussians.scene.photos import SOURCE, find_photos, kept_model
from gaussians.session.directory import CAMERAS_FOLDER, RunDirectory, RunPlan
from gaussians.session.events import Event
from gaussians.session.gallery import Gallery
from gaussians.session.ground import Ground
from gaussians.session.memory_plan import as_fitted, plan_memory
from gaussians.session.opening import Opened
from gaussians.session.run import Run
from gaussians.session.search import searched_within
from gaussians.storage import replacing_folder


class Training:
    """A run, new or gone on with, that is locked against other processes until `close`.

    Args:
        path: the run's directory.
        recipe: of a new run; that of a run begun before must be the same.
        ground: what to train on.
        device: where.
        on_line: told of each line that is added to metrics.jsonl.
        breathe: called now and then in long work that yields no events.

    Attributes:
        notes: what a new run does without, so that it fits into memory.

    Raises:
        RecipeError: the recipe contradicts itself.
        RunError: the directory holds a run of something else, or another process trains it.
        StorageError: the directory can't be written.
    """

    def __init__(
        self,
        path: Path,
        recipe: Recipe,
        ground: Ground,
        device: torch.device,
        on_line: Callable[[dict[str, Any]], None],
        breathe: Callable[[], None],
    ) -> None:
        check_recipe(recipe)
        self.directory = RunDirectory(path)
        plan, self.notes = _plan(self.directory, recipe, ground, device)
        self._held = ExitStack()
        self._held.enter_context(self.directory.locked())
        try:
            self.run = Run(
                self.directory,
                ground.scene,
                plan.recipe,
                device,
                plan.teachers,
                on_line=on_line,
                breathe=breathe,
            )
        except BaseException:
            self._held.close()
            raise
        self._events: Iterator[Event] = self.run.events()

    def gallery(self, opened: Opened) -> Gallery:
        """The one that shows this run already, with the weights that were set meanwhile; or a new one.

        Raises:
            StorageError: the weights could not be noted. After any error the run is closed.
        """
        run, gallery = self.run, opened.gallery
        try:
            if opened.run_path is None or self.directory.path.resolve() != opened.run_path.resolve():
                gallery = Gallery(run.device, run.teachers, run.weights, run.scene)
            elif gallery.weights != run.weights:
                run.weigh(gallery.weights)
        except BaseException:
            self.close()
            raise
        gallery.history, gallery.combine = run.history, run.recipe.labels.combine
        return gallery

    def advance(self) -> Event:
        """Go on to the next event, of which RunFinished is the last. Raises as Run.events does."""
        return next(self._events)

    def save(self) -> None:
        """Write a checkpoint. Raises StorageError."""
        self.run.save()

    def close(self) -> None:
        """Let others have the run."""
        self._held.close()


def _plan(
    directory: RunDirectory, recipe: Recipe, ground: Ground, device: torch.device
) -> tuple[RunPlan, tuple[str, ...]]:
    """Of the run in the directory, which is begun there if there is none; what it does without to fit."""
    if not directory.exists:
        fitting = plan_memory(ground.scene, recipe, device, may_halve=False)
        plan = RunPlan(ground.path, ground.options, fitting.recipe, device.type)
        directory.create(plan)
        _take_cameras_along(directory, ground)
        return plan, fitting.notes
    plan = directory.load()
    if searched_within(directory) is not None:
        raise RunError(
            f"{directory.path}: holds a search for the smallest student, which has several; go on with it by "
            f"`main.py distill --resume --out {directory.path}`"
        )
    if plan.scene.resolve() != ground.path.resolve():
        raise RunError(f"{directory.path}: holds a run on {plan.scene}; choose another folder for this one")
    if recipe not in (plan.recipe, as_fitted(plan.recipe, recipe)):
        raise RunError(
            f"{directory.path}: holds a run of another recipe ({plan.recipe.name}); "
            "open it to go on with it, or choose another folder"
        )
    return plan, ()


def _take_cameras_along(directory: RunDirectory, ground: Ground) -> None:
    """Keep cameras that structure from motion found in the run: found anew they may differ a little."""
    if ground.scene.points.source != SOURCE:
        return
    folder, names = find_photos(ground.path)
    kept = kept_model(folder, names, cache_folder(ground.options))
    if kept.is_dir():
        with replacing_folder(directory.path / CAMERAS_FOLDER / kept.name) as temporary:
            shutil.copytree(kept, temporary, dirs_exist_ok=True)
