"""transforms.json: NeRF-synthetic (train and test files, RGBA), instant-ngp and nerfstudio.

Poses are camera-to-world in OpenGL axes (x right, y up, z backward); only the camera's axes are turned to
OpenCV's, the world stays that of the file. nerfstudio's `applied_transform` is already in the poses and in
its point cloud, so it is left alone.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from gaussians.errors import SceneError
from gaussians.scene.capture import Capture, Shot, rigid_inverse
from gaussians.scene.folders import IMAGE_SUFFIXES, choose_images
from gaussians.scene.headers import read_header
from gaussians.scene.intrinsics import is_finite, lens_of_frame
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
_IN_PIXELS = ("fl_x", "fl_y", "cx", "cy")
_OPENGL = np.array([1.0, -1.0, -1.0, 1.0])  # x an OpenGL pose's columns: the same camera in OpenCV's axes


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
        SceneError: not JSON, no frames, no intrinsics, impossible poses, or most images are missing.
    """
    scene = file.parent
    document = _document(file)
    frames = _frames(file, document)
    test, held_out = _listed_test(document, frames), frozenset[str]()
    notes = [f"cameras of {file.name}"]
    if file.name == TRAIN and (scene / TEST).is_file():
        test_frames = _frames(scene / TEST, _document(scene / TEST))
        trained = {frame.name for frame in frames}
        test_frames = [frame for frame in test_frames if frame.name not in trained]
        test = held_out = frozenset(frame.name for frame in test_frames)
        frames += test_frames
        notes.append(f"test views of {TEST}")
    if file.name == TRAIN and (scene / VALIDATION).is_file():
        notes.append(f"{VALIDATION} is not used")
    frames.sort(key=lambda frame: frame.name)
    names = _in_images([frame.name for frame in frames])
    spare = frozenset(name for frame, name in zip(frames, names, strict=True) if frame.name in held_out)
    choice = choose_images(scene, names, [_width(frame) for frame in frames], resolution, file.name, spare)
    shots, tested = [], set[str]()
    for frame, name, path, full in zip(frames, names, choice.paths, choice.full, strict=True):
        if path is None:
            continue
        shot = _shot(frame, _with_suffix(name, path), path, full)
        shots.append(shot)
        if test is not None and frame.name in test:
            tested.add(shot.name)
    points, note = _points(scene, document)
    own = frozenset(tested) or None  # a test file without its images holds nothing back
    return Capture(tuple(shots), points, own, choice.reduction, (*notes, *choice.notes, *note))


def _document(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise SceneError(f"{file}: not JSON but some binary file; export the cameras again.") from error
    except json.JSONDecodeError as error:
        raise SceneError(
            f"{file}: not valid JSON (line {error.lineno}: {error.msg}); export the cameras again."
        ) from error
    except (RecursionError, ValueError) as error:
        raise SceneError(
            f"{file}: nested too deeply, or a number too long, for cameras; export them again."
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
    return (_inside(scene, Path(path)) if Path(path).is_absolute() else PurePosixPath(path)).as_posix()


def _inside(scene: Path, path: Path) -> Path:
    """An absolute path relative to the scene if it lies in it, though links spell the scene otherwise."""
    for ancestor in path.parents:
        if ancestor.is_dir() and ancestor.samefile(scene):
            return path.relative_to(ancestor)
    real, folder = path.resolve(), scene.resolve()
    return real.relative_to(folder) if real.is_relative_to(folder) else path


def _listed_test(document: dict[str, Any], frames: Sequence[_Frame]) -> frozenset[str] | None:
    """nerfstudio's own split, where the file has one."""
    listed = document.get("test_filenames")
    if not isinstance(listed, list) or not listed:
        return None
    wanted = {_name(frames[0].file.parent, str(path)) for path in listed}
    return frozenset(frame.name for frame in frames if frame.name in wanted) or None


def _in_images(names: Sequence[str]) -> list[str]:
    """The frames' names, relative to the images folder where all frames lie in it."""
    inside = all(name.startswith(_IMAGES) for name in names)
    return [name.removeprefix(_IMAGES) if inside else name for name in names]


def _with_suffix(name: str, path: Path) -> str:
    """NeRF-synthetic files name images without their suffix."""
    return name if PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES else name + path.suffix


def _width(frame: _Frame) -> int | None:
    width = frame.values.get("w")
    return int(width) if isinstance(width, int | float) and is_finite(width) and width >= 1 else None


def _shot(frame: _Frame, name: str, path: Path, full: Path | None) -> Shot:
    """The frame with its image, and that at full size if it's there."""
    matrix = frame.values.get("transform_matrix")
    try:
        pose = np.array(matrix, np.float64)
    except (TypeError, ValueError, OverflowError):
        pose = np.empty(0)
    if pose.shape not in ((4, 4), (3, 4)):
        raise SceneError(
            f'{frame.where}: its "transform_matrix" is not 4x4 numbers; export the cameras again.'
        )
    lens = lens_of_frame(frame.values, frame.where, lambda: _full_size(frame, path, full))
    mask = frame.values.get("mask_path")
    mask_path = frame.file.parent / mask.replace("\\", "/") if isinstance(mask, str) and mask else None
    if mask_path is not None and not mask_path.is_file():
        raise SceneError(f"{frame.where}: its mask {mask_path} is missing; put it there or delete mask_path.")
    return Shot(name, path, rigid_inverse(pose * _OPENGL, frame.where), lens, mask_path)


def _full_size(frame: _Frame, path: Path, full: Path | None) -> tuple[int, int]:
    """Width and height that the frame's lengths in pixels are of. Raises SceneError: nothing tells them."""
    if full is None and any(frame.values.get(key) is not None for key in _IN_PIXELS):
        raise SceneError(
            f"{frame.where}: only reduced images are there, of an unknown full size; add w and h."
        )
    return read_header(full or path).size(upright=False)


def _points(scene: Path, document: dict[str, Any]) -> tuple[Points | None, list[str]]:
    """The point cloud that the file names, or that lies beside it under a usual name."""
    named = document.get("ply_file_path")
    if isinstance(named, str) and named:
        if (scene / named).is_file():
            return read_ply(scene / named, named), []
        return None, [f"{named}, the point cloud that the file names, is missing"]
    beside = next((name for name in _POINTS if (scene / name).is_file()), None)
    return (read_ply(scene / beside, beside) if beside else None), []
