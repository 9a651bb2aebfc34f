"""Looking at paths that a user gave, without an error where one can't be looked at."""

from pathlib import Path


def is_there(path: Path) -> bool:
    """Whether a path leads somewhere: a share that is gone or a folder that one may not enter doesn't."""
    try:
        return path.exists()
    except OSError:
        return False


def is_folder(path: Path) -> bool:
    """Whether it is a folder that can be looked at."""
    try:
        return path.is_dir()
    except OSError:
        return False


def is_file(path: Path) -> bool:
    """Whether it is a file that can be looked at."""
    try:
        return path.is_file()
    except OSError:
        return False


def expanded(path: Path) -> Path:
    """With the home folder for ~; as it is, where the user that it names is unknown."""
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def is_same(path: Path, other: Path) -> bool:
    """Whether both are one file, or would be on a disk that takes no notice of letter case."""
    try:
        return path.samefile(other)
    except OSError:  # one of them is not there yet
        return str(path.resolve()).casefold() == str(other.resolve()).casefold()
