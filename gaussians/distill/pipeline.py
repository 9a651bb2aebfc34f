"""The distillation as a plan of stages, and how each stage's optimisation is set up.

trunk ─┬─ vanilla    ─┐                                vanilla ─┬──────────────┐
       ├─ perturbed  ─┼─ labels ── student    or               ├─ perturbed  ─┼─ labels ── student
       └─ dropout    ─┘                                        └─ dropout    ─┘

where on the right the teachers but vanilla are compact: it is pruned to what they keep. The student is
pruned from vanilla, or from a compact teacher.

Which stage runs when, and what is kept between them, is the session's business.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from gaussians.camera import Camera
from gaussians.distill.budget import parse_budget
from gaussians.distill.dropout import Dropout
from gaussians.distill.importance import Lookout
from gaussians.distill.labels import Blending, Labels
from gaussians.distill.perturb import Perturbation
from gaussians.distill.poses import PoseOrder, unseen_poses
from gaussians.distill.recipe import Recipe
from gaussians.distill.regrow import Regrowth
from gaussians.distill.simplify import PaperRefinement, StagedPrune
from gaussians.distill.structure import structural_loss
from gaussians.distill.student import StudentObjective
from gaussians.model import Gaussians
from gaussians.ranks import ALONE, Ranks
from gaussians.scene.types import Scene
from gaussians.train.free_space import FreeSpace
from gaussians.train.initial import gaussians_from_points
from gaussians.train.optimisation import Optimisation
from gaussians.train.recipe import Optimise
from gaussians.train.refine import default_refinement
from gaussians.train.variation import Variation

TRUNK, LABELS, STUDENT, ENSEMBLE = "trunk", "labels", "student", "ensemble"


@dataclass(frozen=True)
class Stage:
    """A stretch of the pipeline.

    Attributes:
        name: unique in the run: "trunk", a teacher's name, "labels" or "student".
        model: what it makes; the trunk is the vanilla teacher's youth.
        first, last: training steps done before and after; for "labels" the number of poses; both 0
            for a teacher that is given.
    """

    name: str
    model: str
    first: int
    last: int


def plan(recipe: Recipe, views: int, given: Sequence[str] = ()) -> tuple[Stage, ...]:
    """All stages of a run in their order.

    Args:
        recipe: what to train.
        views: training views of the scene.
        given: names of teachers that are there already; with any, none is trained.
    """
    teachers = recipe.teachers
    labels = label_count(recipe, views)
    student = [Stage(LABELS, ENSEMBLE, 0, labels), Stage(STUDENT, STUDENT, 0, recipe.student.optimise.steps)]
    if given:
        return (*(Stage(name, name, 0, 0) for name in given), *student)
    steps = teachers.optimise.steps
    if teachers.compact < 1:
        vanilla, *others = teachers.kinds
        compact = [Stage(kind, kind, 0, teachers.compact_steps) for kind in others]
        return (Stage(vanilla, vanilla, 0, steps), *compact, *student)
    fork = teachers.fork
    stages = [Stage(kind, kind, fork, steps) for kind in teachers.kinds]
    if fork > 0:
        stages.insert(0, Stage(TRUNK, teachers.kinds[0], 0, fork))
    return (*stages, *student)


def label_count(recipe: Recipe, views: int) -> int:
    """How many labels a run with so many training views renders."""
    poses = recipe.student.poses
    return views - first_label(recipe, views) + (poses.count if poses.share > 0 else 0)


def first_label(recipe: Recipe, views: int) -> int:
    """The number of the first view or pose that has a label: a student may look at those of poses alone."""
    return views if recipe.student.label_weight == 0 and recipe.student.poses.share > 0 else 0


def waves(stages: Sequence[Stage], recipe: Recipe) -> list[list[Stage]]:
    """The teachers' stages of a plan: those in one list need all of the lists before, and not each other.

    Args:
        stages: as `plan` made them.
        recipe: of the same run.
    """
    teachers = [stage for stage in stages if stage.name not in (LABELS, STUDENT)]
    needs_first = teachers[0].name == TRUNK or any(is_compact(stage, recipe) for stage in teachers)
    return [teachers[:1], teachers[1:]] if needs_first and len(teachers) > 1 else [teachers]


def label_weights(recipe: Recipe, teachers: Sequence[str]) -> dict[str, float]:
    """The weight of each teacher in the soft labels; 1 for those that the recipe doesn't know."""
    return {name: recipe.labels.weight(name) for name in teachers}


