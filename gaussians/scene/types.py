"""What a scene is, whichever program wrote it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from gaussians.camera import Camera


@dataclass(frozen=True, eq=False)
class View:
    """One photo with its camera, undistorted, at the resolution it is trained at.

    Attributes:
        name: unique in the scene; the image's path relative to the scene's image folder, posix.
        camera: pinhole, the size of `image`.
        image: [H, W, 3] uint8, sRGB; transparent pixels are composited over the scene's background. Not to be
            written to, nor are the others: they may be mapped from a file.
        mask: [H, W] bool, True where the pixel counts; None: everywhere.
        alpha: [H, W] uint8, how opaque the photo is there; None: its file has no transparency.
    """

    name: str
    camera: Camera
    image: np.ndarray
    mask: np.ndarray | None = None
    alpha: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Points:
    """The sparse point cloud that training starts from.

    Attributes:
        xyz: [N, 3] float32, world coordinates.
        rgb: [N, 3] uint8.
        source: where they come from, for people: "sparse/0/points3D.bin", "random, in the cameras' view".
    """

    xyz: np.ndarray
    rgb: np.ndarray
    source: str


@dataclass(frozen=True, eq=False)
class Scene:
    """Photos, cameras and points in one world frame, exactly that of the files read.

    Attributes:
        name: the folder's name.
        path: the folder.
        train, test: disjoint; sorted by name.
        points: initial point cloud.
        background: RGB in [0, 1] behind everything.
        extent: radius of the cameras about their mean, at least 1e-6 (1.1 x the largest distance, as 3DGS
            has it): the unit of position learning rates and densification. Of cameras on one spot it is 1.1 x
            the points' median distance from there.
        notes: what was done to the input, one readable line each ("undistorted 50 photos (OPENCV)").
    """

    name: str
    path: Path
    train: tuple[View, ...]
    test: tuple[View, ...]
    points: Points
    background: tuple[float, float, float]
    extent: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class SceneOptions:
    """How to read a scene.

    Attributes:
        resolution: None (as it is), a fraction "1/2" or "0.5", or a width in pixels "800".
        test_every: every Nth image by name is a test view (from the first on); 0: none.
        test_names: these images are the test views instead; a name, or its end, with or without suffix.
        background: "auto" (white where images have alpha, else black), "white", "black" or "#rrggbb".
        cache: folder for results of structure from motion; None: a folder in the user's cache directory.
        random_points: how many initial points to draw where the scene has none.
        seed: of those points.
        photo_memory_mb: decoded photos of more than so many million bytes are kept in a temporary file; None:
            of more than a quarter of main memory. Pixels are the same, so options are equal without it.
    """

    resolution: str | None = None
    test_every: int = 8
    test_names: tuple[str, ...] = ()
    background: str = "auto"
    cache: Path | None = None
    random_points: int = 50_000
    seed: int = 0
    photo_memory_mb: float | None = field(default=None, compare=False)


Progress = Callable[[str, int, int], None]
"""Called as progress("decoding photos", done, total); may raise to cancel."""
