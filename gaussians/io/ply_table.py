"""PLY as a container: a text header that declares elements, then their rows as text or as bytes.

Only what splat files need: elements whose properties are scalars. What the columns mean is the business of
`ply` and `compressed_ply`.
"""

import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from gaussians.errors import SplatError

_TYPES = {
    **{"char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4"},
    **{"int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4"},
    **{"float": "f4", "double": "f8", "float32": "f4", "float64": "f8"},
}
_FORMATS = ("binary_little_endian", "binary_big_endian", "ascii")
_MAX_HEADER = 1 << 20  # bytes; a file without end_header is refused before all of it is read


@dataclass(frozen=True)
class PlyElement:
    """One element of the header.

    Attributes:
        name: "vertex", "face", "chunk", ...
        count: how many rows.
        properties: (name, NumPy type code) of the scalar properties, in file order.
        has_lists: it has list properties too, so that its rows differ in length.
    """

    name: str
    count: int
    properties: tuple[tuple[str, str], ...]
    has_lists: bool

    @property
    def names(self) -> tuple[str, ...]:
        """The properties' names, in file order."""
        return tuple(name for name, _ in self.properties)


@dataclass(frozen=True)
class PlyHeader:
    """What a PLY file declares.

    Attributes:
        path: the file.
        format: "binary_little_endian", "binary_big_endian" or "ascii".
        elements: in file order.
        size: bytes of the header; the first element's rows begin there.
    """

    path: Path
    format: str
    elements: tuple[PlyElement, ...]
    size: int

    def element(self, name: str) -> PlyElement | None:
        """The element of that name, or None."""
        return next((element for element in self.elements if element.name == name), None)


def read_header(path: Path) -> PlyHeader:
    """Read what a PLY file declares. Raises SplatError for anything that is not a PLY file."""
    with _opened(path) as file:
        if file.read(3) != b"ply":
            raise SplatError(f"{path}: not a PLY file (it does not begin with 'ply'); is it complete?")
        file.readline()
        ply_format, elements = "", []
        while (line := file.readline(_MAX_HEADER)) and file.tell() < _MAX_HEADER:
            words = line.decode("latin-1").split()
            keyword = words[0] if words else "comment"
            if keyword == "end_header":
                return PlyHeader(path, _known_format(path, ply_format), tuple(elements), file.tell())
            try:
                if keyword == "format":
                    ply_format = words[1]
                elif keyword == "element":
                    elements.append(_declared_element(words))
                elif keyword == "property":
                    elements[-1] = _with_property(elements[-1], words)
            except (IndexError, KeyError, ValueError):
                text = " ".join(words)
                raise SplatError(
                    f"{path}: PLY header line {text!r} makes no sense; export it again."
                ) from None
    raise SplatError(f"{path}: the PLY header has no end_header line; the file is truncated or damaged.")


def read_rows(header: PlyHeader, name: str) -> np.ndarray:
    """Read an element as a structured array [count], one field per property, in native byte order.

    Bytes after the last row are ignored: some exporters leave them.

    Raises:
        SplatError: there is no such element, it has lists, or the file ends before its last row.
    """
    path, element = header.path, header.element(name)
    if element is None:
        raise SplatError(f"{path}: the PLY file has no element {name!r}.")
    before = header.elements[: header.elements.index(element)]
    if element.has_lists or (header.format != "ascii" and any(other.has_lists for other in before)):
        raise SplatError(f"{path}: has list properties where splats have numbers; it looks like a mesh.")
    dtype = _row_dtype(path, element)
    if not element.properties:
        raise SplatError(f"{path}: the PLY header declares no properties of {name!r}; export it again.")
    with _opened(path) as file:
        file.seek(header.size)
        if header.format == "ascii":
            rows = _read_text(file, element, dtype, skip=sum(other.count for other in before))
        else:
            begins = header.size + sum(other.count * _row_dtype(path, other).itemsize for other in before)
            file.seek(
                min(begins, os.fstat(file.fileno()).st_size)
            )  # a header may claim more than a position can be
            rows = _read_binary(file, element.count, dtype, swapped=header.format == "binary_big_endian")
    if len(rows) < element.count:
        raise SplatError(
            f"{path}: truncated: holds {len(rows)} of {element.count} {name} rows; copy or export it again."
        )
    return rows


