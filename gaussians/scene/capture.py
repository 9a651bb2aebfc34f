"""What a format's reader hands over: photos with their cameras, before any pixel is decoded."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gaussians.errors import SceneError
from gaussians.scene.lens import Lens
from gaussians.scene.types import Points

_RIGID = 1e-2  # largest deviation from a rotation that is still rounding
_FARTHEST = 1e15  # of a camera's coordinates: a float32 still holds squares of distances to it


@dataclass(frozen=True, eq=False)
class Shot:
    """One photo and how it was taken.

    Attributes:
        name: unique in the scene, posix, as `View.name`.
        path: the image file.
        viewmat: [4, 4] float64, world to camera, rigid, OpenCV axes.
        lens: intrinsics; their size may differ from the file's, the photo shows the same.
        mask: image file whose black pixels do not count; None: look in the scene's masks folder.
        upright: the lens was estimated on the photo as its EXIF orientation shows it, not as it is stored.
    """

    name: str
    path: Path
    viewmat: np.ndarray
    lens: Lens
    mask: Path | None = None
    upright: bool = False


@dataclass(frozen=True, eq=False)
class Capture:
    """All photos of a scene.

    Attributes:
        shots: sorted by name, at least one.
        points: the sparse point cloud; None: the files hold none.
        test: names of the shots that the files themselves set apart for testing; None: they don't say.
        reduction: size of the image files over that of the scene's full-size images, at most 1.
        notes: what was read and what was passed over, one line each.
    """

    shots: tuple[Shot, ...]
    points: Points | None
    test: frozenset[str] | None = None
    reduction: float = 1.0
    notes: tuple[str, ...] = ()


def check_position(position: np.ndarray, where: str) -> None:
    """Refuse a camera so far away that numbers overflow. Raises SceneError; it begins with `where`.

    Args:
        position: [3] finite, in world coordinates, or in the camera's: they are as far.
        where: the file and the photo.
    """
    farthest = float(np.abs(position).max())
    if farthest > _FARTHEST:
        raise SceneError(
            f"{where}: its camera is {farthest:.0e} units away, too far to compute with; "
            "export the cameras again."
        )


def rigid_inverse(matrix: np.ndarray, where: str) -> np.ndarray:
    """[4, 4] the inverse of a camera's pose, made exactly rigid: rounding and a uniform scale are dropped.

    Raises:
        SceneError: not finite, a mirror image, sheared, or too far away; the message begins with `where`.
    """
    linear, translation = matrix[:3, :3], matrix[:3, 3]
    with np.errstate(over="ignore", invalid="ignore"):  # of what is no rotation, and is refused
        size = np.cbrt(np.linalg.det(linear)) if np.all(np.isfinite(matrix)) else 0.0
    if not 0 < size < np.inf:
        raise SceneError(
            f"{where}: its camera pose is not a rotation and a position; export the cameras again."
        )
    u, _, vt = np.linalg.svd(linear)
    rotation = u @ vt
    if np.abs(linear / size - rotation).max() > _RIGID:
        raise SceneError(f"{where}: its camera pose is sheared; export the cameras again.")
    check_position(translation, where)
    inverse = np.eye(4)
    inverse[:3, :3] = rotation.T
    inverse[:3, 3] = -rotation.T @ translation
    return inverse
