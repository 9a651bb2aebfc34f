"""What the window knows, as the worker's reports have it. No widgets: what is shown is read from here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.curves import Curves
from app.progress import RunProgress
from gaussians.distill.pipeline import ENSEMBLE, STUDENT, plan
from gaussians.distill.recipe import Recipe
from gaussians.session.events import RunFinished, StageFinished, StepDone
from gaussians.session.measure import PROBE_VIEWS
from gaussians.session.messages.reports import (
    EllipsoidsUnavailable,
    Exported,
    ExportFailed,
    Failed,
    HistoryGrew,
    Loading,
    MetricsLogged,
    ModelsChanged,
    NotStarted,
    Progressed,
    QuitFailed,
    Report,
    RunStateChanged,
    SceneOpened,
    TeachersWeighed,
)

PHOTO, COMPARE, DISAGREEMENT = "photo", "compare", "disagreement"
TRAINING = ("training", "paused", "stopping")
_OF_A_RUN = ("run", "progress", "curves", "psnr", "probed", "marks", "history")


@dataclass
class StudioState:
    """Everything that has been reported, with the newest on top.

    Attributes:
        opening: something was asked to be opened or started, and has neither begun nor failed.
        loading: how that goes; None: nothing is known of it.
        cancelling: loading was given up, and has not ended yet.
        opened: what is open.
        run: the run's directory and recipe, once there is one.
        run_state: see RunStateChanged.
        progress: of the run that was started here.
        counts: Gaussians by model that can be shown, in display order.
        psnr: PSNR over all held-out views by model that is finished, dB.
        probed: the newest over a few of them, see `Probe`, also of one that is being trained, dB.
        weights: of the teachers.
        marks: steps of the student at which weights were changed.
        history: steps of the student that can be shown.
        failures: not shown to the user yet.
        exported: the last export that went well.
        unexported: why the last one did not, until the user is told; None else.
        lost: the worker has died: nothing can be done any more but to close the window.
        draws_ellipsoids: whether models can be shown so, as far as is known.
        unsaved: why the run could not be saved when the window was to be closed; None else.
        version: grows with each report.
    """

    opening: bool = False
    loading: Loading | None = None
    cancelling: bool = False
    opened: SceneOpened | None = None
    run: tuple[Path, Recipe] | None = None
    run_state: str = "idle"
    progress: RunProgress | None = None
    counts: dict[str, int] = field(default_factory=dict)
    psnr: dict[str, float] = field(default_factory=dict)
    probed: dict[str, float] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)
    marks: list[int] = field(default_factory=list)
    history: tuple[int, ...] = ()
    failures: list[Failed] = field(default_factory=list)
    exported: Exported | None = None
    unexported: Failed | None = None
    lost: bool = False
    draws_ellipsoids: bool = True
    unsaved: Failed | None = None
    curves: Curves = field(default_factory=Curves)
    version: int = 0
    _before: dict[str, Any] = field(default_factory=dict)  # _OF_A_RUN, while a run is about to start

    @property
    def is_loading(self) -> bool:
        """Whether something is about to be open, or a run about to start: nothing else can begin."""
        return self.opening or self.loading is not None

    @property
    def starting(self) -> bool:
        """Whether a run was asked for and has neither begun nor come to nothing."""
        return bool(self._before)

    @property
    def busy(self) -> bool:
        """Whether a run is under way, so that closing the window would stop it."""
        return self.run_state in TRAINING

    @property
    def teachers(self) -> tuple[str, ...]:
        """The teachers that can be shown, in display order."""
        return tuple(name for name in self.counts if name not in (STUDENT, ENSEMBLE, PHOTO, DISAGREEMENT))

    @property
    def splats(self) -> tuple[str, ...]:
        """Models that are one set of Gaussians: teachers and student, or a splat file's."""
        return tuple(name for name in self.counts if name not in (ENSEMBLE, PHOTO, DISAGREEMENT))

    @property
    def models(self) -> tuple[str, ...]:
        """What can be compared: ground truth where there are photos, teachers, ensemble, student."""
        photo = (PHOTO,) if self.opened and self.opened.cameras else ()
        several = len(self.teachers) > 1
        return (
            *photo,
            *(
                name
                for name in self.counts
                if name not in (PHOTO, DISAGREEMENT) and (name != ENSEMBLE or several)
            ),
        )

    @property
    def cells(self) -> tuple[str, ...]:
        """The cells that have something to show."""
        more = (COMPARE,) if len(self.models) > 1 else ()
        return (*self.models, *more, *((DISAGREEMENT,) if len(self.teachers) > 1 else ()))

    @property
    def shares(self) -> dict[str, float]:
        """Each teacher's share of the label, 0 to 1."""
        weights = {name: self.weights.get(name, 1.0) for name in self.teachers}
        total = sum(weights.values())
        return {name: weight / total if total else 0.0 for name, weight in weights.items()}

    @property
    def probe(self) -> str:
        """Of which views `probed` is."""
        count = len(self.opened.test) if self.opened is not None else 0
        return "held-out views" if count <= PROBE_VIEWS else f"{PROBE_VIEWS} held-out views"

    def started(self, directory: Path, recipe: Recipe) -> None:
        """A run was asked for: its curves and its progress begin, if it is not the opened one.

        Where it comes to nothing, all is as it was.
        """
        self._before = {name: getattr(self, name) for name in _OF_A_RUN}
        opened, given = self.opened, ()
        if self.run is None or self.run[0] != directory:
            self.curves, self.psnr, self.probed, self.marks, self.history = Curves(), {}, {}, [], ()
        if opened is not None and opened.run is not None and opened.run[0] == directory:
            given = opened.given
        self.run = (directory, recipe)
        views = len(opened.cameras) - len(opened.test) if opened else 0
        self.progress = RunProgress(plan(recipe, views, given))
        self.opening = True
        self.version += 1

    def take(self, report: Report) -> None:
        """Follow a report of the worker."""
        self.version += 1
        if isinstance(report, Loading):
            self.loading = report
        elif isinstance(report, SceneOpened):
            self._open(report)
        elif isinstance(report, RunStateChanged):
            # It is told when loading ends, however it ends; but what is opened while a run is under way
            # ends that run first.
            if "stopping" not in (self.run_state, report.state):
                self._loaded()
            self.run_state = report.state
            if report.state == "training":
                self._before = {}
            if self.progress is not None and report.state in ("paused", "training"):
                self.progress.paused()  # at both ends: single steps come in between
        elif isinstance(report, Progressed):
            self._follow(report)
        elif isinstance(report, MetricsLogged):
            self.curves.add(report.lines)
            self._note(report.lines)
        elif isinstance(report, ModelsChanged):
            self.counts = dict(report.counts)
        elif isinstance(report, TeachersWeighed):
            self._weigh(report)
        elif isinstance(report, HistoryGrew):
            self.history = report.steps
        elif isinstance(report, Exported):
            self.exported = report
        elif isinstance(report, ExportFailed):
            self.unexported = report.failed
        elif isinstance(report, Failed):
            self._loaded()
            self.failures.append(report)
        elif isinstance(report, NotStarted):
            self._loaded()
            for name, value in self._before.items():
                setattr(self, name, value)
            self._before = {}
        elif isinstance(report, QuitFailed):
            self.unsaved = report.failed
        elif isinstance(report, EllipsoidsUnavailable):
            self.draws_ellipsoids = False
            self.failures.append(report.failed)

    def lose(self) -> None:
        """The worker has died, which it does only where not even an error could be reported."""
        self.version += 1
        self.lost, self.run_state, self._before = True, "idle", {}
        self._loaded()
        self.failures.append(self.loss)

    @property
    def loss(self) -> Failed:
        """What is said of a worker that has died."""
        saved = f" {self.run[0]} holds the run up to its last checkpoint." if self.run else ""
        return Failed(
            "Training and rendering have stopped",
            f"Memory may be full.{saved} Close the window, close other programs, and open the studio again"
            + (" on this run: Resume goes on from there." if self.run else "."),
        )

    def _loaded(self) -> None:
        """Loading has ended, well or not."""
        self.opening, self.loading, self.cancelling = False, None, False

    def _open(self, opened: SceneOpened) -> None:
        self._loaded()
        self._before = {}
        self.opened = opened
        self.run, self.progress, self.run_state = opened.run, None, "idle"
        self.counts = dict.fromkeys(opened.models, 0)
        self.psnr, self.probed, self.weights, self.marks, self.history = {}, {}, {}, [], ()
        self.curves = Curves()
        self.curves.add(opened.metrics)
        self._note(opened.metrics)
        self.psnr |= opened.measured

    def _follow(self, report: Progressed) -> None:
        event = report.event
        if self.progress is not None:
            self.progress.take(event)
        if isinstance(event, StepDone) and event.stage.model in self.counts:
            self.counts[event.stage.model] = event.count
        elif isinstance(event, StageFinished):
            self._measured({event.stage.model: event.facts})
        elif isinstance(event, RunFinished):
            self._measured(event.report.get("models", {}))

    def _measured(self, models: Mapping[str, Mapping[str, Any]]) -> None:
        """Take the PSNR from each model's facts: where nothing is held out it is None."""
        known = {name: facts.get("psnr") for name, facts in models.items()}
        self.psnr |= {name: psnr for name, psnr in known.items() if psnr is not None}

    def _note(self, lines: tuple[dict, ...]) -> None:
        self.probed |= {line["model"]: line["psnr"] for line in lines if "psnr" in line}
        for line in lines:
            if line.get("event") == "weights":
                self._mark(line["step"])

    def _weigh(self, report: TeachersWeighed) -> None:
        changed = bool(self.weights) and report.weights != self.weights
        self.weights = dict(report.weights)
        if changed:
            self._mark(report.step)
            self.psnr.pop(ENSEMBLE, None)  # was that of other weights

    def _mark(self, step: int) -> None:
        """Note a change of weights, which is both reported and in the run's metrics."""
        if step not in self.marks:
            self.marks.append(step)
