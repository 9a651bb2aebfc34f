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


def expanded(path: Path) -> Path:
    """With the home folder for ~; as it is, where the user that it names is unknown."""
    try:
        return path.expanduser()
    except RuntimeError:
        return path
