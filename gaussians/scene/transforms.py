"""transforms.json: NeRF-synthetic (train and test files, RGBA), instant-ngp and nerfstudio.

Poses are camera-to-world in OpenGL axes (x right, y up, z backward); only the camera's axes are turned to
OpenCV's, the world stays that of the file. nerfstudio's `applied_transform` is already in the poses and in
its point cloud, so it is left alone.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from gaussians.errors import SceneError
from gaussians.scene.capture import Capture, Shot, rigid_inverse
from gaussians.scene.folders import IMAGE_SUFFIXES, choose_images
from gaussians.scene.headers import read_header
from gaussians.scene.intrinsics import lens_of_frame
from gaussians.scene.points import read_ply
from gaussians.scene.resolution import Resolution
from gaussians.scene.types import Points

WHOLE, TRAIN, TEST, VALIDATION = (
    "transforms.json",
    "transforms_train.json",
    "transforms_test.json",
    "transforms_val.json",
)
_IMAGES = "images/"
_POINTS = ("points3d.ply", "points3D.ply", "sparse_pc.ply")
_OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])


@dataclass(frozen=True)
class _Frame:
    """One frame of a file, with what it inherits from the file."""

    file: Path
    values: dict[str, Any]
    name: str

    @property
    def where(self) -> str:
        return f"{self.file}: frame {self.name}"


def find_file(scene: Path) -> Path | None:
    """The scene's transforms file, or None. With a train file, the test file is read along."""
    return next((scene / name for name in (WHOLE, TRAIN) if (scene / name).is_file()), None)


def read(file: Path, resolution: Resolution) -> Capture:
    """Read a transforms file, and transforms_test.json beside transforms_train.json.

    Raises:
        SceneError: not JSON, no frames, no intrinsics, impossible poses, or images that are missing.
    """
    scene = file.parent
    document = _document(file)
    frames = _frames(file, document)
    test = _listed_test(document, frames)
    notes = [f"cameras of {file.name}"]
    if file.name == TRAIN and (scene / TEST).is_file():
        test_frames = _frames(scene / TEST, _document(scene / TEST))
        trained = {frame.name for frame in frames}
        test_frames = [frame for frame in test_frames if frame.name not in trained]
        test = frozenset(frame.name for frame in test_frames)
        frames += test_frames
        notes.append(f"test views of {TEST}")
    if file.name == TRAIN and (scene / VALIDATION).is_file():
        notes.append(f"{VALIDATION} is not used")
    frames.sort(key=lambda frame: frame.name)
    _refuse_twins(file, frames)
    names = _in_images([frame.name for frame in frames])
    choice = choose_images(scene, names, _width(frames[0]), resolution, file.name)
    renamed = {
        frame.name: _with_suffix(name, path)
        for frame, name, path in zip(frames, names, choice.paths, strict=True)
    }
    shots = [
        _shot(frame, renamed[frame.name], path) for frame, path in zip(frames, choice.paths, strict=True)
    ]
    points, note = _points(scene, document)
    return Capture(
        tuple(shots),
        points,
        None if test is None else frozenset(renamed[name] for name in test),
        choice.reduction,
        tuple(notes + note),
    )


def _document(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise SceneError(f"{file}: not JSON but some binary file; export the cameras again.") from error
    except json.JSONDecodeError as error:
        raise SceneError(
            f"{file}: not valid JSON (line {error.lineno}: {error.msg}); export the cameras again."
        ) from error
    except OSError as error:
        raise SceneError(f"{file}: cannot be read ({error.strerror}); check its permissions.") from error
    frames = document.get("frames") if isinstance(document, dict) else None
    if not isinstance(frames, list) or not frames:
        raise SceneError(f'{file}: holds no "frames" list with cameras; export the cameras again.')
    return document


def _frames(file: Path, document: dict[str, Any]) -> list[_Frame]:
    shared = {key: value for key, value in document.items() if key != "frames"}
    frames = []
    for index, values in enumerate(document["frames"]):
        path = values.get("file_path") if isinstance(values, dict) else None
        if not isinstance(path, str) or not path:
            raise SceneError(f'{file}: frame {index} has no "file_path"; export the cameras again.')
        frames.append(_Frame(file, {**shared, **values}, _name(file.parent, path)))
    return frames


def _name(scene: Path, file_path: str) -> str:
    """A frame's image relative to the scene where it lies in it, posix."""
    path = file_path.replace("\\", "/")
    if Path(path).is_absolute():
        try:
            return Path(path).relative_to(scene.absolute()).as_posix()
        except ValueError:
            return path
    return PurePosixPath(path).as_posix()


def _listed_test(document: dict[str, Any], frames: Sequence[_Frame]) -> frozenset[str] | None:
    """nerfstudio's own split, where the file has one."""
    listed = document.get("test_filenames")
    if not isinstance(listed, list) or not listed:
        return None
    wanted = {PurePosixPath(str(path)).as_posix() for path in listed}
    return frozenset(frame.name for frame in frames if frame.name in wanted) or None


def _refuse_twins(file: Path, frames: Sequence[_Frame]) -> None:
    for one, other in pairwise(frames):
        if one.name == other.name:
            raise SceneError(f"{file}: two frames are named {one.name}; delete one of them.")


def _in_images(names: Sequence[str]) -> list[str]:
    """The frames' names, relative to the images folder where all frames lie in it."""
    inside = all(name.startswith(_IMAGES) for name in names)
    return [name.removeprefix(_IMAGES) if inside else name for name in names]


def _with_suffix(name: str, path: Path) -> str:
    """NeRF-synthetic files name images without their suffix."""
    return name if PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES else name + path.suffix


def _width(frame: _Frame) -> int | None:
    width = frame.values.get("w")
    return int(width) if isinstance(width, int | float) and width >= 1 else None


def _shot(frame: _Frame, name: str, path: Path) -> Shot:
    matrix = frame.values.get("transform_matrix")
    try:
        pose = np.array(matrix, np.float64)
    except (TypeError, ValueError):
        pose = np.empty(0)
    if pose.shape not in ((4, 4), (3, 4)):
        raise SceneError(
            f'{frame.where}: its "transform_matrix" is not 4x4 numbers; export the cameras again.'
        )
    lens = lens_of_frame(frame.values, frame.where, lambda: read_header(path).size(upright=False))
    mask = frame.values.get("mask_path")
    mask_path = frame.file.parent / mask if isinstance(mask, str) and mask else None
    if mask_path is not None and not mask_path.is_file():
        raise SceneError(f"{frame.where}: its mask {mask_path} is missing; put it there or delete mask_path.")
    return Shot(name, path, rigid_inverse(pose @ _OPENGL, frame.where), lens, mask_path)


def _points(scene: Path, document: dict[str, Any]) -> tuple[Points | None, list[str]]:
    """The point cloud that the file names, or that lies beside it under a usual name."""
    named = document.get("ply_file_path")
    if isinstance(named, str) and named:
        if (scene / named).is_file():
            return read_ply(scene / named, named), []
        return None, [f"{named}, the point cloud that the file names, is missing"]
    beside = next((name for name in _POINTS if (scene / name).is_file()), None)
    return (read_ply(scene / beside, beside) if beside else None), []
