"""Photos and videos in forms that we don't read: what to tell about them."""

from collections import Counter
from collections.abc import Collection
from pathlib import Path

VIDEOS = (".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm")
PHOTOS = (".heic", ".heif", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2")
"""Apple's, and cameras' raw files."""


def unreadable(
    folder: Path, kinds: Collection[str] = PHOTOS + VIDEOS, known: Collection[str] = (), where: str = ""
) -> tuple[str, ...]:
    """How many files of each kind lie in a folder and what to do with them, one line each.

    Args:
        folder: its subfolders are not looked into.
        kinds: suffixes, lower case.
        known: names without suffix; what has one of them is there in another form too, and passed over.
        where: said after the count: " in input".
    """
    counts = Counter(
        path.suffix.lower()
        for path in folder.iterdir()
        if path.suffix.lower() in kinds and path.stem not in known and not path.name.startswith(".")
    )
    return tuple(_line(suffix, count, where) for suffix, count in sorted(counts.items()))


def _line(suffix: str, count: int, where: str) -> str:
    kind, advice = ("video", "extract frames") if suffix in VIDEOS else ("file", "convert to JPEG")
    return f"{count} {suffix} {kind}{'' if count == 1 else 's'}{where}: {advice} first"
