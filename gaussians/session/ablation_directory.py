"""An ablation's directory: what is compared, in ablation.json, and where each of its runs lies."""

import contextlib
import dataclasses
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gaussians.distill.recipe import Recipe
from gaussians.distill.recipe_json import from_json, to_json
from gaussians.distill.variants import OWN, PHOTOS_ONLY, variant
from gaussians.errors import RecipeError, RunError
from gaussians.scene import SceneOptions
from gaussians.session.directory import ABLATION_FILE, CAMERAS_FOLDER, RunDirectory, locked_folder
from gaussians.session.machine import versions
from gaussians.storage import remove_partial, write_json

_OPTIONS = ("resolution", "test_every", "test_names", "background", "random_points")


@dataclass(frozen=True)
class AblationPlan:
    """What ablation.json holds: everything needed to repeat the ablation.

    Attributes:
        scenes: folders by the name that each has here, absolute.
        options: how they are read; the seed is each run's own.
        recipe: the base that variants change; its seed is the first.
        device: "cpu" or "cuda".
        seeds: how many, counted up from the recipe's.
        variants: names, as `variant` reads them.
        budgets: each variant is trained at each of them.
    """

    scenes: Mapping[str, Path]
    options: SceneOptions
    recipe: Recipe
    device: str
    seeds: int
    variants: tuple[str, ...]
    budgets: tuple[str, ...]

    def extended(self, by: "AblationPlan") -> "AblationPlan":
        """This one and what `by` has beyond it: scenes, seeds, variants, budgets."""
        return dataclasses.replace(
            self,
            scenes={**self.scenes, **by.scenes},
            seeds=max(self.seeds, by.seeds),
            variants=tuple(dict.fromkeys((*self.variants, *by.variants))),
            budgets=tuple(dict.fromkeys((*self.budgets, *by.budgets))),
        )


@dataclass(frozen=True)
class Task:
    """One run of an ablation: a teacher set, or a student.

    Attributes:
        scene: by its name in the plan.
        seed: of all random numbers.
        teachers: the name of the teacher set.
        variant, budget: of the student; both None where the teachers themselves are trained.
    """

    scene: str
    seed: int
    teachers: str
    variant: str | None = None
    budget: str | None = None

    @property
    def teachers_task(self) -> "Task":
        """The one that trains a student's teachers."""
        return Task(self.scene, self.seed, self.teachers)

    @property
    def is_default_set(self) -> bool:
        """Whether its teachers are those that every budget counts from."""
        return self.teachers == OWN

    def __str__(self) -> str:
        what = f"teachers {self.teachers}" if self.variant is None else f"{self.variant} at {self.budget}"
        return f"{self.scene}, seed {self.seed}: {what}"


def tasks(plan: AblationPlan) -> tuple[Task, ...]:
    """All runs in their order: seed by seed, so that every scene has a result early; teachers first."""
    first = plan.recipe.seed
    # The control of all controls is always among them: every difference to it needs it.
    variants = [variant(name) for name in dict.fromkeys((PHOTOS_ONLY, *plan.variants))]
    sets = dict.fromkeys((OWN, *(each.teachers for each in variants)))
    found = []
    for seed in range(first, first + plan.seeds):
        for scene in plan.scenes:
            for teachers in sets:
                found.append(Task(scene, seed, teachers))
                found += [
                    Task(scene, seed, teachers, each.name, budget)
                    for each in variants
                    if each.teachers == teachers
                    for budget in plan.budgets
                ]
    return tuple(found)


class AblationDirectory:
    """Paths in an ablation's directory, and its plan."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.csv = path / "results.csv"
        self.markdown = path / "results.md"
        self.chart = path / "quality.svg"

    @property
    def exists(self) -> bool:
        """Whether an ablation was begun here."""
        return (self.path / ABLATION_FILE).exists()

    @property
    def has_runs(self) -> bool:
        """Whether any of its runs was begun: before, its plan may still become another."""
        return any(self.path.glob("*/seed-*/*"))

    def run(self, task: Task) -> RunDirectory:
        """Where a task's run lies: SCENE/seed-K/teachers-SET or SCENE/seed-K/student-VARIANT-BUDGET."""
        folder = self.path / task.scene / f"seed-{task.seed}"
        if task.variant is None or task.budget is None:
            return RunDirectory(folder / f"teachers-{task.teachers}")
        return RunDirectory(folder / f"student-{task.variant}-{_slug(task.budget)}")

    def cameras(self, scene: str) -> Path:
        """Where cameras are kept that were found for photos that came without."""
        return self.path / scene / CAMERAS_FOLDER

    def save(self, plan: AblationPlan) -> None:
        """Write the plan. Raises StorageError."""
        options = {name: getattr(plan.options, name) for name in _OPTIONS}
        write_json(
            self.path / ABLATION_FILE,
            {
                "scenes": {name: str(path) for name, path in plan.scenes.items()},
                "seeds": plan.seeds,
                "variants": list(plan.variants),
                "budgets": list(plan.budgets),
                "device": plan.device,
                "options": {**options, "test_names": list(plan.options.test_names)},
                "recipe": to_json(plan.recipe),
                "versions": versions(),
            },
        )

    def load(self) -> AblationPlan:
        """Read the plan. Raises RunError, naming what is wrong with it."""
        path = self.path / ABLATION_FILE
        try:
            document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            options = {name: document["options"][name] for name in _OPTIONS}
            options["test_names"] = tuple(options["test_names"])
            recipe = from_json(document["recipe"])
            return AblationPlan(
                scenes={name: Path(scene) for name, scene in document["scenes"].items()},
                options=SceneOptions(**options, seed=recipe.seed),
                recipe=recipe,
                device=document["device"],
                seeds=document["seeds"],
                variants=tuple(document["variants"]),
                budgets=tuple(document["budgets"]),
            )
        except FileNotFoundError:
            raise RunError(
                f"{self.path}: no ablation here ({ABLATION_FILE} is missing); give scenes"
            ) from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise RunError(f"{path}: not readable as an ablation ({error!r}); restore it") from error
        except RecipeError as error:
            raise RunError(f"{path}: {error}") from error

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Within: no other process can work on this ablation. Raises RunError: one does, or as for runs."""
        with locked_folder(self.path, "another process works on this ablation; wait for it"):
            remove_partial(self.path)
            yield


def _slug(budget: str) -> str:
    """A budget as part of a folder's name: 12% is 12pct, 5 MB is 5mb."""
    return re.sub(r"[^a-z0-9.]", "", budget.lower().replace("%", "pct"))
