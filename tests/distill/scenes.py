"""A small scene for the tests of distillation: photos rendered from known Gaussians."""

import numpy as np
import torch

from gaussians.camera import Camera
from gaussians.distill.importance import Lookout
from gaussians.model import Gaussians
from gaussians.raster import rasterize
from gaussians.scene.types import View

BACKGROUND = (0.1, 0.2, 0.3)
EXTENT = 2.0


def random_gaussians(count: int = 120, seed: int = 0, scale: float = 0.12) -> Gaussians:
    draw = torch.Generator().manual_seed(seed)
    return Gaussians(
        means=torch.randn(count, 3, generator=draw) * 0.5,
        quats=torch.randn(count, 4, generator=draw),
        log_scales=torch.randn(count, 3, generator=draw) * 0.3 + float(np.log(scale)),
        logit_opacities=torch.randn(count, generator=draw) + 1,
        sh0=torch.randn(count, 1, 3, generator=draw),
        shN=torch.zeros(count, 0, 3),
    )


def orbit(count: int = 6, width: int = 40, height: int = 32) -> list[Camera]:
    """Cameras on a half circle of radius 3, looking at the origin."""
    cameras = []
    for angle in np.linspace(0, np.pi, count):
        c, s = np.cos(angle), np.sin(angle)
        viewmat = np.array([[c, 0, s, 0], [0, 1, 0, 0], [-s, 0, c, 3], [0, 0, 0, 1]])
        K = np.array([[40.0, 0, width / 2], [0, 40, height / 2], [0, 0, 1]])
        cameras.append(Camera(viewmat, K, width, height))
    return cameras


def lookout() -> Lookout:
    """Whole views of the orbit."""
    return Lookout(orbit(), background=BACKGROUND)


def render(gaussians: Gaussians, camera: Camera) -> torch.Tensor:
    """[H, W, 3] clamped."""
    background = torch.tensor([BACKGROUND])
    image, _, _ = rasterize(**gaussians.render_args(), **camera.tensors(), backgrounds=background)
    return image[0].detach().clamp(0, 1)


def photos(gaussians: Gaussians, cameras: list[Camera]) -> list[View]:
    images = [(render(gaussians, camera) * 255).round().to(torch.uint8).numpy() for camera in cameras]
    return [
        View(f"{index:03}.png", camera, image)
        for index, (camera, image) in enumerate(zip(cameras, images, strict=True))
    ]
