"""Renders for the window what it looks at, when its turn has come."""

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass

import numpy as np

from gaussians.camera import Camera
from gaussians.model import Gaussians
from gaussians.session.gallery import Developing, Drawer, Gallery
from gaussians.session.messages.commands import Look
from gaussians.session.messages.frame import ELLIPSOIDS, IMAGE, Frame
from gaussians.session.preview import Previews, Shot

_LONGEST = 0.2  # seconds after which a frame is waited for, whatever else there is to do


class _CannotDrawError(Exception):
    """The drawer failed, and why."""

    def __init__(self, reason: Exception) -> None:
        super().__init__(str(reason))
        self.reason = reason


@dataclass(frozen=True, eq=False)
class _Begun:
    """A shot that is being rendered: since when, and seconds that took of this thread so far."""

    shot: Shot
    developing: Developing
    at: float
    spent: float


class Painter:
    """Turns the newest Look into frames, one at a time.

    Args:
        deliver: takes finished frames.
        fail: told of the model that can't be rendered, and why: once for each reason.
        drawer: of models as ellipsoids; None, or from its first failure on: images are shown instead. That
            is told as one of the model ELLIPSOIDS.

    Attributes:
        gallery: what is open; None: nothing.
    """

    def __init__(
        self,
        deliver: Callable[[Frame], None],
        fail: Callable[[str, Exception], None],
        drawer: Drawer | None = None,
    ) -> None:
        self._deliver, self._fail, self._drawer = deliver, fail, drawer
        self._previews = Previews()
        self._told: set[tuple[str, type[Exception]]] = set()
        self._begun: _Begun | None = None
        self.gallery: Gallery | None = None

    def show(self, gallery: Gallery | None) -> None:
        """From now on, models are those of this gallery."""
        self.gallery, self._begun = gallery, None
        self._previews.forget()
        self._told.clear()

    def look(self, look: Look) -> None:
        """Show this from now on."""
        self._previews.look(look, time.perf_counter())

    def share(self, share: float) -> None:
        """Of the time, that frames may take while the user moves."""
        self._previews.share = share

    def paint(self, training: bool, waits: bool | None = None) -> bool:
        """Render a frame, if one is due, or deliver the one that is being rendered.

        Args:
            training: only if that has had its share.
            waits: for a frame to be done. None: unless there is training to go on with meanwhile.

        Returns:
            Whether there was something to do.
        """
        begun = self._begun
        shot = (
            self._previews.next(self._version, time.perf_counter(), training) if begun is None else begun.shot
        )
        if shot is None:
            return False
        try:
            begun = self._begun = begun or self._begin(shot)
            waits = not training if waits is None else waits
            overdue = time.perf_counter() - begun.at > _LONGEST
            if not (waits or overdue or begun.developing.is_done()):
                return False
            self._begun = None
            self._finish(begun)
        except Exception as error:  # whatever goes wrong, the window lives on
            self._begun = None
            self._previews.failed(shot)
            if (shot.model, type(error)) not in self._told:
                self._told.add((shot.model, type(error)))
                self._fail(shot.model, error)
        return True

    def patience(self) -> float | None:
        """Seconds to wait for a command when there is nothing to paint; None: until one comes."""
        return self._previews.patience(time.perf_counter())

    def _version(self, model: str) -> Hashable | None:
        look = self._previews.newest
        return None if self.gallery is None or look is None else self.gallery.version(model, look.dataset)

    def _begin(self, shot: Shot) -> _Begun:
        look, began = self._previews.newest, time.perf_counter()
        assert self.gallery is not None
        assert look is not None
        drawer = self._draw if shot.style == ELLIPSOIDS and self._drawer is not None else None
        try:
            developing = self.gallery.begin(shot.model, shot.camera, look.dataset, drawer)
        except _CannotDrawError as error:
            self._drawer = None
            self._fail(ELLIPSOIDS, error.reason)
            developing = self.gallery.begin(shot.model, shot.camera, look.dataset)
        return _Begun(shot, developing, began, time.perf_counter() - began)

    def _draw(
        self, gaussians: Gaussians, camera: Camera, background: tuple[float, float, float]
    ) -> tuple[np.ndarray, int]:
        assert self._drawer is not None
        try:
            return self._drawer(gaussians, camera, background)
        except Exception as error:
            raise _CannotDrawError(error) from error

    def _finish(self, begun: _Begun) -> None:
        """Deliver the frame, once it is done."""
        shot, resumed = begun.shot, time.perf_counter()
        picture = begun.developing.picture()
        now = time.perf_counter()
        taken, spent = now - begun.at, begun.spent + now - resumed
        # What it takes by itself: steps of training that came between don't get shorter with the image.
        self._previews.done(shot, begun.developing.seconds() or taken, now, spent)
        self._deliver(
            Frame(
                cell=shot.cell,
                model=shot.model,
                image=picture.image,
                camera=shot.camera,
                count=picture.count,
                psnr=picture.psnr,
                seconds=taken,
                sharp=shot.sharp,
                style=ELLIPSOIDS if "drawn" in picture.extra else IMAGE,
                extra=picture.extra,
            )
        )
