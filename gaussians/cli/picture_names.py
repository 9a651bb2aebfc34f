"""File names for rendered views."""

from collections.abc import Sequence
from pathlib import PurePosixPath


def picture_names(views: Sequence[str]) -> list[str]:
    """A PNG's name for each view: its own with subfolders, never outside the folder they are written to.

    Views that differ in nothing but their suffix, or in case, get a number: a.jpg and a.png make a.png and
    a-2.png.
    """
    taken: set[str] = set()
    names = []
    for view in views:
        parts = [part for part in PurePosixPath(view).parts if part not in ("..", "/") and ":" not in part]
        path = PurePosixPath(*parts)
        name, number = path.with_suffix(".png"), 2
        while str(name).lower() in taken:
            name, number = path.with_name(f"{path.stem}-{number}.png"), number + 1
        taken.add(str(name).lower())
        names.append(str(name))
    return names
