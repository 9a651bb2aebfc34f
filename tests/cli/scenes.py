"""A scene, a splat and a run, small enough to be made by every test that needs them."""

import json
import math
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from gaussians.camera import Camera
from gaussians.distill.pipeline import STUDENT
from gaussians.distill.presets import recipe
from gaussians.io import write_splat
from gaussians.model import Gaussians
from gaussians.raster import rasterize
from gaussians.scene import SceneOptions
from gaussians.session.directory import RunDirectory, RunPlan

SIZE = 32
_OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])


def gaussians(count: int = 40, seed: int = 0) -> Gaussians:
    """A cloud around the origin."""
    draw = torch.Generator().manual_seed(seed)
    return Gaussians(
        means=torch.randn(count, 3, generator=draw) * 0.4,
        quats=torch.randn(count, 4, generator=draw),
        log_scales=torch.randn(count, 3, generator=draw) * 0.3 - 2.0,
        logit_opacities=torch.randn(count, generator=draw) + 1,
        sh0=torch.randn(count, 1, 3, generator=draw),
        shN=torch.zeros(count, 3, 3),
    )


def ring(count: int, size: int = SIZE) -> list[Camera]:
    """Cameras around the origin, looking at it."""
    cameras = []
    for k in range(count):
        c, s = math.cos(2 * math.pi * k / count), math.sin(2 * math.pi * k / count)
        viewmat = np.array([[c, 0, s, 0], [0, 1, 0, 0], [-s, 0, c, 3], [0, 0, 0, 1]])
        K = np.array([[1.2 * size, 0, size / 2], [0, 1.2 * size, size / 2], [0, 0, 1]])
        cameras.append(Camera(viewmat, K, size, size))
    return cameras


def picture(model: Gaussians, camera: Camera) -> np.ndarray:
    """[H, W, 3] uint8 on black."""
    with torch.no_grad():
        image, _, _ = rasterize(**model.render_args(), **camera.tensors())
    return (image[0].clamp(0, 1) * 255).round().to(torch.uint8).numpy()


def write_scene(folder: Path, views: int = 5) -> Path:
    """A transforms.json scene whose photos show `gaussians()`; every 8th view is held out: the first."""
    (folder / "images").mkdir(parents=True)
    frames = []
    for index, camera in enumerate(ring(views)):
        name = f"images/{index:02}.png"
        Image.fromarray(picture(gaussians(), camera)).save(folder / name)
        pose = np.linalg.inv(camera.viewmat) @ _OPENGL
        frames.append({"file_path": name, "transform_matrix": pose.tolist()})
    focal = 1.2 * SIZE
    lens = {"fl_x": focal, "fl_y": focal, "cx": SIZE / 2, "cy": SIZE / 2, "w": SIZE, "h": SIZE}
    (folder / "transforms.json").write_text(json.dumps({**lens, "frames": frames}))
    return folder


def write_run(
    folder: Path, scene: Path, models: tuple[str, ...] = ("vanilla", "perturbed", "dropout")
) -> Path:
    """A run directory that holds these models, each from another seed but the first, which is exact."""
    directory = RunDirectory(folder)
    options = SceneOptions(test_every=2, random_points=20)
    directory.create(RunPlan(scene.resolve(), options, recipe("preview"), "cpu"))
    for seed, model in enumerate(models):
        splat = gaussians(20 if model == STUDENT else 40, seed)
        write_splat(directory.splat(model), splat)
    return folder
