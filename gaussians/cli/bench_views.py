"""`bench scale`: what loading a scene takes against its number of photos, in memory and from a file.

Every point is measured by a process of its own, so that its peak of memory is its own.
"""

import json
import multiprocessing
import shutil
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gaussians.cli.peaks import copy_ms
from gaussians.memory import peak_memory
from gaussians.scene import SceneOptions, load_scene

COUNTS = (10, 100, 500, 2000)
BOUND_MB = 64.0
_WIDTH, _HEIGHT = 640, 480
_PHOTOS = 8  # different ones; the others are copies of these
_POINTS = 100


def bench_views(bandwidth: float, counts: tuple[int, ...] = COUNTS) -> list[dict[str, Any]]:
    """Load captures of photos of 640x480, each whole and then with 64 MB for photos.

    Args:
        bandwidth: of copying memory, see `peaks`.
        counts: photos of each.

    Returns:
        A line a point: views, photo_memory_mb (None: as much as it takes), pixel_bytes (decoded), seconds,
        copy_ms (what copying so many bytes takes), peak_bytes, and base_bytes, the peak before loading.

    Raises:
        StorageError: no room for what doesn't stay in memory.
    """
    lines = []
    for count in counts:
        with tempfile.TemporaryDirectory(prefix="splat-distillery-") as folder:
            _write_capture(Path(folder), count)
            for bound in (float("inf"), BOUND_MB):
                line = _apart(Path(folder), bound)
                lines.append(line | {"copy_ms": copy_ms(line["pixel_bytes"], bandwidth)})
    return lines


def _apart(folder: Path, bound_mb: float) -> dict[str, Any]:
    # Unlike multiprocessing's own pool, this one lets the process end by itself and doesn't kill it.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measured, folder, bound_mb).result()


def measured(folder: Path, bound_mb: float) -> dict[str, Any]:
    """A point's line, by this process."""
    base, began = peak_memory(), time.perf_counter()
    scene = load_scene(folder, SceneOptions(photo_memory_mb=bound_mb))
    seconds, peak = time.perf_counter() - began, peak_memory()
    views = (*scene.train, *scene.test)
    return {
        "views": len(views),
        "photo_memory_mb": None if bound_mb == float("inf") else bound_mb,
        "pixel_bytes": sum(view.image.nbytes for view in views),
        "seconds": seconds,
        "peak_bytes": peak,
        "base_bytes": base,
    }


def _write_capture(folder: Path, count: int) -> None:
    """JPEGs of soft shapes with some grain, seen from a ring, as transforms.json."""
    rng = np.random.default_rng(0)
    (folder / "images").mkdir()
    y, x = np.mgrid[:_HEIGHT, :_WIDTH][..., None] / 60
    frames = []
    for index in range(count):
        path = folder / "images" / f"{index:05}.jpg"
        if index < _PHOTOS:
            soft = 128 + 80 * np.sin(x * rng.uniform(0.5, 2, 3) + y * rng.uniform(0.5, 2, 3) + index)
            grain = rng.normal(0, 6, (_HEIGHT, _WIDTH, 3))
            Image.fromarray(np.clip(soft + grain, 0, 255).astype(np.uint8)).save(path, quality=92)
        else:
            shutil.copyfile(folder / "images" / f"{index % _PHOTOS:05}.jpg", path)
        frames.append({"file_path": f"images/{path.name}", "transform_matrix": _pose(index / count)})
    document = {"fl_x": _WIDTH, "w": _WIDTH, "h": _HEIGHT, "ply_file_path": "points.ply", "frames": frames}
    (folder / "transforms.json").write_text(json.dumps(document))
    rows = [" ".join(f"{value:.3f}" for value in row) for row in rng.normal(size=(_POINTS, 3))]
    head = ["ply", "format ascii 1.0", f"element vertex {_POINTS}"]
    head += [f"property float {axis}" for axis in "xyz"]
    (folder / "points.ply").write_text("\n".join([*head, "end_header", *rows, ""]))


def _pose(turn: float) -> list[list[float]]:
    """Camera to world in OpenGL's axes, looking at the origin from a ring."""
    c, s = np.cos(2 * np.pi * turn), np.sin(2 * np.pi * turn)
    return [[c, 0, s, 4 * s], [0, 1, 0, 0], [-s, 0, c, 4 * c], [0, 0, 0, 1]]
