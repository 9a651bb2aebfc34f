"""Renders for the window what it looks at, when its turn has come."""

import time
from collections.abc import Callable, Hashable

from gaussians.session.gallery import Gallery
from gaussians.session.messages import Frame, Look
from gaussians.session.preview import Previews, Shot


class Painter:
    """Turns the newest Look into frames, one at a time.

    Args:
        deliver: takes finished frames.
        fail: told of the model that can't be rendered, and why: once for each reason.

    Attributes:
        gallery: what is open; None: nothing.
    """

    def __init__(self, deliver: Callable[[Frame], None], fail: Callable[[str, Exception], None]) -> None:
        self._deliver, self._fail = deliver, fail
        self._previews = Previews()
        self._told: set[tuple[str, type[Exception]]] = set()
        self.gallery: Gallery | None = None

    def show(self, gallery: Gallery | None) -> None:
        """From now on, models are those of this gallery."""
        self.gallery = gallery
        self._previews.forget()
        self._told.clear()

    def look(self, look: Look) -> None:
        """Show this from now on."""
        self._previews.look(look, time.perf_counter())

    def share(self, share: float) -> None:
        """Of the time, that frames may take while the user moves."""
        self._previews.share = share

    def paint(self, training: bool) -> bool:
        """Render one frame, if one is due; with `training`, only if that has had its share. Tells whether."""
        shot = self._previews.next(self._version, time.perf_counter(), training)
        if shot is None:
            return False
        try:
            self._render(shot)
        except Exception as error:  # whatever goes wrong, the window lives on
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

    def _render(self, shot: Shot) -> None:
        look, began = self._previews.newest, time.perf_counter()
        assert self.gallery is not None
        assert look is not None
        picture = self.gallery.picture(shot.model, shot.camera, look.dataset)
        now = time.perf_counter()
        self._previews.done(shot, now - began, now)
        self._deliver(
            Frame(
                cell=shot.cell,
                model=shot.model,
                image=picture.image,
                camera=shot.camera,
                count=picture.count,
                psnr=picture.psnr,
                seconds=now - began,
                sharp=shot.sharp,
                extra=picture.extra,
            )
        )
