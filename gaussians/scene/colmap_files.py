"""Is a COLMAP model complete? Asked before pycolmap reads it.

pycolmap 4.2 believes the counts in a binary file: on a truncated one it runs on for minutes or for ever, or
takes the process down. So the records are walked here first, without keeping anything
(layout: COLMAP's documentation, "Output format"). In a text file it takes every other line for granted, and a
name to end at its first space.
"""

import struct
from collections.abc import Callable, Iterable
from pathlib import Path

from gaussians.errors import SceneError

NAMES = ("cameras", "images", "points3D")
_PARAMETERS = (3, 4, 4, 5, 8, 8, 12, 5, 4, 5, 12, 16, 4, 5, 3, 4, 6, 2)
"""How many parameters the camera model of each number has."""

_U32, _U64 = struct.Struct("<I"), struct.Struct("<Q")
_CAMERA = struct.Struct("<IiQQ")
_IMAGE = struct.Struct("<I7dI")
_POINT3D = struct.Struct("<Q3d3Bd")
_SENSOR = struct.Struct("<iI")
_POSE = struct.Struct("<7d")
_FRAME = struct.Struct("<II7dI")
_POSE_WORDS = 9  # before the name in a line of images.txt
_POINT2D_SIZE, _TRACK_ELEMENT_SIZE, _FRAME_DATA_SIZE = 24, 8, 16


def is_model(folder: Path) -> bool:
    """Whether a folder holds a COLMAP model, complete or not."""
    return any((folder / f"{name}.{kind}").is_file() for name in NAMES[:2] for kind in ("bin", "txt"))


def check_model(folder: Path) -> str:
    """Check that all files of a model are there and, where binary, complete. Returns "bin" or "txt".

    Raises:
        SceneError: names the file.
    """
    there = {
        kind: [name for name in NAMES if (folder / f"{name}.{kind}").is_file()] for kind in ("bin", "txt")
    }
    kind = max(there, key=lambda kind: len(there[kind]))
    missing = [f"{name}.{kind}" for name in NAMES if name not in there[kind]]
    if missing:
        raise SceneError(f"{folder}: the COLMAP model lacks {', '.join(missing)}; export it again.")
    if kind == "bin":
        for name, walk in _WALKS.items():
            path = folder / f"{name}.bin"
            if path.is_file():
                _check_file(path, walk)
    return kind


def names_in_text(path: Path) -> dict[int, str]:
    """The names in an images.txt by image id.

    Raises:
        SceneError: an image lacks its second line, of 2-D points, or the text makes no sense.
    """
    try:
        with path.open(encoding="utf-8", newline="\n") as lines:  # of points there may be gigabytes
            return _names(path, lines)
    except UnicodeDecodeError as error:
        raise SceneError(f"{path}: not UTF-8 text; rename the images, or export the model again.") from error


def _names(path: Path, lines: Iterable[str]) -> dict[int, str]:
    names, number, is_second = dict[int, str](), 0, False
    for number, line in enumerate(map(str.strip, lines), start=1):
        if is_second:
            if _is_pose(line):
                raise _without_points(path, number - 1)
            is_second = False
        elif line and not line.startswith("#"):
            words = line.split(None, _POSE_WORDS)
            if len(words) <= _POSE_WORDS or not words[0].isdecimal():
                raise SceneError(f"{path}: line {number} is no image with its pose; export the model again.")
            names[int(words[0])] = words[_POSE_WORDS]
            is_second = True
    if is_second:
        raise _without_points(path, number)
    return names


def _without_points(path: Path, number: int) -> SceneError:
    return SceneError(
        f"{path}: line {number}: the image is not followed by a line with its 2-D points, which may be "
        "empty; add one after each image, or export the model again."
    )


def _is_pose(line: str) -> bool:
    """Whether a line of images.txt ends in a name, as no line of points does: x, y, id, and so on."""
    words = line.split(None, _POSE_WORDS + 1)
    if len(words) <= _POSE_WORDS:
        return False
    return len(words) == _POSE_WORDS + 1 or not _is_number(line.rsplit(None, 1)[-1])


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _check_file(path: Path, walk: Callable[[bytes], int]) -> None:
    content = path.read_bytes()
    try:
        end = walk(content)
    except (struct.error, ValueError, IndexError, OverflowError):
        end = len(content) + 1
    if end != len(content):
        state = (
            "truncated or damaged" if end > len(content) else f"damaged: {len(content) - end} bytes too long"
        )
        raise SceneError(
            f"{path}: {state} ({len(content)} bytes); copy it again, or export the COLMAP model again."
        )


# Each walk returns where the file should end, and raises, or returns more than its size, if it ends before.


def _walk_cameras(content: bytes) -> int:
    (count,), at = _U64.unpack_from(content), _U64.size
    for _ in range(count):
        _, model, _, _ = _CAMERA.unpack_from(content, at)
        if model < 0:
            raise ValueError(model)
        at += _CAMERA.size + 8 * _PARAMETERS[model]
    return at


def _walk_images(content: bytes) -> int:
    (count,), at = _U64.unpack_from(content), _U64.size
    for _ in range(count):
        at = content.index(b"\0", at + _IMAGE.size) + 1
        at += _U64.size + _POINT2D_SIZE * _U64.unpack_from(content, at)[0]
    return at


def _walk_points(content: bytes) -> int:
    (count,), at = _U64.unpack_from(content), _U64.size
    for _ in range(count):
        at += _POINT3D.size
        at += _U64.size + _TRACK_ELEMENT_SIZE * _U64.unpack_from(content, at)[0]
    return at


def _walk_rigs(content: bytes) -> int:
    (count,), at = _U64.unpack_from(content), _U64.size
    for _ in range(count):
        (sensors,) = _U32.unpack_from(content, at + _U32.size)
        at += 2 * _U32.size + (_SENSOR.size if sensors else 0)
        for _ in range(sensors - 1):
            has_pose = content[at + _SENSOR.size]
            at += _SENSOR.size + 1 + (_POSE.size if has_pose else 0)
    return at


def _walk_frames(content: bytes) -> int:
    (count,), at = _U64.unpack_from(content), _U64.size
    for _ in range(count):
        data = _FRAME.unpack_from(content, at)[-1]
        at += _FRAME.size + _FRAME_DATA_SIZE * data
    return at


_WALKS = {
    "cameras": _walk_cameras,
    "images": _walk_images,
    "points3D": _walk_points,
    "rigs": _walk_rigs,
    "frames": _walk_frames,
}
