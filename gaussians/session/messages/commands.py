"""What the window asks of the worker: commands, in the imperative, carried out in their order."""

from dataclasses import dataclass
from pathlib import Path

from gaussians.camera import Camera
from gaussians.distill.recipe import Recipe
from gaussians.scene import SceneOptions
from gaussians.session.messages.frame import IMAGE


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
