"""Intrinsics as transforms.json files write them, turned into a lens.

Keys: instant-ngp (camera_angle_x/y, fl_x/y, cx, cy, w, h, k1.., p1, p2, is_fisheye), nerfstudio (the same in
each frame, camera_model), NeRF-synthetic (camera_angle_x alone).
"""

import math
from collections.abc import Callable
from typing import Any

from gaussians.errors import SceneError
from gaussians.scene.lens import Lens

_FISHEYE = ("OPENCV_FISHEYE", "FISHEYE")
_PANORAMA = ("EQUIRECTANGULAR", "SPHERICAL")
_PERSPECTIVE = (
    *("OPENCV", "FULL_OPENCV", "PERSPECTIVE", "PINHOLE"),
    *("SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL"),
)


def lens_of_frame(values: dict[str, Any], where: str, file_size: Callable[[], tuple[int, int]]) -> Lens:
    """The lens of one frame.

    Args:
        values: the frame's keys over the file's.
        where: file and frame, for messages.
        file_size: gives the full-size image's width and height; asked only where `w` or `h` is missing.

    Raises:
        SceneError: no focal length, not numbers, impossible ones, or a camera model that is not known.
    """
    number = _Numbers(values, where)
    width, height = round(number("w")), round(number("h"))
    if not width or not height:
        width, height = file_size()
    model = _model(values, where)
    if model in _PANORAMA:
        return Lens("EQUIRECTANGULAR", width, height, (float(width), float(height)))
    fx = number("fl_x") or _focal(width, number("camera_angle_x"))
    fy = number("fl_y") or _focal(height, number("camera_angle_y"))
    if not fx and not fy:
        raise SceneError(
            f"{where}: no intrinsics; add fl_x and fl_y (focal lengths, pixels) or camera_angle_x (radians)."
        )
    pinhole = (fx or fy, fy or fx, number("cx", width / 2), number("cy", height / 2))
    lens = _lens(model, width, height, pinhole, number)
    lens.check(where)
    return lens


def is_finite(number: float) -> bool:
    """Whether a number of a JSON file, which may be Infinity or an integer of any length, is a float's."""
    try:
        return math.isfinite(number)
    except OverflowError:
        return False


class _Numbers:
    """Looks up numbers of a frame, 0 where the key is missing."""

    def __init__(self, values: dict[str, Any], where: str):
        self._values, self._where = values, where

    def __call__(self, key: str, default: float = 0.0) -> float:
        value = self._values.get(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not is_finite(value):
            raise SceneError(
                f"{self._where}: {key} is {value!r:.40}, not a number; export the cameras again."
            )
        return float(value)

    def all(self, *keys: str) -> tuple[float, ...]:
        return tuple(self(key) for key in keys)


def _lens(model: str, width: int, height: int, pinhole: tuple[float, ...], number: _Numbers) -> Lens:
    if model in _FISHEYE:
        return Lens("OPENCV_FISHEYE", width, height, pinhole + number.all("k1", "k2", "k3", "k4"))
    common = pinhole + number.all("k1", "k2", "p1", "p2")
    higher = number.all("k3", "k4", "k5", "k6")
    if any(higher):
        # k3 is OpenCV's r⁶ term; k4 to k6 divide, as OpenCV and COLMAP have it.
        return Lens("FULL_OPENCV", width, height, common + higher)
    return Lens("OPENCV", width, height, common)


def _model(values: dict[str, Any], where: str) -> str:
    if values.get("is_fisheye") is True:
        return "OPENCV_FISHEYE"
    model = values.get("camera_model") or "OPENCV"
    known = (*_PERSPECTIVE, *_FISHEYE, *_PANORAMA)
    if not isinstance(model, str) or model.upper() not in known:
        raise SceneError(f"{where}: camera_model {model!r} is not known; known: {', '.join(known)}.")
    return model.upper()


def _focal(side: int, angle: float) -> float:
    """Focal length in pixels of a field of view of `angle` radians over `side` pixels; 0 for none."""
    return side / (2 * math.tan(angle / 2)) if 0 < angle < math.pi else 0.0