def label_cameras(scene: Scene, recipe: Recipe) -> list[Camera]:
    """Where labels are rendered from, as far as the student looks at them: training views, unseen poses."""
    cameras = [view.camera for view in scene.train]
    return (cameras + _poses(scene, recipe))[first_label(recipe, len(cameras)) :]


def _poses(scene: Scene, recipe: Recipe) -> list[Camera]:
    """The unseen poses, if the student has any."""
    return unseen_poses([view.camera for view in scene.train], recipe.student.poses, recipe.seed)


def blending(scene: Scene, recipe: Recipe) -> Blending:
    """How the teachers' renders become labels."""
    return Blending(recipe.labels.combine, recipe.labels.agreement, tuple(view.image for view in scene.train))


def is_compact(stage: Stage, recipe: Recipe) -> bool:
    """Whether the stage trains a compact teacher, which starts from the finished vanilla one."""
    return recipe.teachers.compact < 1 and stage.name in recipe.teachers.kinds[1:]


def teacher_optimisation(stage: Stage, scene: Scene, recipe: Recipe, device: torch.device) -> Optimisation:
    """The optimisation of the trunk or of a teacher, at step 0; one that forks then loads the trunk's state.

    An independent teacher draws views and splits in its own stream; forks share the trunk's stream up to the
    fork and have their own beyond it.
    """
    optimise = recipe.teachers.optimise
    return Optimisation(
        gaussians_from_points(scene.points, optimise, extent=scene.extent, device=device),
        scene.train,
        optimise,
        extent=scene.extent,
        background=scene.background,
        seed=recipe.seed,
        stream=stage.name,
        device=device,
        variation=_variation(stage.name, scene, recipe),
        free=_free_space(scene, optimise),
    )


