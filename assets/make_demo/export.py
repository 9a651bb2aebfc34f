"""The scene on disk: JPEG pictures, nerfstudio cameras, a PLY of points."""

from pathlib import Path

import imageio.v3 as iio
import numpy as np
from plyfile import PlyData, PlyElement

from gaussians.storage import write_json, write_with

from .cameras import FOCAL, HEIGHT, WIDTH

QUALITY = 90


def write_image(path: Path, image: np.ndarray) -> None:
    """Write [H, W, 3] uint8 as JPEG; without chroma subsampling, so that thin lines keep their colour."""
    write_with(
        path, lambda partial: iio.imwrite(partial, image, quality=QUALITY, subsampling=0, optimize=True)
    )


def write_transforms(path: Path, cameras: list[np.ndarray]) -> None:
    """Write transforms.json as nerfstudio has it; poses are camera to world in OpenGL axes."""
    frames = [
        {"file_path": f"images/{index:03d}.jpg", "transform_matrix": camera.tolist()}
        for index, camera in enumerate(cameras)
    ]
    intrinsics = {"fl_x": FOCAL, "fl_y": FOCAL, "cx": WIDTH / 2, "cy": HEIGHT / 2, "w": WIDTH, "h": HEIGHT}
    write_json(
        path, {"camera_model": "PINHOLE", **intrinsics, "ply_file_path": "points.ply", "frames": frames}
    )


def write_points(path: Path, places: np.ndarray, colours: np.ndarray) -> None:
    """Write points [N, 3] float32 and colours [N, 3] uint8 as binary PLY."""
    fields = [(name, "f4") for name in "xyz"] + [(name, "u1") for name in ("red", "green", "blue")]
    table = np.empty(len(places), fields)
    for k, name in enumerate("xyz"):
        table[name] = places[:, k]
    for k, name in enumerate(("red", "green", "blue")):
        table[name] = colours[:, k]
    write_with(path, lambda partial: PlyData([PlyElement.describe(table, "vertex")]).write(str(partial)))
