"""What `bench raster` renders: fixed, seeded Gaussians, so that numbers of two days or machines compare."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gaussians.camera import Camera
from gaussians.cli.distill import DEMO
from gaussians.errors import SceneError
from gaussians.scene import load_scene
from gaussians.train.neighbour_kernels import neighbour_distances

GARDEN = DEMO.parents[2] / "shared" / "scenes" / "garden_points.npz"  # beside the project, where it is
_NEEDED = ("means3d", "colors", "viewmats", "Ks", "width", "height")
_DEMO_COUNT = 138_766  # as in garden; at the demo's size they make about as many evaluations, too
_DEMO_JITTER = 0.5  # of the points' spacing: how far copies of a point scatter


@dataclass(frozen=True, eq=False)
class Workload:
    """Gaussians with plain colours, and the camera that looks at them.

    Attributes:
        name: by which the results are filed.
        means [N, 3], quats [N, 4], scales [N, 3], opacities [N], colors [N, 3]: float32.
        camera: sets the image's size.
    """

    name: str
    means: np.ndarray
    quats: np.ndarray
    scales: np.ndarray
    opacities: np.ndarray
    colors: np.ndarray
    camera: Camera


def workload(file: Path | None) -> Workload:
    """The workload of `file`; None: garden where it lies beside the project, else the bundled demo's.

    Raises:
        SceneError: not such a file.
    """
    if file is None and not GARDEN.is_file():
        return demo()
    return garden(file or GARDEN)


def garden(file: Path) -> Workload:
    """gsplat's garden test set (garden_points.npz): its points and its first camera.

    Raises:
        SceneError: no such file, or something is missing from it.
    """
    try:
        with np.load(file) as content:
            means, colors, viewmats, Ks, width, height = (content[name] for name in _NEEDED)
    except (OSError, ValueError, KeyError, EOFError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SceneError(
            f"{file}: not readable as garden's points ({reason}); give gsplat's garden_points.npz, or none"
        ) from error
    camera = Camera(viewmats[0].astype(np.float64), Ks[0].astype(np.float64), int(width), int(height))
    rgb = (colors / 255).astype(np.float32)
    return _drawn("garden", means.astype(np.float32), rgb, camera, np.random.default_rng(0))


def demo() -> Workload:
    """As much work as garden's, made of the bundled demo's points: each has copies, scattered around it."""
    return _of_demo("demo", _DEMO_COUNT, None)


def sized(count: int, width: int, height: int) -> Workload:
    """The same with so many Gaussians, the smaller the more there are, and an image of this size."""
    return _of_demo("scale", count, (width, height))


def _of_demo(name: str, count: int, size: tuple[int, int] | None) -> Workload:
    scene = load_scene(DEMO)
    rng = np.random.default_rng(0)
    index = rng.integers(0, len(scene.points.xyz), count)
    spacing = neighbour_distances(scene.points.xyz).mean(axis=1)[index, None]
    scattered = scene.points.xyz[index] + _DEMO_JITTER * spacing * rng.standard_normal((count, 3))
    camera = min((*scene.train, *scene.test), key=lambda view: view.name).camera
    if size is not None:
        camera = camera.resized(*size)
    rgb = (scene.points.rgb[index] / 255).astype(np.float32)
    return _drawn(name, scattered.astype(np.float32), rgb, camera, rng)


def _drawn(
    name: str, means: np.ndarray, colors: np.ndarray, camera: Camera, rng: np.random.Generator
) -> Workload:
    """Scales, rotations and opacities drawn, in this order."""
    count, spacing = len(means), neighbour_distances(means).mean(axis=1)
    scales = spacing[:, None] * rng.uniform(0.3, 1.0, (count, 3))
    quats = rng.standard_normal((count, 4))
    quats /= np.linalg.norm(quats, axis=1, keepdims=True)
    opacities = rng.uniform(0.05, 1, count)
    return Workload(
        name,
        means,
        quats.astype(np.float32),
        scales.astype(np.float32),
        opacities.astype(np.float32),
        colors,
        camera,
    )
