"""How variants change a base recipe: functions from recipe to recipe."""

import dataclasses
from collections.abc import Callable
from functools import reduce
from typing import Any

from gaussians.distill.presets import recipe as preset
from gaussians.distill.recipe import Recipe, Simplify

Change = Callable[[Recipe], Recipe]

TWINS = ("vanilla", "vanilla2", "vanilla3")
"""Teachers that differ by nothing but their draws."""
_NEVER = 1_000_000  # steps; longer than any run


def having(**options: Any) -> Change:
    """A change that sets options by their paths, with __ for the dot: student__label_weight=0.0."""
    return lambda recipe: reduce(_set, ((path.split("__"), value) for path, value in options.items()), recipe)


def _set(config: Any, assignment: tuple[list[str], Any]) -> Any:
    (name, *rest), value = assignment
    return dataclasses.replace(
        config, **{name: _set(getattr(config, name), (rest, value)) if rest else value}
    )


def unchanged(recipe: Recipe) -> Recipe:
    """The base as it is."""
    return recipe


def _paper(steps: int, name: str = "paper") -> Recipe:
    """Distilled-3DGS's recipe, its schedules stretched to these steps."""
    paper = preset(name)
    return paper.scaled(steps / paper.student.optimise.steps)


def paper_teachers(name: str) -> Change:
    """The paper's, or its code's, as many steps as the base's."""
    return lambda recipe: dataclasses.replace(
        recipe, teachers=_paper(recipe.teachers.optimise.steps, name).teachers
    )


def paper_student(name: str) -> Change:
    """The paper's, or its code's, as many steps as the base's."""
    return lambda recipe: dataclasses.replace(
        recipe, student=_paper(recipe.student.optimise.steps, name).student
    )


def from_points(recipe: Recipe) -> Recipe:
    """The paper's route at its pace, with the base's losses and the growth of the base's teachers."""
    paper, base = _paper(recipe.student.optimise.steps).student, recipe.student
    grown = recipe.teachers.optimise.densify
    pace = paper.optimise.densify
    densify = dataclasses.replace(grown, start=pace.start, stop=pace.stop, reset_every=_NEVER)
    optimise = dataclasses.replace(base.optimise, sh_every=paper.optimise.sh_every, densify=densify)
    simplify = dataclasses.replace(paper.simplify, importance=base.simplify.importance, mass=1.0)
    student = dataclasses.replace(base, route="points", optimise=optimise, simplify=simplify)
    return dataclasses.replace(recipe, student=student)


def forks(recipe: Recipe) -> Recipe:
    """Teachers of vanilla's size; where the base's are compact, they part when growth ends.

    They are then varied for half and for three quarters of the steps that are left.
    """
    teachers = recipe.teachers
    if teachers.compact == 1:
        return recipe
    fork = min(teachers.optimise.densify.stop, teachers.optimise.steps)
    left = teachers.optimise.steps - fork
    every = max(1, round(left / 8))
    perturb = dataclasses.replace(teachers.perturb, start=fork, stop=fork + left // 2 + 1, every=every)
    dropout = dataclasses.replace(teachers.dropout, start=fork, stop=fork + 3 * left // 4)
    changed = dataclasses.replace(teachers, fork=fork, compact=1.0, perturb=perturb, dropout=dropout)
    return dataclasses.replace(recipe, teachers=changed)


def independent(recipe: Recipe) -> Recipe:
    """Teachers of vanilla's size, each from the points on; varied when they were, or when forks would be."""
    return having(teachers__fork=0)(forks(recipe))


def structure(**options: Any) -> Change:
    """With the structural loss, weighing at least 0.1, and these options of it."""

    def change(recipe: Recipe) -> Recipe:
        weight = max(0.1, recipe.student.structure.weight)
        changed = dataclasses.replace(recipe.student.structure, weight=weight, **options)
        return having(student__structure=changed)(recipe)

    return change


def absgrad(recipe: Recipe) -> Recipe:
    """Absolute gradients are about four times as large (gsplat's 8e-4 for 2e-4)."""
    densify = recipe.teachers.optimise.densify
    densify = dataclasses.replace(densify, absgrad=True, grad_threshold=4 * densify.grad_threshold)
    return having(teachers__optimise__densify=densify)(recipe)


def removals(stages: int) -> Change:
    """So many removals over the base's window.

    A single one comes at its beginning, to leave as much time; on the points route growth has to end before.
    """

    def change(recipe: Recipe) -> Recipe:
        simplify: Simplify = recipe.student.simplify
        is_first = stages == 1 and recipe.student.route == "teacher"
        last = simplify.start if is_first else simplify.stop
        simplify = dataclasses.replace(simplify, stages=stages, stop=last)
        return having(student__simplify=simplify)(recipe)

    return change


def mcmc(recipe: Recipe) -> Recipe:
    """With the regularisers that it wants; without the teacher disturbed by gradients, as none are summed."""
    options = {"densify__method": "mcmc", "opacity_reg": 0.01, "scale_reg": 0.01}
    kinds = tuple(kind for kind in recipe.teachers.kinds if kind != "perturbed")
    changed = {f"teachers__optimise__{name}": value for name, value in options.items()}
    return having(teachers__kinds=kinds, **changed)(recipe)


def no_labels(recipe: Recipe) -> Recipe:
    """Neither at training views nor at unseen poses."""
    return having(student__label_weight=0.0, student__poses__share=0.0)(recipe)


def one_teacher(recipe: Recipe) -> Recipe:
    """Labels of the vanilla teacher alone; the others are there, as the student may start from one."""
    return having(labels__perturbed=0.0, labels__dropout=0.0)(recipe)


def regrow(recipe: Recipe) -> Recipe:
    """Up to three quarters of the student's steps, so that what was split settles; from the teacher only."""
    stop = round(0.75 * recipe.student.optimise.steps)
    options = {"route": "teacher", "simplify__regrow": 0.05, "simplify__regrow_stop": stop}
    return having(**{f"student__{name}": value for name, value in options.items()})(recipe)


def unseen_late(recipe: Recipe) -> Recipe:
    """In the second half of the steps only."""
    steps = recipe.student.optimise.steps
    options = {"share": 0.5, "start": steps // 2, "stop": steps}
    return having(**{f"student__poses__{name}": value for name, value in options.items()})(recipe)


def photo_and_label(photo: float, label: float) -> Change:
    """Weights of the colour losses against photo and label."""
    return having(student__photo_weight=photo, student__label_weight=label)
