"""The recipes that come with the program, by name."""

import dataclasses

from gaussians.distill.recipe import Dropout, Perturb, Poses, Recipe, Simplify, Structure, Student, Teachers
from gaussians.errors import RecipeError
from gaussians.train.recipe import Coarse, Densify, LearningRates, Optimise

_NO_GROWTH = Densify(start=0, stop=0)
_NEVER = 1_000_000  # steps; longer than any run

# A student that was a teacher an hour ago moves fast and learns for a short time only: scales and colours at
# twice the rates that 3DGS takes for 30 000 steps are worth up to 0.14 dB (docs/method.md).
_STUDENT_RATES = LearningRates(log_scales=1e-2, sh0=5e-3, shN=2.5e-4)

# What hovers before the cameras mends one photo's exposure and spoils held-out views beside it. Cleared is a
# tenth of the way to what is nearest: less leaves some of it, more costs other scenes (docs/trials.md).
_CLEARANCE = 0.1

# To see the whole pipeline at work, on any machine: a minute on the demo scene. Too short for opacity resets.
_PREVIEW = Recipe(
    name="preview",
    teachers=Teachers(
        fork=600,
        optimise=Optimise(
            steps=800,
            sh_every=150,
            clearance=_CLEARANCE,
            densify=Densify(
                start=100, stop=600, every=50, grad_threshold=2e-4, reset_every=_NEVER, cap=45_000
            ),
        ),
        perturb=Perturb(start=600, stop=701, every=50),
        dropout=Dropout(start=600, stop=760),
    ),
    # Teachers this young are blurred: their labels count little, and less and less.
    student=Student(
        label_weight=0.2,
        label_final=0.0,
        optimise=Optimise(
            steps=1000,
            sh_every=0,
            average=0.99,
            clearance=_CLEARANCE,
            rates=_STUDENT_RATES,
            densify=_NO_GROWTH,
        ),
        simplify=Simplify(
            importance="effect", memory=0.5, views=30, most=2, stages=5, pace=0.5, start=0, stop=300
        ),
        structure=Structure(grid=64, every=20),
    ),
)

# Some minutes on two cores for 50 photos of 270 x 480. Growth by gsplat's own threshold; on large photos the
# first steps see them smaller, which is faster and no worse (docs/performance.md). The teachers but vanilla
# are compact: they err less than forks of its size, differ more and cost less (docs/method.md). Their
# variations end early, so that all have converged when they teach. The student goes on from one of them. On
# training views a converged teacher only repeats the photo: labels are for unseen poses, until the last
# quarter, which photos alone settle. What is pruned first is not missed, and what is looked at to prune need
# not be sharp: hence the pace, and half as wide views meanwhile. Importance remembers the views that earlier
# removals looked at (docs/trials.md).
_FAST = Recipe(
    name="fast",
    teachers=Teachers(
        fork=0,
        compact=0.15,
        compact_steps=3000,
        optimise=Optimise(
            steps=5000,
            sh_every=500,
            clearance=_CLEARANCE,
            densify=Densify(start=200, stop=3000, grad_threshold=2e-4, reset_every=_NEVER, cap=300_000),
            coarse=Coarse(stop=2000),
        ),
        perturb=Perturb(start=300, stop=1201, every=300),
        dropout=Dropout(start=0, stop=600, rate=0.1),
    ),
    student=Student(
        label_weight=0.0,
        start="smallest",
        poses=Poses(share=0.1, count=200, stop=6750),
        optimise=Optimise(
            steps=9000,
            sh_every=0,
            ssim_weight=0.3,
            average=0.995,
            clearance=_CLEARANCE,
            rates=_STUDENT_RATES,
            densify=_NO_GROWTH,
            coarse=Coarse(stop=1600, most=2),
        ),
        simplify=Simplify(
            importance="effect", memory=0.5, views=128, most=2, stages=8, pace=0.5, start=0, stop=1600
        ),
        structure=Structure(weight=0.0, every=50),
    ),
)

# Distilled-3DGS as published: teachers that part when the first noise falls, a student from points, drawn and
# cut by importance. Colour weights and opacity rate are those of the released code, as the paper is
# silent. The distillation term compares with the teachers, as the paper has it and the code does not.
_PAPER_RATES = LearningRates(logit_opacities=0.025)
_PAPER = Recipe(
    name="paper",
    teachers=Teachers(
        fork=500,
        optimise=Optimise(rates=_PAPER_RATES),
        perturb=Perturb(unit="world"),
        dropout=Dropout(),
    ),
    student=Student(
        route="points",
        photo_weight=0.6,
        label_weight=0.4,
        optimise=Optimise(rates=_PAPER_RATES, densify=Densify(reset_every=_NEVER)),
        simplify=Simplify(stages=1, start=15_000, stop=20_000, sample=0.5, mass=0.99, mass_step=20_000),
        structure=Structure(grid=128, every=500),
    ),
)

# The same as its released code weighs it, as far as one view a step can follow six: teachers that part at
# half-time, L1 of the label term against the photo, nearly no structural loss, and that on marginals.
_PAPER_CODE = dataclasses.replace(
    _PAPER,
    name="paper-code",
    teachers=dataclasses.replace(
        _PAPER.teachers,
        fork=15_000,
        perturb=Perturb(start=16_000, stop=24_001, every=1000, unit="world"),
        dropout=Dropout(start=15_000, stop=24_001),
    ),
    student=dataclasses.replace(
        _PAPER.student,
        label_l1=False,
        structure=Structure(kind="separable", grid=128, every=3000),
    ),
)

_PRESETS = {preset.name: preset for preset in (_PREVIEW, _FAST, _PAPER, _PAPER_CODE)}


def recipe(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        RecipeError: there is none; lists those there are.
    """
    if name not in _PRESETS:
        raise RecipeError(f'recipe "{name}": not known; there are {", ".join(_PRESETS)}')
    return _PRESETS[name]


def recipe_names() -> tuple[str, ...]:
    """All names `recipe` takes, the shortest run first."""
    return tuple(_PRESETS)
