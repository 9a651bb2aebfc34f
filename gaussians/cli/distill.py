"""`main.py distill`: train teachers and a student, headless, in a run directory that can be resumed."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
import tyro

from gaussians.cli.console import Console
from gaussians.cli.flags import SceneFlags, absolute, check_save_every, parse
from gaussians.cli.recipe_flags import make_recipe
from gaussians.cli.sources import resumed_scene
from gaussians.cli.stopping import STOPPED, stop_requests
from gaussians.distill.pipeline import ENSEMBLE, LABELS, STUDENT, TRUNK
from gaussians.distill.recipe import Recipe
from gaussians.distill.variant_changes import having, independent
from gaussians.errors import RecipeError, RunError
from gaussians.io import read_splat, readable_suffixes
from gaussians.ranks import launched
from gaussians.scene import Scene, SceneOptions
from gaussians.session.clock import SAVE_EVERY
from gaussians.session.directory import CAMERAS_FOLDER, RunDirectory, RunPlan
from gaussians.session.events import RunFinished
from gaussians.session.kernel_process import compile_apart
from gaussians.session.machine import choose_device
from gaussians.session.memory_plan import as_fitted, fitted, smaller
from gaussians.session.run import Run
from gaussians.session.scenes import load_views
from gaussians.session.search import Search, begin_search, parse_tolerance, searched_within

DEMO = Path(__file__).resolve().parents[2] / "assets" / "demo"
RUNS = Path("runs")
DESCRIPTION = "Train teachers on a scene and distil them into a compact student."


@dataclass(frozen=True)
class Flags:
    """The flags of `distill`. None: not given, so the recipe's, or when resuming the run's, value holds."""

    scene: Annotated[Path | None, tyro.conf.Positional] = None
    """Folder: COLMAP, transforms.json, or just photos. Default: renders of --teacher, or the demo."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Run directory to create (default: runs/NAME)."""
    recipe: Annotated[str | None, tyro.conf.arg(metavar="NAME|FILE")] = None
    """preview (a minute on the demo), fast, paper, paper-code, or a JSON file (default: fast, or preview)."""
    budget: Annotated[str | None, tyro.conf.arg(metavar="12%|50000|5MB")] = None
    """The student's size: a share of the vanilla teacher's Gaussians, a count, or a file size."""
    within: Annotated[str | None, tyro.conf.arg(metavar="0.2dB")] = None
    """Instead of a budget: the smallest student whose held-out PSNR is at most so far below the vanilla
    teacher's. Tries counts on a ladder of factors of 1.19, each student from the teacher on: from an eighth
    by factors of 2 until the answer is enclosed, then halving. Writes frontier.csv. With four held-out views
    or more it goes by every other one, and reports the others."""
    teacher: Annotated[tuple[Path, ...], tyro.conf.arg(metavar="FILE")] = ()
    """Splat files to use as teachers instead of training any; the budget counts from the first."""
    steps: Annotated[float | None, tyro.conf.arg(metavar="FACTOR")] = None
    """Stretch all schedules by this factor: 0.1 trains a tenth of the recipe's steps."""
    independent: tyro.conf.FlagCreatePairsOff[bool] = False
    """Train every teacher from the points on, instead of letting them share a trunk or start from vanilla."""
    set: Annotated[tuple[str, ...], tyro.conf.arg(metavar="OPTION=VALUE")] = ()
    """Set options of the recipe by their path, as in --set student.label_weight=0.3 labels.dropout=0.
    Lists take commas."""
    device: Annotated[str | None, tyro.conf.arg(metavar="auto|cpu|cuda")] = None
    """Where to train (default: auto)."""
    seed: int | None = None
    """Of every random number in the run."""
    resume: tyro.conf.FlagCreatePairsOff[bool] = False
    """Go on with the run in --out, from its last checkpoint."""
    save_every: Annotated[float, tyro.conf.arg(metavar="SECONDS")] = SAVE_EVERY
    """Seconds between checkpoints: what a power cut may cost. Large models are saved less often."""
    scene_flags: SceneFlags = dataclasses.field(default_factory=SceneFlags)


