"""The memory that a run will need, before it begins; and what to do where that is more than there is.

Predicted from what bench scale and runs of four scenes measured on the CPU (docs/performance.md): upper
bounds, as growth may stop below its cap. On a GPU the same sums are a guess.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from gaussians.allocation import give_back_freed_memory
from gaussians.distill.pipeline import label_count, student_start
from gaussians.distill.recipe import Recipe
from gaussians.distill.variant_changes import having
from gaussians.io import read_splat
from gaussians.memory import available_memory, total_memory
from gaussians.scene import Progress, Scene
from gaussians.scene.resolution import Resolution
from gaussians.session.directory import RunPlan
from gaussians.session.scenes import load_views

_BASE = 500e6  # bytes: Python, PyTorch and the compiled kernels
_GAUSSIAN = 3300  # bytes each in training: parameters, gradients, Adam, a checkpoint's copy, growth
_SHOWN = 500  # bytes each when rendered only
_PIXEL = 180  # bytes each of the image being trained on: loss, lists of the tiles
_PHOTO = 3  # bytes a pixel of each photo
_PHOTO_SHARE = 0.25  # of all memory: photos beyond it are in a file (see `Shelf`)
_SHARE = 0.9  # of what is free may be planned with
_LEAST_CAP = 0.25  # of the recipe's cap: rather than less, the photos are made smaller
_LEAST_SIDE = 160  # px: photos are not halved below it


@dataclass(frozen=True)
class Size:
    """What of a scene decides the memory.

    Attributes:
        views: of training and test.
        pixels: of one view, on average.
        largest: pixels of the largest view.
        side: the longer side of the first view, px.
        points: Gaussians that training starts from.
    """

    views: int
    pixels: float
    largest: int
    side: int
    points: int

    @classmethod
    def of(cls, scene: Scene) -> "Size":
        """That of a scene."""
        cameras = [view.camera for view in (*scene.train, *scene.test)]
        sizes = [camera.width * camera.height for camera in cameras]
        side = max(cameras[0].width, cameras[0].height)
        return cls(len(sizes), sum(sizes) / len(sizes), max(sizes), side, len(scene.points.xyz))

    def halved(self) -> "Size":
        """At half the width and height."""
        return dataclasses.replace(
            self, pixels=self.pixels / 4, largest=self.largest // 4, side=self.side // 2
        )


@dataclass(frozen=True)
class MemoryPlan:
    """How a run fits.

    Attributes:
        recipe: as asked for, or with labels on disk and a lower cap.
        halvings: how often the photos' width and height are to be halved; the scene is then read anew.
        need: predicted peak by stage, bytes: "teachers", "labels", "student".
        free: bytes that may be used; None: unknown, and nothing was changed.
        notes: what was changed, and why, one readable line each.
    """

    recipe: Recipe
    halvings: int
    need: Mapping[str, float]
    free: int | None
    notes: tuple[str, ...]

    @property
    def peak(self) -> float:
        """The largest need, bytes."""
        return max(self.need.values())


def predicted(recipe: Recipe, size: Size, views: int, given: Mapping[str, int]) -> dict[str, float]:
    """Peak memory by stage, bytes, at most.

    Args:
        recipe: of the run.
        size: of the scene.
        views: training views.
        given: Gaussians of teachers that are there already; empty: they are trained.
    """
    counts = dict(given) or _counts(recipe, size)
    fixed = _BASE + _photos(size)
    trained = fixed + _PIXEL * size.largest
    labels = 3 * size.pixels * label_count(recipe, views)
    held = labels if labels <= 1e6 * recipe.labels.memory_mb else 0.0
    start = size.points if recipe.student.route == "points" else counts[student_start(recipe, counts)]
    if recipe.student.route == "points":
        start = max(start, recipe.student.optimise.densify.cap)
    return {
        "teachers": fixed if given else trained + _GAUSSIAN * max(counts.values()),
        "labels": fixed + held + _SHOWN * sum(counts.values()),
        "student": trained + held + _GAUSSIAN * start,
    }


def plan_memory(
    scene: Scene,
    recipe: Recipe,
    device: torch.device,
    given: Mapping[str, int] | None = None,
    *,
    may_halve: bool = True,
) -> MemoryPlan:
    """Make a run fit what is free: labels on disk, then a lower cap, then smaller photos.

    A run that does not fit however small is made as small as that, with a note that it may fail.

    Args:
        scene: loaded already: what it takes is no longer free.
        recipe: as asked for.
        device: whose memory counts.
        given: as for `predicted`.
        may_halve: whether the scene can be read anew.
    """
    give_back_freed_memory()  # of a run before
    free, size, views, given = available_memory(device), Size.of(scene), len(scene.train), given or {}
    need = predicted(recipe, size, views, given)
    if free is None:
        return MemoryPlan(recipe, 0, need, None, ())
    # The process and the scene are there already.
    room = _SHARE * free + _BASE + _photos(size)
    notes: list[str] = []
    chosen, halvings = recipe, 0
    if max(need.values()) > room:
        notes.append(f"would need up to {_gb(max(need.values()))} of memory, {_gb(room)} can be had")
        chosen, size, halvings = _fitted(recipe, size, views, given, room, may_halve, notes)
        need = predicted(chosen, size, views, given)
        if max(need.values()) > room:
            notes.append(f"even so it may need {_gb(max(need.values()))}: close other programs")
    return MemoryPlan(chosen, halvings, need, free, tuple(notes))


def fitted(
    planned: RunPlan, scene: Scene, device: torch.device, progress: Progress | None = None
) -> tuple[RunPlan, Scene, tuple[str, ...]]:
    """A run that fits, its scene, and what was changed, one readable line each.

    Args:
        planned: a run that is not begun yet.
        scene: as its options read it; read anew where it has to be smaller.
        device: whose memory counts.
        progress: told of reading.

    Raises:
        DistilleryError: the scene or a given teacher can't be read.
    """
    given = {name: len(read_splat(path)) for name, path in planned.teachers.items()}
    plan = plan_memory(scene, planned.recipe, device, given)
    planned = dataclasses.replace(planned, recipe=plan.recipe)
    if plan.halvings:
        resolution = smaller(planned.options.resolution, plan.halvings)
        options = dataclasses.replace(planned.options, resolution=resolution)
        planned = dataclasses.replace(planned, options=options, halvings=plan.halvings)
        scene = load_views(planned.scene, options, progress, device)
    return planned, scene, plan.notes


def _fitted(
    recipe: Recipe,
    size: Size,
    views: int,
    given: Mapping[str, int],
    room: float,
    may_halve: bool,
    notes: list[str],
) -> tuple[Recipe, Size, int]:
    """Recipe and size that fit `room`, or the smallest there are, and how often the size was halved."""

    def excess(changed: Recipe, at: Size) -> float:
        return max(predicted(changed, at, views, given).values()) - room

    on_disk = having(labels__memory_mb=0)(recipe)
    if excess(on_disk, size) < excess(recipe, size):
        notes.append("labels are kept on disk")
        recipe = on_disk
    halvings = 0
    while True:
        over = excess(recipe, size)
        if over <= 0:
            break
        cap = recipe.teachers.optimise.densify.cap
        lower = int(cap - over / _GAUSSIAN)
        least = max(_LEAST_CAP * cap, size.points)
        is_last = not may_halve or size.side // 2 < _LEAST_SIDE
        if not given and (lower >= least or is_last):
            lower = int(max(lower, least))
            notes.append(f"teachers grow to {lower:,} Gaussians at most, not {cap:,}")
            recipe = having(
                teachers__optimise__densify__cap=lower,
                student__optimise__densify__cap=min(lower, recipe.student.optimise.densify.cap),
            )(recipe)
            break
        if is_last:
            break
        size, halvings = size.halved(), halvings + 1
    if halvings:
        notes.append(f"photos are trained at 1/{2**halvings} of that size: {size.side} px on the longer side")
    return recipe, size, halvings


def smaller(resolution: str | None, halvings: int) -> str:
    """What `--resolution` has to be for half the size, so many times over. Raises RecipeError."""
    asked = Resolution.parse(resolution)
    if asked.width is not None:
        return str(asked.width >> halvings)
    assert asked.fraction is not None
    return f"{asked.fraction / 2**halvings:g}"


def as_fitted(there: Recipe, wanted: Recipe) -> Recipe:
    """A run's recipe as it was asked for, if want of memory is all that it differs by from `wanted`."""
    free = {
        "labels__memory_mb": wanted.labels.memory_mb,
        "teachers__optimise__densify__cap": wanted.teachers.optimise.densify.cap,
        "student__optimise__densify__cap": wanted.student.optimise.densify.cap,
    }
    changed = having(**free)(there)
    shrunk = (
        there.labels.memory_mb in (0, wanted.labels.memory_mb)
        and there.teachers.optimise.densify.cap <= wanted.teachers.optimise.densify.cap
    )
    return changed if shrunk else there


def _photos(size: Size) -> float:
    """Bytes of photos in memory."""
    whole = _PHOTO * size.pixels * size.views
    return min(whole, _PHOTO_SHARE * total_memory() or whole)


def _counts(recipe: Recipe, size: Size) -> dict[str, int]:
    """Gaussians of each teacher, at most."""
    teachers = recipe.teachers
    most = max(teachers.optimise.densify.cap, size.points)
    others = most if teachers.compact == 1 else max(1, round(teachers.compact * most))
    first, *rest = teachers.kinds
    return {first: most, **dict.fromkeys(rest, others)}


def _gb(size: float) -> str:
    return f"{size / 1e9:.1f} GB"
