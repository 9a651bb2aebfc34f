"""Splat files: one module per format, one registry.

>>> write_splat(Path("student.ply"), gaussians)
>>> read_splat(Path("student.ply"))
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gaussians.errors import SplatError
from gaussians.io import antimatter15, compressed_ply, ply
from gaussians.io.ply_table import read_header
from gaussians.model import Gaussians

__all__ = [
    "read_splat",
    "readable_suffixes",
    "splat_bytes",
    "splats_within",
    "writable_suffixes",
    "write_splat",
]


@dataclass(frozen=True)
class _Format:
    """What can be done with files of one suffix.

    Attributes:
        read: the file's Gaussians.
        write: None where we only read.
        file_bytes: exact size of what `write` makes of a count of Gaussians of an SH degree.
    """

    read: Callable[[Path], Gaussians]
    write: Callable[[Path, Gaussians], None] | None = None
    file_bytes: Callable[[int, int], int] | None = None


def _read_any_ply(path: Path) -> Gaussians:
    header = read_header(path)
    return compressed_ply.read(header) if compressed_ply.recognises(header) else ply.read(header)


_FORMATS = {
    ".ply": _Format(_read_any_ply, ply.write, ply.file_bytes),
    ".splat": _Format(antimatter15.read),
}


def readable_suffixes() -> tuple[str, ...]:
    """The suffixes `read_splat` takes, lower case with their dot."""
    return tuple(_FORMATS)


def writable_suffixes() -> tuple[str, ...]:
    """The suffixes `write_splat` takes."""
    return tuple(suffix for suffix, form in _FORMATS.items() if form.write)


def read_splat(path: Path) -> Gaussians:
    """Read a splat file; parameters are float32 on the CPU.

    Infinite opacity logits (8-bit alphas 0 and 255) come back as ∓16.

    Raises:
        SplatError: no such file, a suffix that cannot be read, no splats in it, truncated, or not finite.
    """
    form = _FORMATS.get(path.suffix.lower())
    if form is None:
        raise SplatError(
            f"{path}: {path.suffix or 'a file without suffix'} cannot be read as splats; "
            f"can be read: {', '.join(readable_suffixes())}."
        )
    gaussians = form.read(path)
    if len(gaussians) == 0:
        raise SplatError(f"{path}: holds no Gaussians to learn from or look at; export it again.")
    return gaussians


def write_splat(path: Path, gaussians: Gaussians) -> None:
    """Write a splat file, atomically, in the format that its suffix names.

    Raises:
        SplatError: a suffix that cannot be written, or parameters that are not finite.
        StorageError: the file could not be written; what was there before is still there.
    """
    write = _writable(path.suffix).write
    assert write is not None
    write(path, gaussians)


def splat_bytes(n: int, sh_degree: int, suffix: str = ".ply") -> int:
    """Exact size in bytes of the file that `write_splat` makes of `n` Gaussians. Raises SplatError."""
    file_bytes = _writable(suffix).file_bytes
    assert file_bytes is not None
    return file_bytes(n, sh_degree)


def splats_within(size: int, sh_degree: int, suffix: str = ".ply") -> int:
    """The most Gaussians whose file has at most `size` bytes; 0 when not even one fits. Raises SplatError."""
    low, high = 0, size  # every format spends at least a byte on a Gaussian
    while low < high:
        middle = (low + high + 1) // 2
        if splat_bytes(middle, sh_degree, suffix) <= size:
            low = middle
        else:
            high = middle - 1
    return low


def _writable(suffix: str) -> _Format:
    form = _FORMATS.get(suffix.lower())
    if form is None or form.write is None or form.file_bytes is None:
        raise SplatError(
            f"{suffix or 'a file without suffix'}: splats cannot be written in this format; "
            f"can be written: {', '.join(writable_suffixes())}."
        )
    return form
