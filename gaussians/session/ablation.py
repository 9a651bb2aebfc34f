"""An ablation: teachers trained once for each scene and seed, and students of them, variant by variant.

Each is an ordinary run in a directory of its own, that `eval`, `render` and the studio open. `for event in
ablation.events()` does all that is left to do; the process may die at any moment, and the next one goes on.
"""

import dataclasses
import gc
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from gaussians.distill.budget import parse_budget
from gaussians.distill.pipeline import plan as stages_of
from gaussians.distill.recipe import Recipe
from gaussians.distill.variants import OWN, student_recipe, teacher_recipe, teacher_set, variant
from gaussians.errors import RunError, SceneError, SplatError, TrainingError
from gaussians.scene import Scene, SceneOptions
from gaussians.session.ablation_directory import AblationDirectory, AblationPlan, Task, tasks
from gaussians.session.ablation_results import write_results
from gaussians.session.ablation_rows import Row
from gaussians.session.clock import SAVE_EVERY
from gaussians.session.directory import RunDirectory, RunPlan
from gaussians.session.events import Event
from gaussians.session.handover import (
    begin_student,
    hand_back_ensemble,
    teacher_events,
    teacher_facts,
    teachers_finished,
)
from gaussians.session.run import Run

Load = Callable[[Path, SceneOptions], Scene]


@dataclass(frozen=True)
class TaskStarted:
    """A run began, or went on."""

    task: Task


@dataclass(frozen=True)
class TaskAdvanced:
    """A run told something of itself."""

    task: Task
    event: Event


@dataclass(frozen=True)
class TaskFinished:
    """A run ended, and the results tell of it; `resumed`: it had ended in an earlier session."""

    task: Task
    resumed: bool


@dataclass(frozen=True)
class TaskFailed:
    """An optimisation diverged, or the teachers of a student did. The others go on."""

    task: Task
    reason: str


AblationEvent = TaskStarted | TaskAdvanced | TaskFinished | TaskFailed


