"""Point clouds in PLY files."""

from pathlib import Path

import numpy as np

from gaussians.errors import SceneError
from gaussians.model import SH_C0
from gaussians.scene.types import Points

_GREY = 128  # of points without colour


def read_ply(path: Path, source: str) -> Points:
    """The vertices of a PLY file, with their colours, grey without. `source` is what Points.source says.

    Raises:
        SceneError: not a PLY file, truncated, or without points.
    """
    from plyfile import PlyData, PlyParseError

    try:
        with np.errstate(over="ignore", invalid="ignore"):  # becomes infinite, and is dropped
            vertex = PlyData.read(str(path))["vertex"].data
            xyz = np.stack([vertex[axis] for axis in "xyz"], axis=1).astype(np.float32)
            rgb = _colors(vertex)
    # A header may declare lists where numbers belong, and more rows than memory holds or numbers count.
    except (PlyParseError, KeyError, ValueError, TypeError, OSError, OverflowError, MemoryError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise SceneError(f"{path}: cannot be read as a point cloud ({reason}); export it again.") from error
    finite = np.isfinite(xyz).all(axis=1)
    if not finite.any():
        raise SceneError(
            f"{path}: holds no points; export it again, or delete it to start from random points."
        )
    return Points(xyz[finite], rgb[finite], source)


def _colors(vertex: np.ndarray) -> np.ndarray:
    """[N, 3] uint8: bytes, or floats in [0, 1], or a splat's constant coefficient, or grey."""
    names = vertex.dtype.names or ()
    if {"red", "green", "blue"} <= set(names):
        stored = np.stack([vertex[name] for name in ("red", "green", "blue")], axis=1)
        if stored.dtype == np.uint8:
            return stored
        are_shares = np.issubdtype(stored.dtype, np.floating) and stored.max(initial=0) <= 1
        values = stored * 255.0 if are_shares else stored
    elif {"f_dc_0", "f_dc_1", "f_dc_2"} <= set(names):
        values = 255 * (0.5 + SH_C0 * np.stack([vertex[f"f_dc_{i}"] for i in range(3)], axis=1))
    else:
        return np.full((len(vertex), 3), _GREY, np.uint8)
    return np.clip(np.nan_to_num(values) + 0.5, 0, 255).astype(np.uint8)