def run(arguments: list[str]) -> int:
    """The command; see `main`."""
    if launched() > 1:
        from gaussians.cli.distill_together import distill_together, quiet_but_first

        with quiet_but_first():
            flags: Flags = parse(Flags, arguments, "distill", DESCRIPTION)
        return distill_together(flags)
    flags = parse(Flags, arguments, "distill", DESCRIPTION)
    return distill(flags)


@dataclass(frozen=True)
class Begun:
    """The run that flags go on with, or begin.

    Attributes:
        plan: of it.
        directory: of it.
        is_new: whether it has to be created. Found out once: to read a scene may take minutes, in which
            another process may begin a run there, and that one must not be trained by this plan.
    """

    plan: RunPlan
    directory: RunDirectory
    is_new: bool


def begun(flags: Flags) -> Begun:
    """What the flags say, before anything is read or written.

    Raises:
        DistilleryError: of any kind, for bad input.
    """
    check_save_every(flags.save_every)
    if flags.resume and flags.scene is None and flags.out is not None and not RunDirectory(flags.out).exists:
        raise RunError(f"{flags.out}: holds no run to go on with; check the name, or give a scene")
    return _resumed(flags) if flags.resume else _planned(flags)


def distill(flags: Flags) -> int:
    """Distil as the flags say; returns the exit code.

    Raises:
        DistilleryError: of any kind, for bad input.
    """
    console = Console()
    asked = begun(flags)
    directory = asked.directory
    within, device = tolerance(flags, asked), choose_device(asked.plan.device)
    plan, scene = loaded(asked, device, console, within)
    if asked.is_new:
        directory.check_unused()  # again, as search.json is not to be another run's
        begin_search(directory, within, scene)
        directory.create(dataclasses.replace(plan, device=device.type))
    if device.type == "cpu":
        with console.compiling() as show:
            compile_apart(show)
    with directory.locked():
        if not asked.is_new:
            directory.note_scene(scene, plan.scene)
        if within is None:
            training = Run(directory, scene, plan.recipe, device, plan.teachers, flags.save_every)
        else:
            training = Search(directory, scene, plan, device, within, flags.save_every)
        finished = _train(training, console)
    if finished is None:
        console.stopped(directory.path)
        return STOPPED
    console.finished(finished, scene)
    return 0 if isinstance(training, Run) else console.searched(training)


def loaded(
    asked: Begun, device: torch.device, console: Console, within: float | None
) -> tuple[RunPlan, Scene]:
    """The run as it fits into memory, if it is a new one, and its scene; says what is about to be done.

    Raises:
        DistilleryError: the scene or a teacher can't be read.
    """
    plan, notes = asked.plan, ()
    with console.loading(plan.scene) as progress:
        scene = load_views(plan.scene, plan.options, progress, device)
        if asked.is_new:
            plan, scene, notes = fitted(plan, scene, device, progress)
    console.describe(scene, plan.recipe, device, asked.directory.path, within, notes)
    return plan, scene


def _train(training: Run | Search, console: Console) -> RunFinished | None:
    """Do what is left of the run and show it; None: asked to stop, and saved."""
    # While bars are shown, rich takes over standard output: results are for after them.
    with stop_requests() as stop, console.training(training.plan) as show:
        for event in training.events():
            show(event)
            if isinstance(event, RunFinished):
                return event
            if stop():
                break
        training.save()
    return None


def tolerance(flags: Flags, asked: Begun) -> float | None:
    """The tolerance of a search, in dB; None: the run has a budget. Raises DistilleryError."""
    given = None if flags.within is None else parse_tolerance(flags.within)
    if given is not None and flags.budget is not None:
        raise RecipeError("--within and --budget: one searches for what the other sets; give one of them")
    if asked.is_new:
        return given
    path, begun = asked.directory.path, searched_within(asked.directory)
    if given is not None and given != begun:
        was = "with a budget" if begun is None else f"to search within {begun:g} dB"
        raise RunError(f"{path}: was begun {was}; resume without --within, or choose another --out")
    return begun