class Ablation:
    """All runs of a plan in one directory.

    Args:
        directory: where the plan is saved already.
        plan: what to train.
        device: where.
        load: reads a scene; called once for each scene and seed that has something left to do.
        save_every: seconds between checkpoints.

    Attributes:
        tasks: all runs, in their order.
        rows: the results as they were last written.
    """

    def __init__(
        self,
        directory: AblationDirectory,
        plan: AblationPlan,
        device: torch.device,
        load: Load,
        save_every: float = SAVE_EVERY,
    ) -> None:
        self.directory, self.plan = directory, plan
        self.tasks = tasks(plan)
        self._device, self._load, self._save_every = device, load, save_every
        self._scene: tuple[tuple[str, int], Scene] | None = None
        self._run: Run | None = None
        self.rows: list[Row] = []

    def events(self) -> Iterator[AblationEvent]:
        """Do what is left to do, run by run; results are written after each.

        Raises:
            RunError: a run in the directory is of another recipe, or another process trains it.
            StorageError: something could not be written.
            SceneError: a scene can't be read, or holds out nothing to measure on.
        """
        failed: set[Task] = set()
        for task in self.tasks:
            if task.teachers_task in failed or _own_teachers(task) in failed:
                yield TaskFailed(task, "its teachers failed")
                continue
            if self.is_finished(task):
                yield TaskFinished(task, resumed=True)
                continue
            yield TaskStarted(task)
            try:
                yield from self._train(task)
            except (TrainingError, SplatError) as error:
                failed.add(task)
                yield TaskFailed(task, str(error))
            else:
                self.rows = write_results(self.directory, self.plan)
                yield TaskFinished(task, resumed=False)
            self._run = None
            gc.collect()  # a run's tensors must not count for the memory of the next
        self.rows = write_results(self.directory, self.plan)

    def save(self) -> None:
        """Write a checkpoint of the run under way, if any. Raises StorageError."""
        if self._run is not None:
            self._run.save()

    def is_finished(self, task: Task) -> bool:
        """Whether a run needs nothing more. Raises RunError: it is of another recipe than is asked for."""
        directory = self.directory.run(task)
        if not directory.exists:
            return False
        plan = directory.load()
        if task.variant is None:
            if plan.recipe != self._teacher_recipe(task):
                raise _other_recipe(directory)
            return teachers_finished(directory, plan.teacher_names)
        if not all(self.is_finished(each) for each in (task.teachers_task, _own_teachers(task))):
            return False
        if plan.recipe != self._student_plan(task).recipe:
            raise _other_recipe(directory)
        return directory.report.exists()

    def steps(self, task: Task) -> int:
        """How many training steps a run has, over all its stages."""
        if task.variant is not None:
            return self.plan.recipe.student.optimise.steps
        stages = stages_of(self._teacher_recipe(task), views=0)[:-2]  # neither labels nor student
        return sum(stage.last - stage.first for stage in stages)

    def _train(self, task: Task) -> Iterator[AblationEvent]:
        scene = self._scene_of(task)  # first: a scene that can't be read must not leave a run behind
        plan = self._teacher_plan(task) if task.variant is None else self._student_plan(task)
        directory = self.directory.run(task)
        if task.variant is not None:
            begin_student(directory, plan, self.directory.run(task.teachers_task))
        elif not directory.exists:
            directory.create(plan)
        with directory.locked():
            run = Run(directory, scene, plan.recipe, self._device, plan.teachers, self._save_every)
            self._run = run
            for event in teacher_events(run) if task.variant is None else run.events():
                yield TaskAdvanced(task, event)
        if task.variant is not None:
            hand_back_ensemble(directory, self.directory.run(task.teachers_task))
            # Hundreds of students' pasts would fill the disk; what they became stays.
            shutil.rmtree(run.history.folder, ignore_errors=True)

    def _scene_of(self, task: Task) -> Scene:
        """The scene as a seed reads it; kept for the tasks that follow. Raises SceneError."""
        key = (task.scene, task.seed)
        if self._scene is None or self._scene[0] != key:
            self._scene = None  # one at a time in memory
            scene = self._load(self.plan.scenes[task.scene], self._options(task))
            if not scene.test:
                raise SceneError(f"{scene.path}: holds out no view to measure on; add --test-every 8")
            self._scene = (key, scene)
        return self._scene[1]

    def _options(self, task: Task) -> SceneOptions:
        cache = self.directory.cameras(task.scene)
        return dataclasses.replace(self.plan.options, seed=task.seed, cache=cache)

    def _base(self, task: Task) -> Recipe:
        return dataclasses.replace(self.plan.recipe, seed=task.seed)

    def _teacher_recipe(self, task: Task) -> Recipe:
        return teacher_recipe(self._base(task), teacher_set(task.teachers))

    def _teacher_plan(self, task: Task) -> RunPlan:
        recipe = self._teacher_recipe(task)
        return RunPlan(self.plan.scenes[task.scene], self._options(task), recipe, self._device.type)

    def _student_plan(self, task: Task) -> RunPlan:
        """Of a student whose teachers are finished: its budget is a number of Gaussians."""
        assert task.variant is not None
        assert task.budget is not None
        each, source = variant(task.variant), self.directory.run(task.teachers_task)
        own = self.directory.run(_own_teachers(task))
        vanilla = next(iter(teacher_facts(own, own.load().teacher_names).values()))
        # One count for all variants, whatever their teachers and the degree of their colours.
        degree = self.plan.recipe.student.optimise.sh_degree
        count = parse_budget(task.budget).count(vanilla["gaussians"], degree)
        recipe = student_recipe(self._base(task), each, str(count))
        teachers = {name: source.splat(name).resolve() for name in source.load().teacher_names}
        scene = self.plan.scenes[task.scene]
        return RunPlan(scene, self._options(task), recipe, self._device.type, teachers)


def _own_teachers(task: Task) -> Task:
    """The teachers of the same scene and seed that every budget counts from."""
    return Task(task.scene, task.seed, OWN)


def _other_recipe(directory: RunDirectory) -> RunError:
    return RunError(
        f"{directory.path}: was begun by another recipe than is asked for now; "
        "delete it, or choose another --out"
    )
