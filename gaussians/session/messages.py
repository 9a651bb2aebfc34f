"""What window and worker thread say to each other. Commands are imperative, events past tense, all frozen.

The worker owns every tensor. The window sends commands through a queue; the worker answers with events (never
dropped) and with frames in `Latest` slots (only the newest of each view counts). Arrays in messages are made
for the message and never written to again.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gaussians.camera import Camera
from gaussians.distill.recipe import Recipe
from gaussians.scene import SceneOptions
from gaussians.session.events import Event

IMAGE, ELLIPSOIDS = "image", "ellipsoids"  # how models are shown

# --- commands: window to worker ----------------------------------------------------------------------------


@dataclass(frozen=True)
class OpenScene:
    """Load a scene folder; cancels what is loading. Answered by Loading..., then SceneOpened or Failed."""

    path: Path
    options: SceneOptions


@dataclass(frozen=True)
class OpenRun:
    """Open a run directory, finished or not: its scene, models, history. Answered like OpenScene."""

    path: Path


@dataclass(frozen=True)
class OpenSplat:
    """View a splat file, which has no scene."""

    path: Path


@dataclass(frozen=True)
class CancelLoading:
    """Stop loading; what was open before stays open. Answered by RunStateChanged, as any end of loading."""


@dataclass(frozen=True)
class Start:
    """Begin a run on the open scene, in a new directory, or go on with the opened run.

    Answered by RunStateChanged, or by NotStarted.
    """

    directory: Path
    recipe: Recipe


@dataclass(frozen=True)
class Pause:
    """Stop after the current step; previews go on."""


@dataclass(frozen=True)
class Continue:
    """Go on after Pause."""


@dataclass(frozen=True)
class Step:
    """One step while paused."""


@dataclass(frozen=True)
class Stop:
    """Save a checkpoint and end the run; it can be continued by Start."""


@dataclass(frozen=True)
class SetTeacherWeight:
    """Weigh a teacher in the ensemble (0: off): at once in its view, from the next step on in the labels."""

    teacher: str
    weight: float


@dataclass(frozen=True)
class View:
    """What a window's cell shows.

    Attributes:
        cell: the cell's name; its frame comes back under it.
        model: "photo", a teacher, "ensemble", "student", "disagreement", or "history:STEP".
        style: IMAGE, or ELLIPSOIDS, of a model that is one set of Gaussians.
    """

    cell: str
    model: str
    style: str = IMAGE


@dataclass(frozen=True)
class Look:
    """Render these views from this camera; replaces the previous Look.

    Attributes:
        camera: at the size wanted.
        views: what to render, the most important first.
        dataset: the name of the dataset view the camera sits on, for photo and PSNR; None: free.
        moving: the user is moving: fewer pixels, sooner.
    """

    camera: Camera
    views: tuple[View, ...]
    dataset: str | None = None
    moving: bool = False


@dataclass(frozen=True)
class SetPreviewShare:
    """The share of the worker's time that previews may take while the user moves (0 to 1)."""

    share: float


@dataclass(frozen=True)
class Export:
    """Write a model as a splat file, read it back and compare. Answered by Exported or Failed."""

    model: str
    path: Path


@dataclass(frozen=True)
class Quit:
    """Save a checkpoint and end the thread. Answered by QuitFailed where it can't be saved.

    Attributes:
        unsaved: end all the same if it can't be saved.
    """

    unsaved: bool = False


Command = (
    OpenScene | OpenRun | OpenSplat | CancelLoading | Start | Pause | Continue | Step | Stop
    | SetTeacherWeight | Look | SetPreviewShare | Export | Quit
)  # fmt: skip

# --- events: worker to window ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Loading:
    """Loading goes on.

    Attributes:
        what: is done now, such as "decoding photos".
        done, total: how much of that.
        name: of the scene, run or file that is opened; "": nothing is opened, a run is prepared.
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
class QuitFailed:
    """The run could not be saved: it is paused, and the thread goes on. `Quit(unsaved=True)` ends it."""

    failed: Failed


@dataclass(frozen=True)
class EllipsoidsUnavailable:
    """Models can't be drawn as ellipsoids here, and are shown by their images instead."""

    failed: Failed


@dataclass(frozen=True)
class Frame:
    """A rendered view.

    Attributes:
        cell, model: as asked for.
        image: [H, W, 3] uint8.
        camera: it was rendered from.
        count: Gaussians rendered.
        psnr: against the photo at the image's size, on a dataset view; None else.
        seconds: it took.
        sharp: at full size, not the quick one while moving.
        style: it is shown in: ELLIPSOIDS only if that was asked for, and can be.
        extra: "step" of a model in training; of ellipsoids the count of those "drawn"; of "disagreement" the
            "scale" (the standard deviation, in [0, 1] as colours are, that the brightest colour stands for)
            and the "mean".
    """

    cell: str
    model: str
    image: np.ndarray
    camera: Camera
    count: int
    psnr: float | None = None
    seconds: float = 0.0
    sharp: bool = True
    style: str = IMAGE
    extra: dict[str, Any] = field(default_factory=dict)


Report = (
    Loading | SceneOpened | RunStateChanged | NotStarted | Progressed | MetricsLogged | ModelsChanged
    | TeachersWeighed | HistoryGrew | Exported | Failed | QuitFailed | EllipsoidsUnavailable
)  # fmt: skip
