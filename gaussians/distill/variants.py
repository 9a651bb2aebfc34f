"""What an ablation compares: teacher sets and student recipes, each a change of one base recipe.

To add a variant, add a line to `VARIANTS` that names the options it changes, or a function where options
follow from others; to add teachers, a line to `TEACHER_SETS`. Every variant trains as many steps as the base
recipe, one view each; its count is the ablation's business.
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from gaussians.distill.presets import recipe as preset
from gaussians.distill.recipe import Recipe, Simplify, Teachers
from gaussians.distill.recipe_check import check_recipe
from gaussians.errors import RecipeError

Change = Callable[[Recipe], Recipe]

FORKS = "forks"
"""The teacher set of variants that name none; all budgets count from its vanilla teacher."""
BASE, PHOTOS_ONLY = "base", "photos-only"
JOIN = "+"
_NEVER = 1_000_000  # steps; longer than any run


@dataclass(frozen=True)
class TeacherSet:
    """Teachers that are trained once for all variants that learn from them.

    Attributes:
        name: of it.
        description: one line.
        change: of the base recipe's teachers.
    """

    name: str
    description: str
    change: Change


@dataclass(frozen=True)
class Variant:
    """A student recipe, and whom it learns from.

    Attributes:
        name: of it.
        group: of the question it answers.
        description: one line.
        change: of the base recipe's student and labels.
        teachers: the name of a teacher set.
        only: those of the set's teachers that take part, the first of which the student may start from; none:
            all.
    """

    name: str
    group: str
    description: str
    change: Change
    teachers: str = FORKS
    only: tuple[str, ...] = ()


def having(**options: Any) -> Change:
    """A change that sets options by their paths, with __ for the dot: student__label_weight=0.0."""
    return lambda recipe: reduce(_set, ((path.split("__"), value) for path, value in options.items()), recipe)


def _set(config: Any, assignment: tuple[list[str], Any]) -> Any:
    (name, *rest), value = assignment
    return dataclasses.replace(
        config, **{name: _set(getattr(config, name), (rest, value)) if rest else value}
    )


def _unchanged(recipe: Recipe) -> Recipe:
    return recipe


def _paper(steps: int) -> Recipe:
    """Distilled-3DGS's recipe, its schedules stretched to these steps."""
    paper = preset("paper")
    return paper.scaled(steps / paper.student.optimise.steps)


def _paper_teachers(recipe: Recipe) -> Recipe:
    """The paper's, as many steps as the base's."""
    return dataclasses.replace(recipe, teachers=_paper(recipe.teachers.optimise.steps).teachers)


def _paper_student(recipe: Recipe) -> Recipe:
    """The paper's, as many steps as the base's."""
    return dataclasses.replace(recipe, student=_paper(recipe.student.optimise.steps).student)


def _from_points(recipe: Recipe) -> Recipe:
    """The paper's route at its pace, with the base's losses and the growth of the base's teachers."""
    paper, base = _paper(recipe.student.optimise.steps).student, recipe.student
    grown = recipe.teachers.optimise.densify
    pace = paper.optimise.densify
    densify = dataclasses.replace(grown, start=pace.start, stop=pace.stop, reset_every=_NEVER)
    optimise = dataclasses.replace(base.optimise, sh_every=paper.optimise.sh_every, densify=densify)
    simplify = dataclasses.replace(paper.simplify, importance=base.simplify.importance, mass=1.0)
    student = dataclasses.replace(base, route="points", optimise=optimise, simplify=simplify)
    return dataclasses.replace(recipe, student=student)


def _absgrad(recipe: Recipe) -> Recipe:
    """Absolute gradients are about four times as large (gsplat's 8e-4 for 2e-4)."""
    densify = recipe.teachers.optimise.densify
    densify = dataclasses.replace(densify, absgrad=True, grad_threshold=4 * densify.grad_threshold)
    return having(teachers__optimise__densify=densify)(recipe)


def _removals(stages: int) -> Change:
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


def _undisturbed(fork: int | None) -> Change:
    """Three teachers that differ by nothing but their draws, from this fork on; None: from the base's."""

    def change(recipe: Recipe) -> Recipe:
        teachers: Teachers = recipe.teachers
        return dataclasses.replace(
            recipe,
            teachers=dataclasses.replace(
                teachers,
                fork=teachers.fork if fork is None else fork,
                perturb=dataclasses.replace(teachers.perturb, std=0.0),
                dropout=dataclasses.replace(teachers.dropout, rate=0.0),
            ),
        )

    return change


def _photo_and_label(photo: float, label: float) -> Change:
    return having(student__photo_weight=photo, student__label_weight=label)


TEACHER_SETS = (
    TeacherSet(FORKS, "the recipe's own: kinds that share a trunk", _unchanged),
    TeacherSet("independent", "the recipe's kinds, each from the points on", having(teachers__fork=0)),
    TeacherSet("twins", "vanilla three times: forks that only draw otherwise", _undisturbed(None)),
    TeacherSet(
        "independent-twins",
        "vanilla three times, each from the points on",
        _undisturbed(0),
    ),
    TeacherSet("absgrad", "the recipe's kinds, grown by absolute 2-D gradients", _absgrad),
    TeacherSet("paper", "Distilled-3DGS's teachers, as published", _paper_teachers),
)

