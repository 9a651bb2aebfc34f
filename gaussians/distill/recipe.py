"""A whole distillation as one tree of frozen dataclasses: what recipe.json holds and the forms show."""

import dataclasses
from dataclasses import dataclass, field

from gaussians.options import option
from gaussians.train.recipe import Optimise, scale_steps

TEACHER_KINDS = ("vanilla", "perturbed", "dropout")


@dataclass(frozen=True)
class Perturb:
    """The perturbed teacher: noise on high-gradient, small Gaussians (Distilled-3DGS, §3.2)."""

    start: int = option(500, "first step that adds noise", low=0)
    stop: int = option(15_000, "no noise from here on", low=0)
    every: int = option(500, "steps between perturbations", low=1)
    std: float = option(0.1, "noise standard deviation, x max(1, mean |value|)", low=0, high=10)
    unit: str = option("size", "of lengths in it: size (grow_scale x extent), or world (the paper's)")


@dataclass(frozen=True)
class Dropout:
    """The dropout teacher: each Gaussian left out with a rising probability (DropGaussian)."""

    start: int = option(500, "first step that drops", low=0)
    stop: int = option(15_000, "nothing is dropped from here on; the rate is highest just before", low=0)
    rate: float = option(0.2, "probability to be dropped, reached linearly at the end", low=0, high=0.9)


@dataclass(frozen=True)
class Teachers:
    """Which teachers are trained, and how far they share their optimisation."""

    kinds: tuple[str, ...] = option(TEACHER_KINDS, "vanilla is always first; its count is the budget's unit")
    fork: int = option(15_000, "teachers share one optimisation up to this step; 0: independent", low=0)
    optimise: Optimise = field(default_factory=Optimise)
    perturb: Perturb = field(default_factory=Perturb)
    dropout: Dropout = field(default_factory=Dropout)


@dataclass(frozen=True)
class Labels:
    """Soft labels: the weighted mean of the teachers' renders, one per training pose, rendered once."""

    vanilla: float = option(1.0, "weight of the vanilla teacher; 0 leaves it out", low=0)
    perturbed: float = option(1.0, "weight of the perturbed teacher", low=0)
    dropout: float = option(1.0, "weight of the dropout teacher", low=0)
    memory_mb: int = option(2048, "labels kept in memory up to this size, beyond it on disk", low=0)


@dataclass(frozen=True)
class Structure:
    """The structural loss: 1 - cosine of two voxel occupancy histograms of the centres."""

    weight: float = option(0.1, "weight in the student's loss; 0: off", low=0)
    grid: int = option(128, "voxels along each axis of the joint histogram", low=2, high=512)
    every: int = option(500, "steps between its evaluations", low=1)
    by_opacity: bool = option(False, "count a Gaussian by its opacity, not as one")


@dataclass(frozen=True)
class Simplify:
    """How the student gets down to its budget."""

    importance: str = option("weight", "weight: summed blend weight; area: the same per pixel touched")
    stages: int = option(4, "removals on the way from the teacher's count to the budget", low=1, high=50)
    start: int = option(0, "step of the first removal", low=0)
    stop: int = option(1000, "step of the last removal, which reaches the budget", low=0)
    sample: float = option(0.5, "points route: fraction that importance sampling keeps", low=0.01, high=1)
    mass: float = option(1.0, "of the importance kept by a last cut at `mass_step`; 1: none", low=0.5, high=1)
    mass_step: int = option(20_000, "step of that cut", low=0)


@dataclass(frozen=True)
class Student:
    """The compact student: where it starts, what it learns from, how it is pruned."""

    route: str = option("teacher", "teacher: prune the vanilla teacher in stages; points: the paper's route")
    budget: str = option("12%", 'Gaussians: "12%" of vanilla, a count "50000", or a file size "5MB"')
    photo_weight: float = option(1.0, "weight of the colour loss against the photo", low=0)
    label_weight: float = option(0.5, "weight of the colour loss against the soft label", low=0)
    optimise: Optimise = field(default_factory=Optimise)
    simplify: Simplify = field(default_factory=Simplify)
    structure: Structure = field(default_factory=Structure)


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a run's outcome, but the scene and the machine."""

    name: str = "paper"
    seed: int = option(0, "of every random number in the run", low=0)
    teachers: Teachers = field(default_factory=Teachers)
    labels: Labels = field(default_factory=Labels)
    student: Student = field(default_factory=Student)

    def scaled(self, factor: float) -> "Recipe":
        """The same recipe in `factor` times the steps, every schedule with it."""

        def moved(config, *names: str):
            return dataclasses.replace(
                config, **{name: scale_steps(getattr(config, name), factor) for name in names}
            )

        def paced(config):
            return dataclasses.replace(config, every=max(1, scale_steps(config.every, factor)))

        teachers = dataclasses.replace(
            moved(self.teachers, "fork"),
            optimise=self.teachers.optimise.scaled(factor),
            perturb=paced(moved(self.teachers.perturb, "start", "stop")),
            dropout=moved(self.teachers.dropout, "start", "stop"),
        )
        student = dataclasses.replace(
            self.student,
            optimise=self.student.optimise.scaled(factor),
            simplify=moved(self.student.simplify, "start", "stop", "mass_step"),
            structure=paced(self.student.structure),
        )
        return dataclasses.replace(self, teachers=teachers, student=student)
