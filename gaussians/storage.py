"""Atomic files: a reader, or a machine that loses power, sees the old content or the new, never half."""

import contextlib
import errno
import json
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from gaussians.errors import StorageError


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is synced to disk and renamed over `path`.

    The temporary name keeps the suffix, for writers that choose a format by it. On any failure the
    temporary file is removed and the previous content of `path` survives. A link stays: what it points to is
    replaced.

    Raises:
        StorageError: the disk is full, the folder cannot be written, or the like.
    """
    _nearest_folder(path)
    target = Path(os.path.realpath(path))
    temporary = _temporary(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        temporary.replace(target)
        _sync_folder(target.parent)
    except OSError as error:
        reason = error.strerror or str(error)
        raise StorageError(
            f"{path}: could not be written ({reason}); what was there before is unchanged. "
            f"{_advice(error).capitalize()}."
        ) from error
    finally:
        # What cannot be removed (the folder is a file, or went read-only) must not hide the reason above.
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary, empty folder beside `path`; on success it is synced to disk and becomes `path`.

    What was at `path` before goes only then. On any failure the temporary folder is removed.

    Raises:
        StorageError: the disk is full, the folder cannot be written, or the like.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        yield temporary
        for name in temporary.rglob("*"):
            if name.is_file():
                with name.open("rb+") as written:
                    os.fsync(written.fileno())
        if path.exists():
            shutil.rmtree(path)
        temporary.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise StorageError(
            f"{path}: could not be written ({error.strerror or error}). {_advice(error).capitalize()}."
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def check_file_name(path: Path) -> None:
    """Refuse a path that no file can be written to, before work that would be lost.

    Raises:
        StorageError: it is a folder, a device or a pipe; its name is too long; its folder can't be written.
    """
    folder = _nearest_folder(path)
    try:
        with tempfile.TemporaryFile(dir=folder):  # rights alone don't tell: a whole disk may be read-only
            pass
    except OSError as error:
        raise StorageError(
            f"{path}: nothing can be written to {folder} ({error.strerror}); choose another folder"
        ) from error


def remove_partial(folder: Path) -> None:
    """Delete what killed processes left half-written in a folder; only where no other process writes."""
    for left in folder.glob(".*.partial*"):
        if left.is_file():
            # What cannot be removed costs space and nothing else.
            with contextlib.suppress(OSError):
                left.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Replace `path` by `content`, atomically. Raises StorageError."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_json(path: Path, value: Any) -> None:
    """Replace `path` by `value` as indented JSON, atomically. NaN is refused. Raises StorageError."""
    write_bytes(path, (json.dumps(value, indent=2, allow_nan=False) + "\n").encode())


def write_with(path: Path, writer: Callable[[Path], None]) -> None:
    """Replace `path` by what `writer` writes to the path it is given. Raises StorageError."""
    with replacing(path) as temporary:
        writer(temporary)


def _advice(error: OSError) -> str:
    """What helps where this kept a file from being written; a library's error may not say what it was."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, None):
        return "free some space or choose another folder"
    return "choose a shorter name" if error.errno == errno.ENAMETOOLONG else "choose another folder"


def _nearest_folder(path: Path) -> Path:
    """The deepest folder there is on the way to a file. Raises StorageError: no file can be at `path`."""
    try:
        mode = _mode(path)
        if mode is not None and stat.S_ISDIR(mode):
            raise StorageError(f"{path}: is a folder; give the name of a file to write")
        if mode is not None and not stat.S_ISREG(mode):
            raise StorageError(f"{path}: is a device or pipe; give the name of a file")
        target = Path(os.path.realpath(path))
        folder = next((each for each in target.parents if _mode(each) is not None), Path(target.anchor))
        if not folder.is_dir():
            raise StorageError(f"{path}: {folder} is no folder; choose another place")
        _mode(folder / _temporary(target).name)  # the longest name that is to be written
    except OSError as error:
        raise StorageError(f"{path}: could not be written ({error.strerror}); {_advice(error)}") from error
    return folder


def _temporary(target: Path) -> Path:
    """What this process writes before it becomes `target`. Keeps the suffix."""
    return target.with_name(f".{target.stem}.{os.getpid()}.partial{target.suffix}")


def _mode(path: Path) -> int | None:
    """What kind of thing a path leads to, as `stat` has it; None: nothing is there. Raises OSError."""
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable. Windows can't open folders, and needs no such thing."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