def _planned(flags: Flags) -> Begun:
    """A new run, as the flags say."""
    given = _given_teachers(flags.teacher)
    if not given and flags.scene is not None and _is_splat(flags.scene):
        # It is what there is to learn: teachers trained on renders of it would only be worse.
        given = _given_teachers((flags.scene,))
    default = "fast" if flags.scene or given else "preview"
    recipe = _recipe(flags, default)
    # Without photos the first teacher is looked at from all sides.
    scene = absolute(flags.scene) if flags.scene else next(iter(given.values()), DEMO)
    recipe = _within_splat(recipe, scene)
    directory = RunDirectory(flags.out or free_directory(scene.stem if scene.is_file() else scene.name))
    directory.check_unused()
    options = flags.scene_flags.apply(SceneOptions(seed=recipe.seed, cache=directory.path / CAMERAS_FOLDER))
    return Begun(RunPlan(scene, options, recipe, flags.device or "auto", given), directory, is_new=True)


def _recipe(flags: Flags, default: str) -> Recipe:
    """The recipe that the flags describe. Raises RecipeError."""
    recipe = make_recipe(flags.recipe or default, flags.set, flags.steps, flags.budget, flags.seed)
    if flags.independent:
        recipe = independent(recipe)
    return recipe


def _within_splat(recipe: Recipe, scene: Path) -> Recipe:
    """The recipe with no more SH degrees than a splat has that is learnt from: there is nothing to learn."""
    if not _is_splat(scene):
        return recipe
    optimise = recipe.student.optimise
    degree = min(optimise.sh_degree, read_splat(scene).sh_degree)
    optimise = dataclasses.replace(optimise, sh_degree=degree)
    return dataclasses.replace(recipe, student=dataclasses.replace(recipe.student, optimise=optimise))


def _is_splat(scene: Path) -> bool:
    """Whether a scene is a file whose renders take the photos' part."""
    return scene.is_file() and scene.suffix.lower() in readable_suffixes()


def _given_teachers(paths: Sequence[Path]) -> dict[str, Path]:
    """The given teachers by name: the file's, with a number where names repeat or are a model's own."""
    teachers: dict[str, Path] = {}
    for path in paths:
        read_splat(path)  # what can't be used is said now and not after the scene is loaded
        name, number = path.stem, 2
        while name in teachers or name in (TRUNK, LABELS, ENSEMBLE, STUDENT):
            name, number = f"{path.stem}-{number}", number + 1
        teachers[name] = absolute(path)
    return teachers


def _resumed(flags: Flags) -> Begun:
    """The run in --out; flags that contradict it are refused."""
    if flags.out is None:
        raise RunError("--resume: which run? Give its folder by --out")
    directory = RunDirectory(flags.out)
    if not directory.exists:
        return _planned(flags)
    plan = directory.load()
    plan = dataclasses.replace(plan, scene=resumed_scene(flags.out, flags.scene, plan))
    options = _as_read(flags.scene_flags, plan)
    recipe = asked = plan.recipe
    if any((flags.recipe, flags.budget, flags.steps, flags.set, flags.independent, flags.seed is not None)):
        recipe = _recipe(flags, plan.recipe.name)
        recipe = _within_splat(recipe, plan.scene)
        if searched_within(directory) is not None:  # the budget is what the search finds, not the flags'
            recipe = having(student__budget=plan.recipe.student.budget)(recipe)
        asked = as_fitted(plan.recipe, recipe)
    for name, wanted, there in (
        ("the recipe", recipe, asked),
        ("how the scene is read", options, plan.options),
        ("the teachers", _given_teachers(flags.teacher) or plan.teachers, plan.teachers),
    ):
        if wanted != there:
            raise RunError(
                f"{flags.out}: these flags would change {name} of a run that is under way; "
                "resume without them, or choose another --out"
            )
    # The options may differ in the memory for photos, which no run remembers.
    plan = dataclasses.replace(plan, options=options, device=flags.device or plan.device)
    return Begun(plan, directory, is_new=False)


def _as_read(flags: SceneFlags, plan: RunPlan) -> SceneOptions:
    """How a run's scene is read by these flags, which may ask for the size that memory had no room for."""
    if flags.resolution is not None and smaller(flags.resolution, plan.halvings) == plan.options.resolution:
        flags = dataclasses.replace(flags, resolution=None)
    return flags.apply(plan.options)


def free_directory(name: str) -> Path:
    """runs/NAME, or the first of runs/NAME-2, runs/NAME-3, ... that does not exist."""
    path, number = RUNS / name, 2
    while path.exists():
        path, number = RUNS / f"{name}-{number}", number + 1
    return path
