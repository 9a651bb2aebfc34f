"""What an ablation compares: teacher sets and student recipes, each a change of one base recipe.

To add a variant, add a line to `VARIANTS` that names the options it changes, or a function of
variant_changes.py where options follow from others; to add teachers, a line to `TEACHER_SETS`. Every variant
trains as many steps as the base recipe, one view each; its count is the ablation's business.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

from gaussians.distill.recipe import Recipe
from gaussians.distill.recipe_check import check_recipe
from gaussians.distill.variant_changes import (
    TWINS,
    Change,
    absgrad,
    forks,
    from_points,
    having,
    independent,
    mcmc,
    no_labels,
    one_teacher,
    paper_student,
    paper_teachers,
    photo_and_label,
    regrow,
    removals,
    structure,
    unchanged,
    unseen_late,
)
from gaussians.errors import RecipeError

OWN = "own"
"""The teacher set of variants that name none; all budgets count from its vanilla teacher."""
BASE, PHOTOS_ONLY = "base", "photos-only"
JOIN = "+"


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
    """

    name: str
    group: str
    description: str
    change: Change
    teachers: str = OWN


TEACHER_SETS = (
    TeacherSet(OWN, "the recipe's own", unchanged),
    TeacherSet("forks", "the recipe's kinds at full size, sharing a trunk", forks),
    TeacherSet("independent", "the recipe's kinds at full size, each from the points on", independent),
    TeacherSet("twins", "vanilla three times: others only draw otherwise", having(teachers__kinds=TWINS)),
    TeacherSet(
        "independent-twins",
        "vanilla three times, each from the points on",
        lambda recipe: independent(having(teachers__kinds=TWINS)(recipe)),
    ),
    TeacherSet("absgrad", "the recipe's own, grown by absolute 2-D gradients", absgrad),
    TeacherSet("paper", "Distilled-3DGS's teachers, as published", paper_teachers("paper")),
    TeacherSet("paper-code", "the same as its released code trains them", paper_teachers("paper-code")),
    TeacherSet("mcmc", "the recipe's own but perturbed, grown by MCMC", mcmc),
)

VARIANTS = (
    Variant(BASE, "controls", "the recipe as it is", unchanged),
    Variant(
        PHOTOS_ONLY,
        "controls",
        "the same route with neither labels nor structural loss",
        having(student__label_weight=0.0, student__poses__share=0.0, student__structure__weight=0.0),
    ),
    Variant(
        "paper", "the paper", "Distilled-3DGS: its teachers and its student", paper_student("paper"), "paper"
    ),
    Variant("paper-student", "the paper", "its student, of the base's teachers", paper_student("paper")),
    Variant(
        "paper-code",
        "the paper",
        "the same as its released code weighs it",
        paper_student("paper-code"),
        "paper-code",
    ),
    Variant("one-teacher", "teachers", "labels of the vanilla teacher alone", one_teacher),
    Variant("twins", "teachers", "three same-kind teachers, made as the recipe's own", unchanged, "twins"),
    Variant("forks", "teachers", "three kinds at full size, sharing a trunk", unchanged, "forks"),
    Variant("independent", "teachers", "three kinds at full size, without a trunk", unchanged, "independent"),
    Variant(
        "independent-twins", "teachers", "three same-kind teachers, no trunk", unchanged, "independent-twins"
    ),
    Variant("absgrad", "teachers", "teachers grown by absolute gradients", unchanged, "absgrad"),
    Variant("mcmc", "teachers", "teachers grown by MCMC", unchanged, "mcmc"),
    Variant("no-structure", "structural loss", "without it", having(student__structure__weight=0.0)),
    *(
        Variant(
            f"structure-{grid}", "structural loss", f"joint histogram of {grid}³ voxels", structure(grid=grid)
        )
        for grid in (32, 64, 128, 256)
    ),
    Variant(
        "structure-opacity",
        "structural loss",
        "a Gaussian counts by its opacity",
        structure(by_opacity=True),
    ),
    Variant(
        "structure-separable",
        "structural loss",
        "a histogram along each axis, as in the released code",
        structure(kind="separable"),
    ),
    Variant(
        "from-vanilla",
        "route",
        "start from vanilla, though a compact teacher is there",
        having(student__start="vanilla"),
    ),
    Variant("from-points", "route", "start from the points, by the paper's route", from_points),
    Variant("one-shot", "route", "all is removed at once", removals(1)),
    Variant("two-rounds", "route", "two removals", removals(2)),
    Variant("gradual", "route", "twenty removals", removals(20)),
    *(
        Variant(f"by-{kind}", "route", what, having(student__simplify__importance=kind))
        for kind, what in (
            ("weight", "importance is the summed blend weight"),
            ("area", "importance is the blend weight per pixel touched"),
            ("opacity", "importance is opacity"),
            ("effect", "importance is the effect of removal"),
        )
    ),
    Variant("last-step", "route", "no running mean of the weights", having(student__optimise__average=0.0)),
    Variant("memory", "route", "importance averaged over removals", having(student__simplify__memory=0.8)),
    Variant(
        "forgetful", "route", "importance of each removal's own views", having(student__simplify__memory=0.0)
    ),
    Variant("regrow", "route", "5 % replaced at a time after the removals", regrow),
    Variant("no-labels", "labels", "the structural loss, if the base has it, but no labels", no_labels),
    Variant("labels-20", "labels", "photo to label 0.8 : 0.2", photo_and_label(0.8, 0.2)),
    Variant("labels-40", "labels", "photo to label 0.6 : 0.4", photo_and_label(0.6, 0.4)),
    Variant("labels-60", "labels", "photo to label 0.4 : 0.6", photo_and_label(0.4, 0.6)),
    Variant("labels-only", "labels", "no photos", photo_and_label(0.0, 1.0)),
    Variant(
        "annealed",
        "labels",
        "photo to label 2 : 1 at first, to none at the end",
        having(student__label_weight=0.5, student__label_final=0.0),
    ),
    Variant("median", "labels", "the teachers' median", having(labels__combine="median")),
    Variant("nearest", "labels", "the teacher nearest to the mean", having(labels__combine="nearest")),
    Variant(
        "agreement",
        "labels",
        "photo to label 2 : 1, and by the teachers' agreement, pixel by pixel",
        having(student__label_weight=0.5, labels__agreement=0.05),
    ),
    *(
        Variant(
            f"unseen-{share}",
            "unseen poses",
            f"{share} % of the window's steps",
            having(student__poses__share=share / 100),
        )
        for share in (30, 50)
    ),
    Variant("unseen-late", "unseen poses", "half of the steps, from half-time on", unseen_late),
    Variant(
        "unseen-wide",
        "unseen poses",
        "25 % of the steps, farther around the cameras",
        having(student__poses__share=0.25, student__poses__jitter=0.5),
    ),
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
    taught = [part for part in parts if part.teachers != OWN]
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
