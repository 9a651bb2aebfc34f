"""`main.py ablate`: train variants of a recipe on scenes and seeds, and compare them."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.text import Text

from gaussians.cli.ablation_console import AblationConsole
from gaussians.cli.console import Console
from gaussians.cli.flags import SceneFlags, absolute, check_save_every, parse
from gaussians.cli.recipe_flags import make_recipe
from gaussians.cli.stopping import STOPPED, stop_requests
from gaussians.cli.tables import plain_table, print_whole
from gaussians.distill.budget import parse_budget
from gaussians.distill.recipe import Recipe
from gaussians.distill.variants import TEACHER_SETS, VARIANTS, student_recipe, variant
from gaussians.errors import RecipeError, RunError, SceneError
from gaussians.scene import Scene, SceneOptions, load_scene
from gaussians.session.ablation import Ablation
from gaussians.session.ablation_directory import AblationDirectory, AblationPlan
from gaussians.session.clock import SAVE_EVERY
from gaussians.session.directory import RunDirectory
from gaussians.session.kernel_process import compile_apart
from gaussians.session.machine import choose_device

LIST, ALL = "list", "all"
SEEDS, RECIPE = 3, "fast"
DESCRIPTION = """\
Compare variants of a recipe: which part makes the student good?

For each scene and seed the teachers are trained once; each variant's student then learns from them, at the
same number of Gaussians, in as many steps, one view each. Afterwards, or any time before, --out holds
results.csv (a row a model), results.md (means and spreads) and quality.svg. Held-out views are in two halves:
choose by one, report the other. The same command goes on with what was interrupted, and with more scenes,
seeds, variants or budgets extends what is there."""


@dataclass(frozen=True)
class Flags:
    """The flags of `ablate`. None: not given; what was begun in --out, or else the default, holds."""

    scenes: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="SCENE")] = ()
    """Folders as `distill` takes them; may be left out to go on with what is in --out."""
    out: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Folder to create, or to go on with."""
    seeds: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """How many seeds, counted up from --seed (default: 3)."""
    variants: Annotated[str | None, tyro.conf.arg(metavar="a,b,…|all|list")] = None
    """Which (default: all); photos-only is always among them. a+b joins two; list shows them and ends."""
    recipe: Annotated[str | None, tyro.conf.arg(metavar="NAME|FILE")] = None
    """The base that variants change: preview, fast, paper, paper-code, or a JSON file (default: fast)."""
    budget: Annotated[str | None, tyro.conf.arg(metavar="12%,6%,…")] = None
    """Student sizes: shares of each scene's and seed's vanilla teacher, counts, or sizes of a file."""
    steps: Annotated[float | None, tyro.conf.arg(metavar="FACTOR")] = None
    """Stretch all schedules by this factor."""
    set: Annotated[tuple[str, ...], tyro.conf.arg(metavar="OPTION=VALUE")] = ()
    """Set options of the base recipe by their path."""
    seed: int | None = None
    """The first."""
    device: Annotated[str | None, tyro.conf.arg(metavar="auto|cpu|cuda")] = None
    """Where to train (default: auto)."""
    save_every: Annotated[float, tyro.conf.arg(metavar="SECONDS")] = SAVE_EVERY
    """Seconds between checkpoints: what a power cut may cost."""
    scene_flags: SceneFlags = dataclasses.field(default_factory=SceneFlags)


def run(arguments: list[str]) -> int:
    """The command; see `main`.

    Raises:
        DistilleryError: of any kind, for bad input.
    """
    flags: Flags = parse(Flags, arguments, "ablate", DESCRIPTION)
    if flags.variants == LIST:
        _show_variants()
        return 0
    if flags.out is None:
        raise RunError("--out: where to? Give a folder for all runs and results")
    directory = AblationDirectory(flags.out)
    check_save_every(flags.save_every)
    plan = _planned(flags, directory)
    device = choose_device(plan.device)
    plan = dataclasses.replace(plan, device=device.type)
    directory.save(plan)
    if device.type == "cpu":
        with Console().compiling() as show:
            compile_apart(show)
    console = AblationConsole()
    with directory.locked(), stop_requests() as stop:

        def load(path: Path, options: SceneOptions) -> Scene:
            scene = load_scene(path, options)
            stop.listen()
            return scene

        ablation = Ablation(directory, plan, device, load, flags.save_every)
        with console.training(ablation) as show:
            for event in ablation.events():
                show(event)
                if stop():
                    ablation.save()
                    break
        if stop():
            console.stopped(directory)
            return STOPPED
    return console.finished(directory, ablation.rows)


