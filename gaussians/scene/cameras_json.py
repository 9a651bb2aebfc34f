"""cameras.json: where a splat was trained from, as the original implementation writes it (Kerbl et al. 2023).

Ours has the principal point as well, "cx" and "cy", which that has not: without them it is the middle.
"""

import json
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
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SplatError(f"{file}: not readable as cameras ({error!r}); mend it or move it away") from error
    if not cameras:
        raise SplatError(f"{file}: holds no cameras; move it away, and poses are found without")
    return cameras


def write_cameras(file: Path, views: Sequence[View]) -> None:
    """Write the views' cameras. Raises StorageError."""
    write_json(file, [_entry(index, view) for index, view in enumerate(views)])


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