def columns(rows: np.ndarray, names: list[str]) -> np.ndarray:
    """[len(rows), len(names)] float32: the named fields side by side; what is beyond float32 is infinite."""
    all_names = rows.dtype.names or ()
    if all(rows.dtype[name] == np.float32 for name in all_names):
        # One pass over the file's rows instead of one per column: what makes big files quick.
        table = rows.view(np.float32).reshape(len(rows), len(all_names))
        return np.take(table, [all_names.index(name) for name in names], axis=1)
    out = np.empty((len(rows), len(names)), np.float32)
    with np.errstate(over="ignore"):
        for index, name in enumerate(names):
            out[:, index] = rows[name]
    return out


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise SplatError(f"{path}: cannot be opened ({error.strerror}); check the path.") from error


def _known_format(path: Path, ply_format: str) -> str:
    if ply_format not in _FORMATS:
        raise SplatError(f"{path}: PLY format {ply_format!r} is unknown; known: {', '.join(_FORMATS)}.")
    return ply_format


def _declared_element(words: list[str]) -> PlyElement:
    count = int(words[2])
    if count < 0:
        raise ValueError(count)
    return PlyElement(words[1], count, (), has_lists=False)


def _with_property(element: PlyElement, words: list[str]) -> PlyElement:
    if words[1] == "list":
        return PlyElement(element.name, element.count, element.properties, has_lists=True)
    properties = (*element.properties, (words[2], _TYPES[words[1]]))
    return PlyElement(element.name, element.count, properties, element.has_lists)


def _row_dtype(path: Path, element: PlyElement) -> np.dtype:
    if len(set(element.names)) < len(element.names):
        raise SplatError(f"{path}: the PLY header names a property of {element.name!r} twice.")
    return np.dtype(list(element.properties))


def _read_binary(file: BinaryIO, count: int, dtype: np.dtype, swapped: bool) -> np.ndarray:
    """Up to `count` rows from the file's position on, as many as there are, in native byte order."""
    stored = dtype.newbyteorder(">" if swapped else "<")
    # The count is only what a header claims: the file's size bounds what is allocated.
    held = max(0, os.fstat(file.fileno()).st_size - file.tell()) // max(1, dtype.itemsize)
    return np.fromfile(file, stored, min(count, held)).astype(dtype, copy=False)


def _read_text(file: BinaryIO, element: PlyElement, dtype: np.dtype, skip: int) -> np.ndarray:
    """Up to `element.count` rows of text, after `skip` lines. Fewer when the file ends, or at bad text."""
    for _ in range(skip):
        if not file.readline():
            break
    # A row takes a digit and a separator for each number, so the file's size bounds what is allocated.
    held = (os.fstat(file.fileno()).st_size - file.tell() + 1) // (2 * len(element.properties))
    if min(element.count, held) <= 0:
        return np.empty(0, dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an empty input only warns; the caller counts the rows
        try:
            wide = np.loadtxt(
                file,
                np.float64,
                comments=None,
                max_rows=min(element.count, held),
                ndmin=2,
                encoding="latin-1",
            )
        except ValueError as error:
            raise SplatError(f"{file.name}: unreadable text in {element.name!r} rows ({error}).") from None
    if wide.size and wide.shape[1] != len(element.properties):
        raise SplatError(
            f"{file.name}: {element.name} rows hold {wide.shape[1]} numbers, the header declares "
            f"{len(element.properties)}; export it again."
        )
    rows = np.empty(len(wide) if wide.size else 0, dtype)
    with np.errstate(over="ignore", invalid="ignore"):  # of numbers that the declared types don't hold
        for index, field in enumerate(element.names):
            rows[field] = wide[:, index] if wide.size else 0
    return rows