VARIANTS = (
    Variant(BASE, "controls", "the recipe as it is", _unchanged),
    Variant(
        PHOTOS_ONLY,
        "controls",
        "the same route with neither labels nor structural loss",
        having(student__label_weight=0.0, student__structure__weight=0.0),
    ),
    Variant("paper", "the paper", "Distilled-3DGS: its teachers and its student", _paper_student, "paper"),
    Variant("paper-student", "the paper", "its student, of the base's teachers", _paper_student),
    Variant("one-teacher", "teachers", "labels of the vanilla teacher alone", _unchanged, only=("vanilla",)),
    Variant("twins", "teachers", "three same-kind teachers that share a trunk", _unchanged, "twins"),
    Variant("independent", "teachers", "three kinds, without a shared trunk", _unchanged, "independent"),
    Variant(
        "independent-twins", "teachers", "three same-kind teachers, no trunk", _unchanged, "independent-twins"
    ),
    Variant("absgrad", "teachers", "teachers grown by absolute gradients", _unchanged, "absgrad"),
    Variant("no-structure", "structural loss", "without it", having(student__structure__weight=0.0)),
    *(
        Variant(
            f"structure-{grid}",
            "structural loss",
            f"joint histogram of {grid}³ voxels",
            having(student__structure__grid=grid),
        )
        for grid in (32, 64, 128, 256)
    ),
    Variant(
        "structure-opacity",
        "structural loss",
        "a Gaussian counts by its opacity",
        having(student__structure__by_opacity=True),
    ),
    Variant("from-points", "route", "start from the points, by the paper's route", _from_points),
    Variant("one-shot", "route", "all is removed at once", _removals(1)),
    Variant("two-rounds", "route", "two removals", _removals(2)),
    Variant("gradual", "route", "twenty removals", _removals(20)),
    Variant("area", "route", "importance per pixel touched", having(student__simplify__importance="area")),
    Variant("no-labels", "labels", "structural loss, but no labels", having(student__label_weight=0.0)),
    Variant("labels-20", "labels", "photo to label 0.8 : 0.2", _photo_and_label(0.8, 0.2)),
    Variant("labels-40", "labels", "photo to label 0.6 : 0.4", _photo_and_label(0.6, 0.4)),
    Variant("labels-60", "labels", "photo to label 0.4 : 0.6", _photo_and_label(0.4, 0.6)),
    Variant("labels-only", "labels", "no photos", _photo_and_label(0.0, 1.0)),
    *(
        Variant(
            f"sh-{degree}",
            "colour",
            f"spherical harmonics of degree {degree}: a smaller file",
            having(student__optimise__sh_degree=degree),
        )
        for degree in (2, 1, 0)
    ),
)


def variant(name: str) -> Variant:
    """The variant of that name; "a+b" is a's changes and then b's.

    Raises:
        RecipeError: no such variant; or both bring their own teachers.
    """
    known = {each.name: each for each in VARIANTS}
    parts = []
    for part in name.split(JOIN):
        if part not in known:
            raise RecipeError(f'variant "{part}": not known; `main.py ablate --variants list` shows all')
        parts.append(known[part])
    return parts[0] if len(parts) == 1 else _joined(name, parts)


def _joined(name: str, parts: Sequence[Variant]) -> Variant:
    taught = [part for part in parts if part.teachers != FORKS or part.only]
    if len(taught) > 1:
        names = " and ".join(part.name for part in taught)
        raise RecipeError(f'variant "{name}": {names} each bring their own teachers; join others')
    whose = taught[0] if taught else parts[0]
    return Variant(
        name=name,
        group="joined",
        description="; ".join(part.description for part in parts),
        change=lambda recipe: reduce(lambda changed, part: part.change(changed), parts, recipe),
        teachers=whose.teachers,
        only=whose.only,
    )


def teacher_set(name: str) -> TeacherSet:
    """The teacher set of that name, which a variant names."""
    return next(each for each in TEACHER_SETS if each.name == name)


def teacher_recipe(base: Recipe, of: TeacherSet) -> Recipe:
    """The base recipe with these teachers. Raises RecipeError: they contradict the base's options."""
    return _checked(of.change(base), base, f"teacher set {of.name}")


def student_recipe(base: Recipe, of: Variant, budget: str) -> Recipe:
    """The recipe of a variant's run, teachers included, at this budget.

    Raises:
        RecipeError: the variant contradicts the base's options, or would train for other steps than the base.
    """
    changed = having(student__budget=budget)(teacher_set(of.teachers).change(of.change(base)))
    if changed.student.optimise.steps != base.student.optimise.steps:
        raise RecipeError(f"variant {of.name}: trains for other steps than the base, which would be unfair")
    return _checked(changed, base, f"variant {of.name}")


def _checked(recipe: Recipe, base: Recipe, what: str) -> Recipe:
    recipe = dataclasses.replace(recipe, name=base.name, seed=base.seed)
    try:
        check_recipe(recipe)
    except RecipeError as error:
        raise RecipeError(f"{what}: {error}") from error
    return recipe