def _planned(flags: Flags, directory: AblationDirectory) -> AblationPlan:
    """What the flags ask for, together with what is in the directory. Raises DistilleryError."""
    if RunDirectory(directory.path).exists and not directory.exists:
        raise RunError(f"{directory.path}: holds a run; choose another --out")
    # What failed before it trained anything, as of an unreadable scene, may be asked for otherwise.
    is_begun = directory.exists and (directory.has_runs or not flags.scenes)
    there = directory.load() if is_begun else None
    if there is None and not flags.scenes:
        raise RunError(f"{directory.path}: no ablation to go on with; give one or more scenes")
    if directory.path.exists() and not directory.path.is_dir():
        raise RunError(f"{directory.path}: is a file; --out wants a folder")
    recipe = _recipe(flags, there)
    options = flags.scene_flags.apply(there.options if there else SceneOptions(seed=recipe.seed))
    asked = AblationPlan(
        scenes=_named_scenes(flags.scenes, there),
        options=options,
        recipe=recipe,
        device=flags.device or (there.device if there else "auto"),
        seeds=_seeds(flags.seeds, there),
        variants=_variants(flags.variants, there, recipe),
        budgets=_budgets(flags.budget, there, recipe),
    )
    if there is None:
        return asked
    for name, wanted, found in (
        ("the recipe", recipe, there.recipe),
        ("how scenes are read", options, there.options),
    ):
        if wanted != found:
            raise RunError(
                f"{directory.path}: these flags would change {name} of an ablation that is under way; "
                "leave them out, or choose another --out"
            )
    return dataclasses.replace(there.extended(asked), device=asked.device, options=options)


def _recipe(flags: Flags, there: AblationPlan | None) -> Recipe:
    """The base. Raises RecipeError."""
    given = (flags.recipe, flags.set, flags.steps, flags.seed is not None)
    if there is not None and not any(given):
        return there.recipe
    # The name alone is enough to mean a preset again, as --set and --steps are enough to mean its change.
    name = flags.recipe or (there.recipe.name if there else RECIPE)
    return make_recipe(name, flags.set, flags.steps, seed=flags.seed)


def _named_scenes(paths: Sequence[Path], there: AblationPlan | None) -> dict[str, Path]:
    """Each scene by its folder's name, with a number where that is another's. Raises SceneError."""
    named = dict(there.scenes) if there else {}
    for path in map(absolute, paths):
        if not path.exists():
            raise SceneError(f"{path}: no such folder; check the spelling")
        name, number = path.name, 2
        while named.get(name, path) != path:
            name, number = f"{path.name}-{number}", number + 1
        named[name] = path
    return named


def _seeds(given: int | None, there: AblationPlan | None) -> int:
    if given is not None and given < 1:
        raise RecipeError(f"--seeds {given}: at least 1; 3 tell how far a seed moves the result")
    return given or (there.seeds if there else SEEDS)


def _variants(given: str | None, there: AblationPlan | None, base: Recipe) -> tuple[str, ...]:
    """Their names, each known to fit the base recipe. Raises RecipeError."""
    if given is None and there is not None:
        return there.variants
    if given is None or given == ALL:
        names = tuple(each.name for each in VARIANTS)
    else:
        names = tuple(dict.fromkeys(name.strip() for name in given.split(",")))
    for name in names:
        student_recipe(base, variant(name), base.student.budget)
    return names


def _budgets(given: str | None, there: AblationPlan | None, base: Recipe) -> tuple[str, ...]:
    """As they are written. Raises RecipeError: one isn't a budget."""
    if given is None:
        return there.budgets if there else (base.student.budget,)
    budgets = tuple(dict.fromkeys(text.strip() for text in given.split(",")))
    for text in budgets:
        parse_budget(text).count(1, base.student.optimise.sh_degree)
    return budgets


def _show_variants() -> None:
    """All variants with what they change, by the question that they answer, and the teacher sets."""
    table = plain_table("variant", "question", "teachers", "what it is")
    for column in table.columns:
        column.justify = "left"
    for each in VARIANTS:
        table.add_row(each.name, each.group, each.teachers, Text(each.description))
    for each in TEACHER_SETS:
        table.add_row("", "teacher set", each.name, Text(each.description))
    print_whole(table)
