"""A whole distillation as one tree of frozen dataclasses: what recipe.json holds and the forms show."""

import dataclasses
from dataclasses import dataclass, field

from gaussians.options import option
from gaussians.train.recipe import Optimise, scale_steps

TEACHER_KINDS = ("vanilla", "perturbed", "dropout", "vanilla2", "vanilla3")
THREE_KINDS = TEACHER_KINDS[:3]


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
    """Which teachers are trained, and how far they share their optimisation.

    Compact ones have rates and removals of the student, the last by half of their steps, photos alone to
    learn from, and nothing to fork from: steps of `perturb` and `dropout` count from their own beginning.
    Until their last removal `optimise.coarse` may make their views half as wide.
    """

    kinds: tuple[str, ...] = option(
        THREE_KINDS,
        "vanilla first: its count is the budget's unit; vanilla2, vanilla3: undisturbed, too",
    )
    fork: int = option(15_000, "teachers of full size share one optimisation up to this step; 0: none", low=0)
    compact: float = option(
        1.0,
        "of vanilla's Gaussians in the others; below 1 they are pruned from it",
        low=0.01,
        high=1,
    )
    compact_steps: int = option(4000, "training steps of a compact teacher", low=1)
    optimise: Optimise = field(default_factory=Optimise)
    perturb: Perturb = field(default_factory=Perturb)
    dropout: Dropout = field(default_factory=Dropout)


@dataclass(frozen=True)
class Labels:
    """Soft labels: what the teachers' renders say together, one per pose, rendered once.

    Where the teachers of a training pose differ by σ, the share exp(-(σ / agreement)²) of the label counts
    and the photo takes the rest. So a pixel is learnt from teachers as far as they agree on it.
    """

    vanilla: float = option(1.0, "weight of the vanilla teacher; 0 leaves it out", low=0)
    perturbed: float = option(1.0, "weight of the perturbed teacher", low=0)
    dropout: float = option(1.0, "weight of the dropout teacher", low=0)
    combine: str = option("mean", "mean; median; or nearest: of the teacher nearest to the mean, by pixel")
    agreement: float = option(
        0.0, "teachers' deviation at which the photo takes over; 0: never", low=0, high=1
    )
    memory_mb: int = option(2048, "labels kept in memory up to this size, beyond it on disk", low=0)

    def weight(self, teacher: str) -> float:
        """The weight of a teacher by its name, which may be a file's; 1 where there is no option for it."""
        # A file may be called as another of these options is.
        return getattr(self, teacher, 1.0) if teacher in TEACHER_KINDS else 1.0


@dataclass(frozen=True)
class Structure:
    """The structural loss: 1 - cosine of two voxel occupancy histograms of the centres.

    The separable kind, of the released code, is 1 - Π of three cosines, of the histograms along x, y and z.
    """

    kind: str = option("joint", "joint: over voxels, as in the paper; separable: along each axis alone")
    weight: float = option(0.1, "weight in the student's loss; 0: off", low=0)
    grid: int = option(128, "voxels along each axis of the joint histogram", low=2, high=512)
    every: int = option(500, "steps between its evaluations", low=1)
    by_opacity: bool = option(False, "count a Gaussian by its opacity, not as one")


@dataclass(frozen=True)
class Simplify:
    """How the student gets down to its budget."""

    importance: str = option("weight", "weight: summed blend weight; area: per pixel; opacity; effect")
    memory: float = option(0.0, "share of the importance so far in a new one's average", low=0, high=0.99)
    views: int = option(200, "training views that one importance looks at, others each time", low=1)
    most: int = option(
        1, "large views are at most 1, 2 or 4 times smaller for it, along each axis", low=1, high=4
    )
    stages: int = option(4, "removals on the way from the teacher's count to the budget", low=1, high=50)
    pace: float = option(1.0, "1: each removes the same share; less: the first remove more", low=0.1, high=2)
    start: int = option(0, "step of the first removal", low=0)
    stop: int = option(1000, "step of the last removal, which reaches the budget", low=0)
    sample: float = option(0.5, "points route: fraction that importance sampling keeps", low=0.01, high=1)
    mass: float = option(1.0, "of the importance kept by a last cut at `mass_step`; 1: none", low=0.5, high=1)
    mass_step: int = option(20_000, "step of that cut", low=0)
    regrow: float = option(0.0, "share replaced at a time: least important go, others split", low=0, high=0.5)
    regrow_every: int = option(100, "steps between replacements", low=1)
    regrow_stop: int = option(2000, "none from here on", low=0)


@dataclass(frozen=True)
class Poses:
    """Labels at poses that no photo was taken from: between neighbouring training cameras and about them."""

    share: float = option(
        0.0, "of the student's steps in the window at such a pose; 0: none", low=0, high=0.9
    )
    count: int = option(200, "poses, each with its label", low=1, high=100_000)
    jitter: float = option(0.2, "shift off the line, x distance of the neighbours", low=0, high=2)
    start: int = option(0, "first step that may take one", low=0)
    stop: int = option(1_000_000, "none from here on", low=0)


@dataclass(frozen=True)
class Student:
    """The compact student: where it starts, what it learns from, how it is pruned."""

    route: str = option("teacher", "teacher: prune one of the teachers in stages; points: the paper's route")
    start: str = option(
        "vanilla", "teacher that the teacher route prunes; smallest: of the compact ones that fill the budget"
    )
    budget: str = option("12%", 'Gaussians: "12%" of vanilla, a count "50000", or a file size "5MB"')
    photo_weight: float = option(1.0, "weight of the colour loss against the photo", low=0)
    label_weight: float = option(0.5, "weight of the colour loss against the soft label", low=0)
    label_final: float = option(1.0, "factor on it reached linearly at the last step", low=0)
    label_l1: bool = option(True, "compare with labels by L1 too; off: L1 with the photo (released code)")
    poses: Poses = field(default_factory=Poses)
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
            compact_steps=max(1, scale_steps(self.teachers.compact_steps, factor)),
            optimise=self.teachers.optimise.scaled(factor),
            perturb=paced(moved(self.teachers.perturb, "start", "stop")),
            dropout=moved(self.teachers.dropout, "start", "stop"),
        )
        student = dataclasses.replace(
            self.student,
            optimise=self.student.optimise.scaled(factor),
            simplify=moved(self.student.simplify, "start", "stop", "mass_step", "regrow_stop"),
            poses=moved(self.student.poses, "start", "stop"),
            structure=paced(self.student.structure),
        )
        return dataclasses.replace(self, teachers=teachers, student=student)
