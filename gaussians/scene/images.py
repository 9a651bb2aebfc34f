"""From photos on disk to views in memory, several at a time."""

import os
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import PurePosixPath
from typing import TypeVar

import numpy as np

from gaussians.camera import Camera
from gaussians.errors import SceneError
from gaussians.scene import pixels
from gaussians.scene.capture import Shot
from gaussians.scene.headers import Header, read_header
from gaussians.scene.lens import Face, Lens
from gaussians.scene.resolution import Resolution
from gaussians.scene.shelf import Shelf
from gaussians.scene.types import Progress, View

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

_MOST_THREADS = 8  # more only hold more full-size photos in memory: decoding is soon bound by reading
_AHEAD = 2  # photos begun for each thread: finished ones wait in memory for who takes them
_KEPT_LENSES = 4  # the maps of a photo's lens take 8 bytes a pixel


@dataclass(frozen=True)
class Finish:
    """How every photo is made into views.

    Attributes:
        resolution: asked for.
        reduction: size of the files over full size.
        background: RGB in [0, 1] behind transparent pixels.
    """

    resolution: Resolution
    reduction: float
    background: tuple[float, float, float]


def read_headers(shots: Sequence[Shot]) -> list[Header]:
    """The headers of all photos; the first bad file, photo or mask, raises SceneError."""
    return list(in_threads(_header, shots))


def _header(shot: Shot) -> Header:
    header = read_header(shot.path)
    if shot.mask is not None:
        read_header(shot.mask)
    return header


def load_views(
    shots: Sequence[Shot],
    headers: Sequence[Header],
    finish: Finish,
    shelf: Shelf,
    progress: Progress | None = None,
) -> list[tuple[View, ...]]:
    """Decode all photos onto the shelf. One view for each shot, six where the shot is a panorama.

    Raises:
        SceneError: names the file that cannot be read, or whose size is not its camera's.
        StorageError: the shelf's file can't be written.
    """
    lenses = _Lenses()
    pairs = list(zip(shots, headers, strict=True))
    for pair in pairs:
        is_upright(*pair)  # a photo that fits no camera is told before all others are decoded
    counts: list[int] = []
    for each in in_threads(lambda pair: _views_of(*pair, finish, lenses), pairs):
        for view in each:
            shelf.put(view)
        counts.append(len(each))
        if progress:
            progress("decoding photos", len(counts), len(pairs))
    views = iter(shelf.views())
    return [tuple(islice(views, count)) for count in counts]


def in_threads(function: Callable[[_Item], _Result], items: Sequence[_Item]) -> Iterable[_Result]:
    """`map` on several cores, in order and a few items ahead of the caller.

    What has not begun is dropped when the caller stops listening.
    """
    threads = min(cores(), _MOST_THREADS)
    pool = ThreadPoolExecutor(threads, "scene")
    remaining = iter(items)
    try:
        begun = deque(pool.submit(function, item) for item in islice(remaining, _AHEAD * threads))
        while begun:
            # Popped, so that a result is not also kept here.
            yield begun.popleft().result()
            begun.extend(pool.submit(function, item) for item in islice(remaining, 1))
    finally:
        pool.shutdown(cancel_futures=True)


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Lenses:
    """The faces of the lenses used last, computed once by whichever thread comes first."""

    def __init__(self) -> None:
        self._faces: OrderedDict[tuple[Lens, int, int], tuple[Face, ...]] = OrderedDict()
        self._lock = threading.Lock()

    def faces(self, lens: Lens, width: int, height: int) -> tuple[Face, ...]:
        key = (lens, width, height)
        with self._lock:
            if key not in self._faces:
                self._faces[key] = lens.faces(width, height)
                if len(self._faces) > _KEPT_LENSES:
                    self._faces.popitem(last=False)
            return self._faces[key]


def _views_of(shot: Shot, header: Header, finish: Finish, lenses: _Lenses) -> tuple[View, ...]:
    upright = is_upright(shot, header)
    photo = pixels.decode(shot.path, upright)
    height, width = photo.shape[:2]
    colors, alpha = pixels.composited(photo, finish.background)
    mask = None if shot.mask is None else pixels.decode_mask(shot.mask, width, height, upright)
    views = []
    for face in lenses.faces(shot.lens, width, height):
        size = finish.resolution.size(face.width, face.height, finish.reduction)
        viewmat = np.eye(4)
        viewmat[:3] = face.rotation @ shot.viewmat[:3]
        camera = Camera(viewmat, face.K, face.width, face.height).resized(*size)
        views.append(
            View(
                name=_view_name(shot.name, face),
                camera=camera,
                image=pixels.developed(colors, face, *size),
                mask=_counting(mask, face, *size),
                alpha=None if alpha is None else pixels.developed(alpha, face, *size)[..., 0],
            )
        )
    return tuple(views)


def _counting(mask: np.ndarray | None, face: Face, width: int, height: int) -> np.ndarray | None:
    """[height, width] bool: at least half of the pixel counts by the mask, and the photo shows all of it."""
    counts = None
    if mask is not None:
        counts = pixels.developed(mask, face, width, height)[..., 0] > pixels.OPAQUE // 2
    if face.valid is not None:
        shown = face.valid[..., None].astype(np.uint8) * np.uint8(pixels.OPAQUE)
        valid = pixels.resampled(shown, width, height)[..., 0] == pixels.OPAQUE
        counts = valid if counts is None else counts & valid
    return counts


def _view_name(name: str, face: Face) -> str:
    if not face.label:
        return name
    path = PurePosixPath(name)
    return str(path.with_name(f"{path.stem}.{face.label}{path.suffix}"))


def is_upright(shot: Shot, header: Header) -> bool:
    """Whether the lens means the photo as its EXIF orientation shows it. Else: as it is stored.

    Programs that estimate cameras differ in this, so the shape decides.

    Raises:
        SceneError: the photo has another shape than its camera either way.
    """
    if shot.upright or not _same_shape(header.size(upright=False), shot.lens):
        if _same_shape(header.size(upright=True), shot.lens):
            return True
        raise SceneError(
            f"{shot.path}: the photo is {header.stored_width}x{header.stored_height}, its camera is for "
            f"{shot.lens.width}x{shot.lens.height}; use the photos that the cameras were computed from."
        )
    return False


def _same_shape(size: tuple[int, int], lens: Lens) -> bool:
    """The same up to scale; reduced copies round both sides to whole pixels."""
    deviation = abs(size[0] * lens.height - size[1] * lens.width)
    return deviation <= max(0.01 * size[0] * lens.height, 1.5 * max(lens.width, lens.height))
