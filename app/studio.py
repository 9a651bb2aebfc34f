"""What the window does, without any widget: what is open, what is looked at, what is sent to the worker."""

import threading
from pathlib import Path

import numpy as np

from app.comparison import Comparison
from app.flip_view import FlipView
from app.form import RecipeForm
from app.layout import Layout
from app.opening import NotOpenedError, opening
from app.orbit import OrbitControl, outside
from app.paths import is_there
from app.settings import load_settings, settings_file
from app.state import COMPARE, DISAGREEMENT, PHOTO, StudioState
from app.worker_like import WorkerLike
from gaussians.cli.distill import DEMO, free_directory
from gaussians.distill.pipeline import ENSEMBLE, STUDENT
from gaussians.session.directory import RECIPE_FILE
from gaussians.session.flip_process import FlipMaps
from gaussians.session.messages.commands import CancelLoading, Look, Quit, SetPreviewShare, Start, View
from gaussians.session.messages.frame import ELLIPSOIDS, IMAGE, Frame
from gaussians.session.messages.reports import (
    EllipsoidsUnavailable,
    Failed,
    QuitFailed,
    RunStateChanged,
    SceneOpened,
)

ORDER = (PHOTO, "vanilla", "perturbed", "dropout", ENSEMBLE, STUDENT, COMPARE, DISAGREEMENT)
HIDDEN = frozenset({COMPARE, DISAGREEMENT})
FIRST, SECOND = "compare first", "compare second"  # the views behind the comparison cell


