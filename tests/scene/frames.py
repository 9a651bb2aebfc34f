"""Frames of transforms files, with images of the known world."""

from pathlib import Path
from typing import Any

import numpy as np
import pycolmap

from gaussians.scene import SceneOptions
from tests.scene.disk import FOCAL, WIDTH, distorted_camera, opengl_pose, photo, rotation

ANGLE_X = 2 * np.arctan(WIDTH / 2 / FOCAL)
ALL = SceneOptions(test_every=0)


def frame(
    scene: Path, file_path: str, seed: int, camera: pycolmap.Camera | None = None, **keys: Any
) -> dict[str, Any]:
    """Write an image of the known world and return its frame; the camera stands at (seed, 0, 1)."""
    path = scene / file_path if Path(file_path).suffix else scene / f"{file_path}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    photo(camera or distorted_camera("PINHOLE"), rotation(seed)).save(path)
    pose = opengl_pose(rotation(seed), (seed, 0.0, 1.0))
    return {"file_path": file_path, "transform_matrix": pose, **keys}