def compact_teacher_optimisation(
    stage: Stage,
    scene: Scene,
    recipe: Recipe,
    vanilla: Gaussians,
    device: torch.device,
    breathe: Callable[[], None] | None = None,
) -> Optimisation:
    """The optimisation of a compact teacher at step 0; `breathe` is called in long steps.

    A student of photos alone, on the route from the teacher whichever is the student's own, disturbed as its
    kind wants it.
    """
    teachers, student = recipe.teachers, recipe.student
    coarse = teachers.optimise.coarse  # as long as it is still large, and so slow
    last = min(student.simplify.stop, teachers.compact_steps // 2)
    optimise = dataclasses.replace(
        student.optimise,
        steps=teachers.compact_steps,
        batch=teachers.optimise.batch,  # no more work for a teacher where several ranks share the student's
        sh_degree=teachers.optimise.sh_degree,
        sh_every=0,
        clearance=teachers.optimise.clearance,
        coarse=dataclasses.replace(coarse, stop=min(coarse.stop, last), most=2),
    )
    inner = None
    if stage.name == "perturbed":
        # Growth that never comes gathers the gradients by which Gaussians are disturbed.
        stop = teachers.perturb.stop
        densify = teachers.optimise.densify
        densify = dataclasses.replace(densify, start=stop, stop=stop, reset_every=stop + 1)
        inner = default_refinement(densify, scene.extent)
    budget = max(1, round(teachers.compact * len(vanilla)))
    simplify = dataclasses.replace(student.simplify, start=min(student.simplify.start, last), stop=last)
    lookout = Lookout.of(scene.train, scene.background, breathe, most=simplify.most)
    return Optimisation(
        vanilla,
        scene.train,
        optimise,
        extent=scene.extent,
        background=scene.background,
        seed=recipe.seed,
        stream=stage.name,
        device=device,
        variation=_variation(stage.name, scene, recipe),
        refinement=StagedPrune(simplify, budget, lookout, inner),
        free=_free_space(scene, optimise),
    )


def _variation(kind: str, scene: Scene, recipe: Recipe) -> Variation | None:
    """What disturbs a teacher of that kind."""
    teachers = recipe.teachers
    if kind == "perturbed":
        return Perturbation(teachers.perturb, teachers.optimise.densify, scene.extent)
    return Dropout(teachers.dropout) if kind == "dropout" else None


def student_budget(recipe: Recipe, vanilla_count: int) -> int:
    """How many Gaussians the student may end with. Raises RecipeError."""
    return parse_budget(recipe.student.budget).count(vanilla_count, recipe.student.optimise.sh_degree)


def student_start(recipe: Recipe, counts: Mapping[str, int]) -> str:
    """The teacher that the student is pruned from.

    "smallest" takes a compact teacher that has the Gaussians for the budget, of several the smallest, of
    equal ones the earliest: it has been through most of what the student has to do. Vanilla where there is
    none; teachers of more than three quarters of its size are not compact.

    Args:
        recipe: its budget and `student.start`.
        counts: Gaussians of each teacher by name, vanilla first.

    Raises:
        RecipeError: the budget is no budget.
    """
    vanilla, *others = counts
    if recipe.student.start == "vanilla":
        return vanilla
    budget = student_budget(recipe, counts[vanilla])
    fitting = [name for name in others if budget <= counts[name] <= 0.75 * counts[vanilla]]
    return min(fitting, key=lambda name: counts[name], default=vanilla)


def student_optimisation(
    scene: Scene,
    recipe: Recipe,
    teachers: Mapping[str, Gaussians],
    labels: Labels,
    device: torch.device,
    breathe: Callable[[], None] | None = None,
    ranks: Ranks = ALONE,
) -> Optimisation:
    """The student's optimisation at step 0, by the recipe's route.

    Args:
        scene, recipe: what to train on, and how.
        teachers: vanilla, first, and that of `student_start`; others are not looked at.
        labels: see `StudentObjective`.
        device: where.
        breathe: called in long steps.
        ranks: that share its steps.

    Raises:
        RecipeError: the budget is no budget.
    """
    student = recipe.student
    counts = {name: len(teacher) for name, teacher in teachers.items()}
    vanilla, teacher = next(iter(teachers.values())), teachers[student_start(recipe, counts)]
    lookout = Lookout.of(scene.train, scene.background, breathe, ranks, student.simplify.most)
    budget = student_budget(recipe, len(vanilla))
    if student.route == "points":
        start = gaussians_from_points(scene.points, student.optimise, extent=scene.extent, device=device)
        inner = default_refinement(student.optimise.densify, scene.extent)
        refinement: StagedPrune = PaperRefinement(
            student.simplify, budget, lookout, inner, student.optimise.initial_opacity
        )
    elif student.simplify.regrow > 0:
        start, refinement = teacher, Regrowth(student.simplify, budget, lookout, scene.extent)
    else:
        start, refinement = teacher, StagedPrune(student.simplify, budget, lookout)
    structure = None
    if student.structure.weight > 0:
        weights = vanilla.opacities if student.structure.by_opacity else None
        settings = student.structure
        structure = structural_loss(settings.kind, vanilla.means.to(device), settings.grid, weights)
    further = _poses(scene, recipe)
    return Optimisation(
        start,
        scene.train,
        student.optimise,
        extent=scene.extent,
        background=scene.background,
        seed=recipe.seed,
        stream=STUDENT,
        device=device,
        objective=StudentObjective(scene.train, labels, student, structure, device),
        refinement=refinement,
        further=further,
        order=PoseOrder(student.poses, len(scene.train)) if further else None,
        ranks=ranks,
        free=_free_space(scene, student.optimise),
    )


def _free_space(scene: Scene, optimise: Optimise) -> FreeSpace | None:
    """What an optimisation has to keep clear."""
    return FreeSpace.of([view.camera for view in scene.train], scene.points.xyz, optimise.clearance)
