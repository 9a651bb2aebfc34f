"""Views in memory up to a bound, and beyond it in a temporary file that the operating system pages."""

import math
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO

import numpy as np
import platformdirs

from gaussians.camera import Camera
from gaussians.errors import RecipeError, StorageError
from gaussians.memory import total_memory
from gaussians.scene.types import SceneOptions, View

_SHARE = 0.25  # of main memory: as much again may go to labels, and the Gaussians want some


class Shelf:
    """Takes views one after the other, and gives all of them back.

    Once their pixels take more than the bound, all go into one file, which is then mapped for reading: a view
    that is looked at is read from it, and leaves memory when that is wanted elsewhere. The file has no name
    (on Windows: it goes when it is closed), so that a process that is killed leaves none behind.

    Use as a context: what isn't taken by `views` is gone at its end.

    Args:
        most_bytes: of pixels in memory.
        folder: for the file. Not the system's temporary one, which may be in memory itself.
    """

    def __init__(self, most_bytes: float, folder: Path) -> None:
        self._most, self._folder = most_bytes, folder
        self._bytes = self._end = 0  # of all views; of the file
        self._held: list[View] = []
        self._written: list[_Written] = []
        self._file: IO[bytes] | None = None

    @classmethod
    def of(cls, options: SceneOptions) -> "Shelf":
        """As the options have it, in the user's cache. Raises RecipeError: the bound makes no sense."""
        megabytes = options.photo_memory_mb
        if megabytes is None:
            most = _SHARE * total_memory() or math.inf
        elif megabytes >= 0:  # not of NaN
            most = 1e6 * megabytes
        else:
            raise RecipeError(f"--photo-memory-mb {megabytes:g}: must be at least 0")
        return cls(most, Path(platformdirs.user_cache_dir("splat-distillery")) / "photos")

    def __enter__(self) -> "Shelf":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()  # the map, where there is one, holds the file on its own
        self._held, self._written = [], []

    def put(self, view: View) -> None:
        """Add a view. Raises StorageError: the file can't be written."""
        self._held.append(view)
        self._bytes += sum(plane.nbytes for plane in _planes(view).values())
        if self._file is not None or self._bytes > self._most:
            self._write_down()

    def views(self) -> list[View]:
        """All of them, in order; their arrays are not to be written to. Raises StorageError."""
        if self._file is None:
            return list(self._held)
        try:
            self._file.flush()
            os.fsync(self._file.fileno())  # a network disk may tell only now that it is full
            # Every byte was written before: read only, as a write through a map on a full disk kills us.
            pixels = np.asarray(np.memmap(self._file, np.uint8, "r"))
        except OSError as error:
            raise self._problem(error) from error
        return [written.view(pixels) for written in self._written]

    @property
    def notes(self) -> tuple[str, ...]:
        """What to tell of it, as in Scene.notes."""
        if self._file is None:
            return ()
        return (
            f"photos take {_megabytes(self._bytes)}, more than the {_megabytes(self._most)} of memory for "
            "them: in a temporary file in the user's cache",
        )

    def _write_down(self) -> None:
        """What is held goes to the file's end."""
        try:
            if self._file is None:
                self._folder.mkdir(parents=True, exist_ok=True)
                self._file = tempfile.TemporaryFile(dir=self._folder, prefix="photos-")  # noqa: SIM115 - see __exit__
            for view in self._held:
                starts = {}
                for name, plane in _planes(view).items():
                    starts[name] = self._end
                    self._end += self._file.write(np.ascontiguousarray(plane).view(np.uint8).data)
                self._written.append(_Written(view.name, view.camera, starts))
        except OSError as error:
            raise self._problem(error) from error
        self._held = []

    def _problem(self, error: OSError) -> StorageError:
        return StorageError(
            f"{self._folder}: no file for photos of {_megabytes(self._bytes)} or more "
            f"({error.strerror or error}); free some space there, lower --resolution, "
            "or raise --photo-memory-mb"
        )


@dataclass(frozen=True)
class _Written:
    """A view whose pixels are in the file, from these bytes on."""

    name: str
    camera: Camera
    starts: dict[str, int]

    def view(self, pixels: np.ndarray) -> View:
        """With its parts of the file's bytes."""
        shape = (self.camera.height, self.camera.width)

        def part(name: str, *channels: int) -> np.ndarray:
            start, size = self.starts[name], math.prod((*shape, *channels))
            return pixels[start : start + size].reshape(*shape, *channels)

        return View(
            self.name,
            self.camera,
            part("image", 3),
            part("mask").view(bool) if "mask" in self.starts else None,
            part("alpha") if "alpha" in self.starts else None,
        )


def _planes(view: View) -> dict[str, np.ndarray]:
    """A view's arrays by name, a byte a value."""
    planes = {"image": view.image, "mask": view.mask, "alpha": view.alpha}
    return {name: plane for name, plane in planes.items() if plane is not None}


def _megabytes(size: float) -> str:
    return f"{size / 1e6:,.0f} MB".replace(",", " ")
