"""Atomic files: a reader, or a machine that loses power, sees the old content or the new, never half."""

import contextlib
import errno
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from gaussians.errors import StorageError


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is synced to disk and renamed over `path`.

    The temporary name keeps the suffix, for writers that choose a format by it. On any failure the
    temporary file is removed and the previous content of `path` survives.

    Raises:
        StorageError: the disk is full, the folder cannot be written, or the like.
    """
    check_file_name(path)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb+") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
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
        StorageError: it is a folder, or can't be looked at.
    """
    try:
        is_folder = not path.name or path.is_dir()
    except OSError as error:  # as of too long a name
        raise StorageError(f"{path}: could not be written ({error.strerror}); {_advice(error)}") from error
    if is_folder:
        raise StorageError(f"{path}: is a folder; give the name of a file to write")


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
    return "choose another name" if error.errno == errno.ENAMETOOLONG else "choose another folder"


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable. Windows can't open folders, and needs no such thing."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
