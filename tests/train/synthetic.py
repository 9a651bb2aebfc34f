"""A small scene that a test can train on in seconds: known Gaussians, seen from all around."""

import math
from collections.abc import Sequence

import numpy as np
import torch

from gaussians.camera import Camera
from gaussians.model import Gaussians
from gaussians.raster import rasterize
from gaussians.scene.types import Points, View
from gaussians.train.initial import gaussians_from_points
from gaussians.train.optimisation import Optimisation
from gaussians.train.recipe import Optimise

SIZE = 48
EXTENT = 4.4  # 1.1 x the cameras' distance from the origin
BLACK = (0.0, 0.0, 0.0)


def random_gaussians(count: int, seed: int = 0, sh_degree: int = 0) -> Gaussians:
    """Gaussians in the cube from -1 to 1."""
    rng = np.random.default_rng(seed)

    def tensor(values: np.ndarray) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.float32)

    return Gaussians(
        means=tensor(rng.uniform(-1, 1, (count, 3))),
        quats=tensor(rng.normal(size=(count, 4))),
        log_scales=tensor(rng.uniform(-3, -1.8, (count, 3))),
        logit_opacities=tensor(rng.uniform(0, 3, count)),
        sh0=tensor(rng.normal(size=(count, 1, 3))),
        shN=tensor(0.2 * rng.normal(size=(count, (sh_degree + 1) ** 2 - 1, 3))),
    )


def ring_cameras(count: int, size: int = SIZE) -> list[Camera]:
    """Cameras at distance 4 around the origin, alternately from above and from below."""
    return [_camera(2 * math.pi * i / count, 0.4 * (-1) ** i, size) for i in range(count)]


def photos(gaussians: Gaussians, cameras: Sequence[Camera]) -> list[View]:
    """What the cameras see of the Gaussians before black, as 8-bit images."""
    views = []
    for i, camera in enumerate(cameras):
        with torch.no_grad():
            image = rasterize(**gaussians.render_args(), **camera.tensors(), backend="cpu")[0][0]
        pixels = (image.clamp(0, 1) * 255).round().to(torch.uint8).numpy()
        views.append(View(f"{i:02}.png", camera, pixels))
    return views


def sparse_points(gaussians: Gaussians, count: int) -> Points:
    """Grey points near the first centres."""
    rng = np.random.default_rng(1)
    xyz = gaussians.means[:count].numpy() + rng.normal(0, 0.05, (count, 3)).astype(np.float32)
    return Points(xyz=xyz, rgb=np.full((count, 3), 128, dtype=np.uint8), source="synthetic")


def optimisation(views: Sequence[View], recipe: Optimise, points: Points, **settings: object) -> Optimisation:
    """An optimisation from points on the CPU, in the synthetic scene's frame."""
    defaults = {"extent": EXTENT, "background": BLACK, "seed": 0, "stream": "vanilla"}
    start = gaussians_from_points(points, recipe, extent=EXTENT)
    return Optimisation(start, views, recipe, **{**defaults, **settings})  # pyright: ignore[reportArgumentType] # any of its settings


def _camera(azimuth: float, elevation: float, size: int) -> Camera:
    centre = 4 * np.array(
        [
            math.cos(azimuth) * math.cos(elevation),
            math.sin(elevation),
            math.sin(azimuth) * math.cos(elevation),
        ]
    )
    forward = -centre / np.linalg.norm(centre)
    right = np.cross(forward, [0.0, -1.0, 0.0])
    right /= np.linalg.norm(right)
    viewmat = np.eye(4)
    viewmat[:3, :3] = np.stack([right, np.cross(forward, right), forward])
    viewmat[:3, 3] = -viewmat[:3, :3] @ centre
    focal = 1.25 * size
    K = np.array([[focal, 0, size / 2], [0, focal, size / 2], [0, 0, 1]])
    return Camera(viewmat, K, size, size)
