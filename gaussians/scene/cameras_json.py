"""cameras.json: where a splat was trained from, as the original implementation writes it (Kerbl et al. 2023).

Ours has more, which that has not: the principal point, "cx" and "cy", without which it is the middle; and
the "background" that was trained on, "#rrggbb": what is transparent there can be told on no other.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gaussians.camera import Camera
from gaussians.errors import SplatError
from gaussians.scene.types import View
from gaussians.storage import write_json

CAMERAS_FILE = "cameras.json"


def read_cameras(file: Path) -> list[Camera]:
    """The cameras of a cameras.json, sorted by image name.

    Raises:
        SplatError: it isn't one.
    """
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))
        cameras = [_camera(entry) for entry in sorted(entries, key=lambda entry: str(entry["img_name"]))]
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise SplatError(f"{file}: not readable as cameras ({error!r}); mend it or move it away") from error
    if not cameras:
        raise SplatError(f"{file}: holds no cameras; move it away, and poses are found without")
    return cameras


def read_background(file: Path) -> str | None:
    """What a splat with this cameras.json was trained on, "#rrggbb"; None: it says nothing of it."""
    try:
        entries = json.loads(file.read_text(encoding="utf-8"))
        background = entries[0]["background"]
    except (OSError, ValueError, KeyError, TypeError, IndexError, RecursionError):
        return None
    return background if re.fullmatch("#[0-9a-fA-F]{6}", str(background)) else None


def write_cameras(file: Path, views: Sequence[View], background: tuple[float, float, float]) -> None:
    """Write the views' cameras, and the background behind them, RGB in [0, 1]. Raises StorageError."""
    color = "#" + "".join(f"{round(255 * channel):02x}" for channel in background)
    write_json(file, [_entry(index, view) | {"background": color} for index, view in enumerate(views)])


def _camera(entry: dict[str, Any]) -> Camera:
    rotation = np.array(entry["rotation"], np.float64).reshape(3, 3).T  # it has camera to world
    viewmat = np.eye(4)
    viewmat[:3, :3], viewmat[:3, 3] = rotation, -rotation @ np.array(entry["position"], np.float64)
    width, height = int(entry["width"]), int(entry["height"])
    cx, cy = entry.get("cx", width / 2), entry.get("cy", height / 2)
    K = np.array([[entry["fx"], 0, cx], [0, entry["fy"], cy], [0, 0, 1]], np.float64)
    if not (np.isfinite(viewmat).all() and np.isfinite(K).all() and min(width, height, K[0, 0], K[1, 1]) > 0):
        raise ValueError(f"camera {entry['img_name']}")
    return Camera(viewmat, K, width, height)


def _entry(index: int, view: View) -> dict[str, Any]:
    camera = view.camera
    return {
        "id": index,
        "img_name": view.name,
        "width": camera.width,
        "height": camera.height,
        "position": camera.centre.tolist(),
        "rotation": camera.viewmat[:3, :3].T.tolist(),
        "fx": float(camera.K[0, 0]),
        "fy": float(camera.K[1, 1]),
        "cx": float(camera.K[0, 2]),
        "cy": float(camera.K[1, 2]),
    }
