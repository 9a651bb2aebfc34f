"""Which cell is rendered next, how large, and when: knows time and costs, no tensors."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass

import numpy as np

from gaussians.camera import Camera
from gaussians.session.messages.commands import Look, View

STILL_AFTER = 0.3  # seconds without a new camera
IDLE_SHARE = 0.03  # of the worker's time, to show what training changes
MOST_CREDIT = 0.1  # seconds of rendering that may be saved up
MOVING_SECONDS = 0.06  # a round of all cells may take, while the user moves
OTHERS_WAIT = 0.1  # seconds that the cells where the user isn't may stand still for the one where he is
SCALES = (1.0, 0.75, 0.5, 0.35, 0.25)


@dataclass(frozen=True)
class Shot:
    """One frame to render.

    Attributes:
        cell: its frame's name.
        model: what to render.
        style: as the view has it.
        camera: at the size to render at: `scale` times the size wanted.
        sharp: whether that is the size wanted.
        version: of the model, as asked for.
        serial: of the camera.
    """

    cell: str
    model: str
    style: str
    camera: Camera
    sharp: bool
    version: Hashable
    scale: float
    serial: int


@dataclass(frozen=True)
class _Shown:
    shot: Shot
    at: float


class Previews:
    """Chooses shots so that the newest camera wins, and training keeps its share of the time.

    All times are in seconds on one monotonic clock.

    Attributes:
        share: of the time, that previews may take while the user moves.
        newest: the look that is shown.
    """

    def __init__(self) -> None:
        self.share = 0.5
        self.newest: Look | None = None
        self._serial = 0
        self._arrived = (-1e9, -1e9)  # of the newest camera, and of the one before
        self._shown: dict[str, _Shown] = {}
        self._costs: dict[tuple[str, float], float] = {}
        self._failed: set[tuple[str, int]] = set()
        self._credit, self._settled = 0.0, -1e9  # seconds that shots may take now, and when that was reckoned
        self._is_charged = False

    def look(self, look: Look, now: float) -> None:
        """Show this from now on."""
        before = self.newest
        if before is None or not _same_place(before, look):
            if not self.is_moving(now):
                self._credit = max(0.0, self._credit)  # who begins to move need not wait for what was before
            self._serial += 1
            self._arrived = (now, self._arrived[0])
            self._failed.clear()
            if before is None or _size(before.camera) != _size(look.camera):
                self._costs.clear()
        self.newest = look
        cells = {view.cell for view in look.views}
        self._shown = {cell: shown for cell, shown in self._shown.items() if cell in cells}

    def forget(self) -> None:
        """What was shown is of something else now: render all anew."""
        self._serial += 1
        self._shown.clear()
        self._costs.clear()
        self._failed.clear()

    def is_moving(self, now: float) -> bool:
        """Whether the user is moving: says so, or has sent cameras in quick succession."""
        newest, before = self._arrived
        quick = now - newest < STILL_AFTER and newest - before < STILL_AFTER
        return self.newest is not None and (self.newest.moving or quick)

    def next(self, version: Callable[[str], Hashable | None], now: float, training: bool) -> Shot | None:
        """What to render now; None: nothing, or training comes first.

        Args:
            version: of a model, changes when its picture may; None: it can't be shown now.
            now: the time.
            training: whether there is training that wants its share.
        """
        look, moving = self.newest, self.is_moving(now)
        if look is None:
            return None
        asked, refresh = self._wanted(look, version, moving, now)
        self._settle(self.share if asked or moving else IDLE_SHARE, now)
        self._is_charged = training
        if training and self._credit <= 0:
            return None
        return next(iter(asked or refresh), None)

    def done(self, shot: Shot, seconds: float, now: float, spent: float | None = None) -> None:
        """A shot was rendered in so many seconds, of which training missed those `spent` (None: all)."""
        if self._is_charged:
            self._credit -= seconds if spent is None else spent
        self._shown[shot.cell] = _Shown(shot, now)
        key = (_kind(shot.model, shot.style), shot.scale)
        self._costs[key] = 0.5 * (self._costs.get(key, seconds) + seconds)

    def failed(self, shot: Shot) -> None:
        """A shot could not be rendered: not tried again until the camera changes."""
        self._failed.add((shot.cell, shot.serial))

    def patience(self, now: float) -> float | None:
        """Seconds after which `next` may have something, when it has nothing now; None: not by waiting."""
        if self.newest is None or not self.is_moving(now) or self.newest.moving:
            return None
        return max(0.001, self._arrived[0] + STILL_AFTER - now)

    def _settle(self, share: float, now: float) -> None:
        """Earn this share of the time since the last call."""
        self._credit = min(MOST_CREDIT, self._credit + share * (now - self._settled))
        self._settled = now

    def _wanted(
        self, look: Look, version: Callable[[str], Hashable | None], moving: bool, now: float
    ) -> tuple[list[Shot], list[Shot]]:
        """Shots that the user waits for, and those that show what training changed: most urgent first."""
        new: list[tuple[str, Shot]] = []
        blurred, outdated = [], []
        known = [(view, version(view.model)) for view in look.views]
        shown_now = [target for target in known if target[1] is not None]
        for view, now_version in shown_now:
            cell = view.cell
            if (cell, self._serial) in self._failed:
                continue
            scale = self._scale(view, len(shown_now), view is shown_now[0][0]) if moving else 1.0
            shot = self._shot(look, view, now_version, scale)
            shown = self._shown.get(cell)
            if shown is None or _look_of(shown.shot) != _look_of(shot):
                new.append((cell, shot))
            elif not moving and not shown.shot.sharp:
                blurred.append(shot)
            elif not moving and shown.shot.version != now_version:
                outdated.append((shown.at, shot))
        ordered = self._in_turn(look, new, moving, now)
        return ordered + blurred, [shot for _, shot in sorted(outdated, key=lambda pair: pair[0])]

    def _in_turn(self, look: Look, new: list[tuple[str, Shot]], moving: bool, now: float) -> list[Shot]:
        """In the look's order; while moving the others take turns, and come first if they wait too long."""
        if moving and new:
            foremost = look.views[0].cell
            first = [pair for pair in new if pair[0] == foremost]
            others = sorted(
                (pair for pair in new if pair[0] != foremost), key=lambda pair: self._shown_at(pair[0])
            )
            since = max((self._shown_at(cell) for cell, _ in others), default=now)
            late = now - since > OTHERS_WAIT and self._shown_at(foremost) > since
            new = [*others, *first] if late else [*first, *others]
        return [shot for _, shot in new]

    def _shown_at(self, cell: str) -> float:
        shown = self._shown.get(cell)
        return -1e9 if shown is None else shown.at

    def _shot(self, look: Look, view: View, version: Hashable, scale: float) -> Shot:
        camera = look.camera
        if scale < 1:
            width, height = (max(16, round(scale * size)) for size in (camera.width, camera.height))
            camera = camera.resized(width, height)
        return Shot(view.cell, view.model, view.style, camera, scale == 1, version, scale, self._serial)

    def _scale(self, view: View, cells: int, is_first: bool) -> float:
        """The largest scale whose expected cost fits into the cell's part of a round: half for the first."""
        part = 1.0 if cells == 1 else 0.5 if is_first else 0.5 / (cells - 1)
        for scale in SCALES:
            expected = self._expected(view, scale)
            if expected is None or expected <= part * MOVING_SECONDS:
                return scale if expected is not None else 0.5
        return SCALES[-1]

    def _expected(self, view: View, scale: float) -> float | None:
        """Seconds that a frame takes: as measured, or from the nearest measured size by area."""
        kind = _kind(view.model, view.style)
        known = [measured for name, measured in self._costs if name == kind]
        if not known:
            return None
        nearest = min(known, key=lambda measured: abs(measured - scale))
        return self._costs[kind, nearest] * (scale / nearest) ** 2


def _kind(model: str, style: str) -> str:
    """What costs the same to render: all snapshots of the history are one model."""
    return f"{model.partition(':')[0]} {style}"


def _look_of(shot: Shot) -> tuple[str, str, int]:
    """What an image must have in common with another that it brings up to date."""
    return shot.model, shot.style, shot.serial


def _same_place(one: Look, other: Look) -> bool:
    a, b = one.camera, other.camera
    return (
        one.dataset == other.dataset
        and _size(a) == _size(b)
        and np.array_equal(a.viewmat, b.viewmat)
        and np.array_equal(a.K, b.K)
    )


def _size(camera: Camera) -> tuple[int, int]:
    return camera.width, camera.height
