"""Looking for something to open: what a folder holds, what of it is a scene or a run, and what was typed."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from app import text
from app.paths import expanded, is_file, is_there
from gaussians.scene import colmap, transforms
from gaussians.scene.folders import is_image
from gaussians.session.directory import RunDirectory

MOST_ENTRIES = 400  # listed; what is typed narrows them down
MOST_LOOKED_AT = 40  # files in a folder that are looked at to find out whether it holds photos
FOLDER = "Folder"
_SIGNS = tuple(sign for sign in (os.sep, os.altsep) if sign)  # between the parts of a path


@dataclass(frozen=True)
class Entry:
    """One line of the list.

    Attributes:
        path: absolute.
        what: "Run", "Scene", "Photos", "Folder", or a file's size.
        changed: seconds since the epoch.
        is_folder: False for a splat file.
    """

    path: Path
    what: str
    changed: float
    is_folder: bool

    @property
    def opens(self) -> bool:
        """Whether it is something to open, and not only a folder on the way."""
        return self.what != FOLDER

    @property
    def day(self) -> str:
        """When it was changed, for people."""
        return time.strftime("%d %b %Y", time.localtime(self.changed)).lstrip("0")


def kind_of(folder: Path) -> str:
    """What a folder is, by a few names in it: "Run", "Scene", "Photos" or "Folder"."""
    try:
        if RunDirectory(folder).exists:
            return "Run"
        if colmap.find_model(folder) is not None or transforms.find_file(folder) is not None:
            return "Scene"
        return "Photos" if _has_photos(folder) or _has_photos(folder / "images") else FOLDER
    except OSError:
        return FOLDER


class Browser:
    """Where the user is, and what is chosen. Nothing was read yet: `at` makes one that has.

    All that it holds is replaced and never changed, so that a shallow copy is another browser.

    Args:
        folder: to begin with.
        suffixes: of the files that are listed; none: only folders are.
    """

    def __init__(self, folder: Path, suffixes: tuple[str, ...] = ()) -> None:
        self.suffixes = suffixes
        self.problem = ""
        self.chosen: Entry | None = None
        self._typed = ""
        self._all: tuple[Entry, ...] = ()
        self._listed = self.folder = folder

    @classmethod
    def at(cls, folder: Path, suffixes: tuple[str, ...] = ()) -> "Browser":
        """In this folder, or in the nearest one above it that can be read."""
        browser = cls(folder, suffixes)
        while not browser.go(browser.folder) and browser.folder != browser.folder.parent:
            browser.folder = browser.folder.parent
        return browser

    def go(self, folder: Path) -> bool:
        """Go into a folder; whether that worked. If not, `problem` says why, and all stays as it was."""
        if not self._list(folder):
            return False
        self.folder, self._typed, self.problem, self.chosen = folder, "", "", None
        return True

    @property
    def entries(self) -> tuple[Entry, ...]:
        """What is listed: what begins with the typed name, then what has it within."""
        wanted = self._typed_name.lower()
        first, more = [], []
        for entry in self._all:
            name = entry.path.name.lower()
            if name.startswith(wanted):
                first.append(entry)
            elif wanted in name:
                more.append(entry)
        return tuple((first + more)[:MOST_ENTRIES])

    @property
    def hidden(self) -> int:
        """How many entries there are beyond those that are listed for their number."""
        return max(0, len(self._all) - MOST_ENTRIES)

    def type(self, words: str) -> None:
        """Follow what is typed: a part of a name, or a path, whose folder is listed meanwhile."""
        self._typed, self.problem, self.chosen = words.strip(), "", None
        path = self._typed_path
        parent = self.folder if path is None else path if self._typed.endswith(_SIGNS) else path.parent
        if parent != self._listed and not self._list(parent):
            return
        entries = self.entries
        if path is not None and is_there(path):
            self.chosen = next((entry for entry in entries if entry.path == path), None)
        elif self._typed_name and entries:
            self.chosen = entries[0]
        elif self._typed_name:
            self.problem = "Nothing here has that in its name."

    def move(self, offset: int) -> None:
        """Choose the next (1) or the previous (-1) entry."""
        entries = self.entries
        if entries:
            at = entries.index(self.chosen) + offset if self.chosen in entries else max(0, offset - 1)
            self.chosen = entries[min(max(at, 0), len(entries) - 1)]

    @property
    def target(self) -> Path | None:
        """What Open opens: what is chosen, else what is typed as a path, else the folder; None: nothing.

        Where files are asked for, a folder is none.
        """
        typed = self._typed_path
        if self.chosen is not None:
            path = self.chosen.path
        elif typed is not None and is_there(typed):
            path = typed
        else:
            path = None if self._typed else self.folder
        return None if path is None or (self.suffixes and not is_file(path)) else path

    def enter(self) -> Path | None:
        """Enter or a double-click: what is to be opened; None: it went into a folder, or it can't be."""
        typed, chosen = self._typed_path, self.chosen
        if chosen is None and typed is not None:
            if is_file(typed):
                return typed
            if not self.go(typed):
                self.problem = self.problem or f"{typed}: no such file or folder."
            return None
        if chosen is None:
            return None
        if chosen.is_folder and (self.suffixes or not chosen.opens):
            self.go(chosen.path)
            return None
        return chosen.path

    @property
    def _typed_path(self) -> Path | None:
        """What is typed, where it is a path and not a part of a name."""
        if not (self._typed.startswith("~") or any(sign in self._typed for sign in _SIGNS)):
            return None
        return (self.folder / expanded(Path(self._typed))).absolute()

    @property
    def _typed_name(self) -> str:
        """The part of what is typed that narrows the list."""
        path = self._typed_path
        if path is None:
            return self._typed
        return "" if self._typed.endswith(_SIGNS) else path.name

    def _list(self, folder: Path) -> bool:
        try:
            self._all = _listed(folder, self.suffixes)
        except OSError as error:
            self.problem = f"{folder}: {error.strerror or error}."
            return False
        self._listed = folder
        return True


def _listed(folder: Path, suffixes: tuple[str, ...]) -> tuple[Entry, ...]:
    """Folders, then files of these suffixes, by name. What is hidden or can't be read is left out.

    Raises:
        OSError: the folder can't be read.
    """
    folders, files = [], []
    with os.scandir(folder) as inside:
        for item in sorted(inside, key=lambda item: item.name.lower()):
            if item.name.startswith("."):
                continue
            try:
                status = item.stat()
                if item.is_dir():
                    kind = kind_of(Path(item.path)) if len(folders) < MOST_ENTRIES else FOLDER
                    folders.append(Entry(Path(item.path), kind, status.st_mtime, True))
                elif Path(item.name).suffix.lower() in suffixes:
                    files.append(Entry(Path(item.path), text.size(status.st_size), status.st_mtime, False))
            except OSError:
                continue
    return (*folders, *files)


def _has_photos(folder: Path) -> bool:
    try:
        with os.scandir(folder) as inside:
            few = [item.name for item, _ in zip(inside, range(MOST_LOOKED_AT), strict=False)]
    except OSError:
        return False
    return any(map(is_image, few))
