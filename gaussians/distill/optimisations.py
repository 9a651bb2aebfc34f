"""What the stages of the pipeline train: the optimisation of each teacher and of the student, at step 0."""

import dataclasses
from collections.abc import Callable, Mapping

import torch

from gaussians.distill.dropout import Dropout
from gaussians.distill.importance import Lookout
from gaussians.distill.labels import Labels
from gaussians.distill.perturb import Perturbation
from gaussians.distill.pipeline import STUDENT, Stage, student_budget, student_poses, student_start
from gaussians.distill.poses import PoseOrder
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
    further = student_poses(scene, recipe)
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