class Studio:
    """The window's other half.

    Args:
        worker: not started yet.
        directory: where the first run that is started goes; None: runs/NAME.
        remembered: the file with the settings.
    """

    def __init__(
        self, worker: WorkerLike, directory: Path | None = None, remembered: Path | None = None
    ) -> None:
        self._remembered = remembered or settings_file()
        self.settings = settings = load_settings(self._remembered)
        self.worker = worker
        self._directory = directory
        self.state = StudioState()
        self.form = RecipeForm("fast")
        self.layout = Layout.from_json(settings.layout, ORDER, HIDDEN)
        self.control: OrbitControl | None = None
        self.comparison = Comparison()
        self.flip = FlipView(FlipMaps())
        self.frames: dict[str, Frame] = {}
        self.style = IMAGE  # or ELLIPSOIDS: how models are shown
        self.past: int | None = None  # the student's step that the timeline shows; None: now
        self._asked: tuple | None = None
        self._leaving: threading.Thread | None = None
        self._abandoned = False

    def begin(self, path: Path) -> None:
        """Start the worker, and open something."""
        self.worker.start()
        self.worker.send(SetPreviewShare(self.settings.preview_share))
        self.open(path)

    def open(self, path: Path) -> None:
        """Open a scene, a run or a splat file, whichever it is."""
        if self._is_lost():
            return
        self.state.version += 1
        try:
            command = opening(path)
        except NotOpenedError as error:
            self.settings.recent = [other for other in self.settings.recent if other != error.gone]
            self.state.failures.append(error.failed)
            return
        self.state.opening, self.state.cancelling = True, False
        self.worker.send(command)

    def cancel_loading(self) -> None:
        """Give up loading; what was open stays."""
        if self.state.is_loading and not self.state.cancelling:
            self.state.cancelling = True
            self.state.version += 1
            self.worker.send(CancelLoading())

    def start(self, *, anew: bool = False) -> None:
        """Begin a run with the form's recipe, or go on with the one that is open."""
        opened, run = self.state.opened, self.state.run
        if opened is None or self._is_lost():
            return
        if run is not None and not anew:
            directory, recipe = run
        else:
            chosen = self.form.recipe()
            if chosen is None:
                self.state.failures.append(Failed(self.form.error, "Mend this option in the Recipe tab."))
                return
            directory = self._new_directory(opened.name)
            recipe = chosen
        self.past = None
        self.state.started(directory, recipe)
        self.worker.send(Start(directory, recipe))

    def set_preview_share(self, share: float) -> None:
        """The share of the worker's time for images while the camera moves, 0 to 1."""
        self.settings.preview_share = share
        self.worker.send(SetPreviewShare(share))

    def take_reports(self) -> bool:
        """Follow what the worker reports; whether there was anything."""
        reports = self.worker.reports()
        for report in reports:
            self.state.take(report)
            if isinstance(report, SceneOpened):
                self._opened(report)
            elif isinstance(report, RunStateChanged) and report.state == "training" and self.state.run:
                self._directory = None  # it was for the first run
                self.settings.opened(self.state.run[0])
            elif isinstance(report, QuitFailed):
                self._leaving = None
            elif isinstance(report, EllipsoidsUnavailable):
                self.style = IMAGE
        if not (self.state.lost or self._leaving or self.worker.is_alive):
            self.state.lose()
        if reports:
            self.layout.offer(self.state.cells)
            self.comparison.settle(self.state.models)
        return bool(reports)

    def take_frames(self) -> set[str]:
        """Fetch the newest images; the views that have a new one."""
        views = [view.cell for view in self._views()]
        fresh = {cell: frame for cell in views if (frame := self.worker.frame(cell)) is not None}
        self.frames.update(fresh)
        return set(fresh)

    def look(self, width: float, height: float, moving: bool, active: str | None = None) -> None:
        """Ask for the images of all shown cells, in an area of this size, if anything has changed.

        Args:
            width, height: of all cells together, px.
            moving: the camera is being moved.
            active: the cell that the user works in: its image comes first.
        """
        control, views = self.control, self._views(active)
        places = self.layout.places(width, height, self.aspect)
        if control is None or not places or not views:
            return
        cell = next(iter(places.values()))
        camera = control.camera(int(cell.width), int(cell.height))
        key = (camera.key, views, control.dataset, moving)
        if key != self._asked and cell.width >= 16 and cell.height >= 16:
            self._asked = key
            self.worker.send(Look(camera, views, control.dataset, moving))

    def wait_for_image(self, cell: str, seconds: float) -> None:
        """While the camera moves: let a cell's image of the camera as it is now arrive, if it soon does."""
        control = self.control
        if control is None or cell not in self.layout.shown:
            return
        viewmat = control.camera(16, 16).viewmat
        name = FIRST if cell == COMPARE else cell
        self.worker.wait_for_frame(name, lambda frame: np.array_equal(frame.camera.viewmat, viewmat), seconds)

    @property
    def title(self) -> str:
        """What is open, for people."""
        opened = self.state.opened
        if opened is None:
            return ""
        return "Demo scene" if opened.path == DEMO else opened.name

    @property
    def aspect(self) -> float:
        """Of the images, width over height."""
        return self.control.aspect if self.control else 4 / 3

    @property
    def view_names(self) -> tuple[str, ...]:
        """The dataset's views, in order."""
        return tuple(self.state.opened.cameras) if self.state.opened else ()

    def go_to(self, name: str) -> None:
        """Jump to a dataset view."""
        opened = self.state.opened
        if opened is not None and self.control is not None and name in opened.cameras:
            self.control.jump(opened.cameras[name], name)

    def go_by(self, offset: int) -> None:
        """Jump to the next (1) or the previous (-1) dataset view."""
        names = self.view_names
        if names and self.control is not None:
            here = self.control.target
            index = names.index(here) + offset if here in names else 0
            self.go_to(names[index % len(names)])

    def reset(self) -> None:
        """Camera back to where it began, smoothly."""
        if self.control is not None:
            self.control.reset()

    @property
    def has_ellipsoids(self) -> bool:
        """Whether there is a model that could be shown as ellipsoids, and the means to."""
        return self.control is not None and bool(self.state.splats) and self.state.draws_ellipsoids

    def toggle_ellipsoids(self) -> None:
        """Show what models are made of instead of their images, or images again."""
        if self.has_ellipsoids:
            self.style = IMAGE if self.style == ELLIPSOIDS else ELLIPSOIDS

    def leave(self, *, unsaved: bool = False) -> None:
        """Ask the worker to save and to end; `has_left` says when it did.

        Args:
            unsaved: end even if it can't save; else `state.unsaved` says so, and all goes on.
        """
        if self._leaving is None:
            self.state.unsaved = None
            self.worker.send(Quit(unsaved))
            self._leaving = threading.Thread(target=self.worker.join, name="leaving", daemon=True)
            self._leaving.start()

    def abandon(self) -> None:
        """Wait no longer for the worker: what it does now is lost."""
        self._abandoned = True

    def wait(self, seconds: float) -> None:
        """After `leave`: wait for the worker to end, but not longer than this, nor if it was abandoned."""
        if self._leaving is not None and not self._abandoned:
            self._leaving.join(seconds)

    def remember(self) -> None:
        """Keep the settings for the next start. If they can't be kept, that is no reason to stop anything."""
        self.settings.layout = self.layout.to_json()
        self.settings.save(self._remembered)

    @property
    def has_left(self) -> bool:
        """Whether the worker has ended, or was abandoned."""
        return self._abandoned or (self._leaving is not None and not self._leaving.is_alive())

    def _is_lost(self) -> bool:
        """Whether the worker has died, which is said again to who asks something of it."""
        if self.state.lost and not self.state.failures:
            self.state.failures.append(self.state.loss)
        return self.state.lost

    def _new_directory(self, name: str) -> Path:
        """Where a new run on what is called so goes: where it was asked for, unless a run is there."""
        asked = None if self._directory is None else self._directory.expanduser().resolve()
        if asked is not None and not is_there(asked / RECIPE_FILE):
            return asked
        return free_directory(name).expanduser().resolve()

    def _opened(self, opened: SceneOpened) -> None:
        self.frames.clear()
        self.past, self._asked = None, None
        self.layout.shrink()
        if opened.path != DEMO:
            self.settings.opened(opened.run[0] if opened.run else opened.path)
        if opened.run is not None:
            self.form.load(opened.run[1])
        else:
            self.form.choose("preview" if opened.path == DEMO else "fast")
        name = next(iter(opened.test or tuple(opened.cameras)), None)
        home = opened.home if name is None else opened.cameras[name]
        if home is None:
            home = outside(opened.up, opened.centre, opened.extent)
        self.control = OrbitControl(home, opened.up, opened.centre, opened.extent, name)

    def _views(self, active: str | None = None) -> tuple[View, ...]:
        """What is to be rendered: of the active cell, then of the others as they are shown."""
        views = []
        dataset = self.control.dataset if self.control else None
        for cell in sorted(self.layout.shown, key=lambda cell: cell != active):
            models, style = [cell], self.style
            if cell == COMPARE:
                models = [self.comparison.first, self.comparison.second]
                style = IMAGE if self.comparison.is_error else style  # an error is one of images
            for model, name in zip(models, (FIRST, SECOND) if cell == COMPARE else (cell,), strict=True):
                if model == PHOTO and dataset is None:
                    continue
                if model == STUDENT and self.past is not None:
                    model = f"history:{self.past}"
                views.append(View(name, model, style))
        return tuple(views)
