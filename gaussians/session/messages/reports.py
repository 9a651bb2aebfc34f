"""What the worker tells the window: reports, in the past tense, of what it did and of what there is now."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gaussians.camera import Camera
from gaussians.distill.recipe import Recipe
from gaussians.session.events import Event


@dataclass(frozen=True)
class Loading:
    """Loading goes on.

    Attributes:
        what: is done now, such as "decoding photos".
        done, total: how much of that.
        name: of the scene, run or file that is opened; "": nothing is opened, kernels are compiled for a run.
    """

    what: str
    done: int
    total: int
    name: str = ""


@dataclass(frozen=True)
class SceneOpened:
    """A scene, a run or a splat is open.

    Attributes:
        name, path: of what was opened.
        cameras: dataset cameras by view name, sorted.
        test: names of the held-out ones.
        thumbnails: [h, w, 3] uint8 by view name.
        up: [3] world's up, from the cameras.
        centre, extent: what to orbit about, and how far; world units.
        models: those that can be shown now.
        run: the run's directory and recipe, where a run was opened; None else.
        given: names of the splat files that are the run's teachers instead of trained ones.
        metrics: all lines of the run's metrics.jsonl so far.
        measured: held-out PSNR of its finished models, dB: over all views, where the metrics' is over a few.
        notes: what was done to the input.
        home: where to look from at first if there are no dataset cameras; None: from where all can be seen.
    """

    name: str
    path: Path
    cameras: dict[str, Camera]
    test: tuple[str, ...]
    thumbnails: dict[str, np.ndarray]
    up: np.ndarray
    centre: np.ndarray
    extent: float
    models: tuple[str, ...]
    run: tuple[Path, Recipe] | None = None
    given: tuple[str, ...] = ()
    metrics: tuple[dict[str, Any], ...] = ()
    measured: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    home: Camera | None = None


@dataclass(frozen=True)
class RunStateChanged:
    """The run is now "idle", "training", "paused", "stopping" or "finished"."""

    state: str


@dataclass(frozen=True)
class NotStarted:
    """The run that Start asked for has not begun: it was cancelled, or a Failed says why."""


@dataclass(frozen=True)
class Progressed:
    """Something of the run happened: the engine's own event. Steps conflate: only the latest is kept."""

    event: Event


@dataclass(frozen=True)
class MetricsLogged:
    """Lines were added to metrics.jsonl.

    A resumed run writes the lines since its checkpoint again: the later line of a stage and step holds.
    A line with "event": "weights" marks a change of the teachers' "weights".
    """

    lines: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class ModelsChanged:
    """These models can be shown now, with their counts, in display order."""

    counts: dict[str, int]


@dataclass(frozen=True)
class TeachersWeighed:
    """Teachers' weights as they are now, their shares of the label, and the step after which they hold."""

    weights: dict[str, float]
    step: int
    shares: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class HistoryGrew:
    """Steps of the student (stage, step) that the timeline can show now."""

    steps: tuple[int, ...]


@dataclass(frozen=True)
class Exported:
    """A splat was written, read back and matches."""

    path: Path
    gaussians: int
    bytes: int


@dataclass(frozen=True)
class Failed:
    """Something went wrong. `advice`: what the user can do; `details`: for a report, may be a traceback.

    `goes_on`: it was got over, and the user only has to know.
    """

    what: str
    advice: str
    details: str = ""
    goes_on: bool = False


@dataclass(frozen=True)
class ExportFailed:
    """The splat was not written, or did not match."""

    failed: Failed


@dataclass(frozen=True)
class QuitFailed:
    """The run could not be saved: it is paused, and the thread goes on. `Quit(unsaved=True)` ends it."""

    failed: Failed


@dataclass(frozen=True)
class EllipsoidsUnavailable:
    """Models can't be drawn as ellipsoids here, and are shown by their images instead."""

    failed: Failed


Report = (
    Loading | SceneOpened | RunStateChanged | NotStarted | Progressed | MetricsLogged | ModelsChanged
    | TeachersWeighed | HistoryGrew | Exported | Failed | ExportFailed | QuitFailed | EllipsoidsUnavailable
)  # fmt: skip
