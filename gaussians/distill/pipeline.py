"""The distillation as a plan of stages, and what each of them takes from those before it.

trunk ─┬─ vanilla    ─┐                                vanilla ─┬──────────────┐
       ├─ perturbed  ─┼─ labels ── student    or               ├─ perturbed  ─┼─ labels ── student
       └─ dropout    ─┘                                        └─ dropout    ─┘

where on the right the teachers but vanilla are compact: it is pruned to what they keep. The student is
pruned from vanilla, or from a compact teacher.

Which stage runs when, and what is kept between them, is the session's business.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gaussians.camera import Camera
from gaussians.distill.budget import parse_budget
from gaussians.distill.labels import Blending
from gaussians.distill.poses import unseen_poses
from gaussians.distill.recipe import Recipe
from gaussians.scene.types import Scene

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
    """The number of the first view or pose that has a label: a student may look at those of poses alone.

    Where it looks at none, views have theirs all the same, as the teachers are compared by them.
    """
    return views if recipe.student.label_weight == 0 and recipe.student.poses.share > 0 else 0


def label_set(recipe: Recipe) -> tuple[object, ...]:
    """What decides, on a scene, which labels are rendered: equal where recipes want the same ones."""
    poses = recipe.student.poses
    drawn = (poses.count, poses.jitter, recipe.seed) if poses.share > 0 else ()
    return (first_label(recipe, 1), *drawn)


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
    """Where labels are rendered from: training views and unseen poses, see `first_label`."""
    cameras = [view.camera for view in scene.train]
    return (cameras + student_poses(scene, recipe))[first_label(recipe, len(cameras)) :]


def student_poses(scene: Scene, recipe: Recipe) -> list[Camera]:
    """The unseen poses that the student looks at, if any."""
    return unseen_poses([view.camera for view in scene.train], recipe.student.poses, recipe.seed)


def blending(scene: Scene, recipe: Recipe) -> Blending:
    """How the teachers' renders become labels."""
    return Blending(recipe.labels.combine, recipe.labels.agreement, tuple(view.image for view in scene.train))


def is_compact(stage: Stage, recipe: Recipe) -> bool:
    """Whether the stage trains a compact teacher, which starts from the finished vanilla one."""
    return recipe.teachers.compact < 1 and stage.name in recipe.teachers.kinds[1:]


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
