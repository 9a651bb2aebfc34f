"""Whether a recipe can be carried out: its bounds, its choices, and how its schedules fit together."""

from gaussians.distill.budget import parse_budget
from gaussians.distill.recipe import TEACHER_KINDS, Recipe, Student, Teachers
from gaussians.errors import RecipeError
from gaussians.options import check_bounds

ROUTES = ("teacher", "points")
STARTS = ("vanilla", "smallest")
IMPORTANCES = ("weight", "area", "opacity", "effect")
METHODS = ("gradient", "mcmc")
COMBINATIONS = ("mean", "median", "nearest")
STRUCTURES = ("joint", "separable")
UNITS = ("size", "world")


def check_recipe(recipe: Recipe) -> None:
    """Check everything about a recipe that does not depend on the scene.

    Raises:
        RecipeError: names the option by its dotted path, its value and what it may be.
    """
    check_bounds(recipe)
    for path, optimise in (("teachers", recipe.teachers.optimise), ("student", recipe.student.optimise)):
        _check_choice(f"{path}.optimise.densify.method", optimise.densify.method, METHODS)
    _check_student(recipe.student)
    _check_teachers(recipe.teachers)
    _check_choice("labels.combine", recipe.labels.combine, COMBINATIONS)
    # Even where the student does not learn from labels, they are measured.
    if not any(recipe.labels.weight(kind) for kind in recipe.teachers.kinds):
        raise RecipeError("labels: every teacher that is trained has weight 0; raise one of them")
    if recipe.student.route == "points":
        _check_route_from_points(recipe.student)


def _check_teachers(teachers: Teachers) -> None:
    _check_choice("teachers.perturb.unit", teachers.perturb.unit, UNITS)
    for kind in teachers.kinds:
        _check_choice("teachers.kinds", kind, TEACHER_KINDS)
    if teachers.kinds[:1] != ("vanilla",) or len(set(teachers.kinds)) < len(teachers.kinds):
        raise RecipeError(
            f"teachers.kinds = {', '.join(teachers.kinds)}: must name each once, and vanilla first, "
            "since the budget is counted in its Gaussians"
        )
    _check_order("teachers.fork", teachers.fork, "teachers.optimise.steps", teachers.optimise.steps)
    if teachers.compact < 1 and teachers.fork > 0:
        raise RecipeError(
            f"teachers.fork = {teachers.fork}, teachers.compact = {teachers.compact}: compact teachers "
            "start from the finished vanilla one; set fork to 0 or compact to 1"
        )
    if "perturbed" in teachers.kinds and teachers.optimise.densify.method == "mcmc":
        raise RecipeError(
            "teachers.kinds: perturbed disturbs by 2-D gradients, which mcmc does not gather; leave it out"
        )


def _check_student(student: Student) -> None:
    _check_choice("student.route", student.route, ROUTES)
    _check_choice("student.start", student.start, STARTS)
    _check_choice("student.structure.kind", student.structure.kind, STRUCTURES)
    _check_choice("student.simplify.importance", student.simplify.importance, IMPORTANCES)
    # A file too small for a single Gaussian is too small for any teacher's share.
    parse_budget(student.budget).count(1, student.optimise.sh_degree)
    if student.optimise.random_background:
        raise RecipeError(
            "student.optimise.random_background = true: is for teachers; labels have no transparency, "
            "so what a student learns from lies on the scene's background"
        )
    if student.photo_weight == 0 and student.label_weight == 0:
        raise RecipeError("student.photo_weight and student.label_weight: both are 0; raise one of them")
    simplify, steps = student.simplify, student.optimise.steps
    _check_order("student.simplify.start", simplify.start, "student.simplify.stop", simplify.stop)
    _check_order("student.simplify.stop", simplify.stop, "student.optimise.steps", steps, apart=1)
    _check_order("student.poses.start", student.poses.start, "student.poses.stop", student.poses.stop)


def _check_route_from_points(student: Student) -> None:
    simplify, grown = student.simplify, student.optimise.densify.stop
    if simplify.regrow > 0:
        raise RecipeError(
            f"student.simplify.regrow = {simplify.regrow}: is for the route from the teacher; "
            "from points, densification grows"
        )
    # The draw at the start and the last removal are different things, and the last must end all growth.
    _check_order("student.simplify.start", simplify.start, "student.simplify.stop", simplify.stop, apart=1)
    _check_order("student.optimise.densify.stop", grown, "student.simplify.stop", simplify.stop)


def _check_choice(path: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise RecipeError(f'{path} = "{value}": must be one of {", ".join(choices)}')


def _check_order(early: str, early_step: int, late: str, late_step: int, *, apart: int = 0) -> None:
    if early_step + apart > late_step:
        relation = "come before" if apart else "not come after"
        raise RecipeError(f"{early} = {early_step}: must {relation} {late} = {late_step}")
