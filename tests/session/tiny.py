"""A scene and a recipe so small that a whole distillation takes a second or two."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from gaussians.camera import Camera
from gaussians.distill.recipe import Dropout, Perturb, Recipe, Simplify, Structure, Student, Teachers
from gaussians.model import SH_C0, Gaussians
from gaussians.raster import rasterize
from gaussians.scene import Points, Scene, View
from gaussians.train.recipe import Densify, Optimise

WIDTH, HEIGHT, FOCAL = 44, 36, 40.0
BACKGROUND = (0.2, 0.3, 0.4)


def cameras(count: int) -> list[Camera]:
    """A ring of cameras at distance 4 about the origin, looking at it; z is up."""
    K = np.array([[FOCAL, 0, WIDTH / 2], [0, FOCAL, HEIGHT / 2], [0, 0, 1.0]])
    ring = []
    for angle in np.linspace(0, 2 * np.pi, count, endpoint=False):
        eye = np.array([4 * np.cos(angle), 4 * np.sin(angle), 1.0])
        forward = -eye / np.linalg.norm(eye)
        right = np.cross(forward, [0, 0, 1.0])
        right /= np.linalg.norm(right)
        viewmat = np.eye(4)
        viewmat[:3, :3] = [right, np.cross(forward, right), forward]
        viewmat[:3, 3] = -viewmat[:3, :3] @ eye
        ring.append(Camera(viewmat, K, WIDTH, HEIGHT))
    return ring


def true_gaussians(count: int = 120) -> Gaussians:
    """What the photos show."""
    generator = torch.Generator().manual_seed(7)
    return Gaussians(
        means=torch.randn(count, 3, generator=generator) * 0.6,
        quats=torch.randn(count, 4, generator=generator),
        log_scales=torch.rand(count, 3, generator=generator) * 0.8 - 2.4,
        logit_opacities=torch.rand(count, generator=generator) * 3,
        sh0=(torch.rand(count, 1, 3, generator=generator) - 0.5) / SH_C0,
        shN=torch.zeros(count, 3, 3),
    )


def scene(views: int = 9) -> Scene:
    """Photos of `true_gaussians`; the first and every 4th further one are test views."""
    truth = true_gaussians()
    shown = []
    for index, camera in enumerate(cameras(views)):
        image, _, _ = rasterize(
            **truth.render_args(), **camera.tensors(), backgrounds=torch.tensor([BACKGROUND]), backend="cpu"
        )
        pixels = (image[0].clamp(0, 1) * 255).round().to(torch.uint8).numpy()
        shown.append(View(f"{index:03}.png", camera, pixels))
    rng = np.random.default_rng(1)
    xyz = truth.means.numpy() + rng.normal(0, 0.05, (len(truth), 3)).astype(np.float32)
    rgb = (np.clip(0.5 + SH_C0 * truth.sh0[:, 0].numpy(), 0, 1) * 255).astype(np.uint8)
    return Scene(
        name="tiny",
        path=Path("tiny"),
        train=tuple(view for index, view in enumerate(shown) if index % 4),
        test=tuple(shown[::4]),
        points=Points(xyz, rgb, "made by the test"),
        background=BACKGROUND,
        extent=4.4,
    )


def write(folder: Path, views: int = 9) -> Path:
    """The same scene as a folder with transforms.json and points; test views by --test-every 4."""
    made = scene(views)
    frames = []
    (folder / "images").mkdir(parents=True)
    for view in sorted((*made.train, *made.test), key=lambda view: view.name):
        Image.fromarray(view.image).save(folder / "images" / view.name)
        pose = np.linalg.inv(view.camera.viewmat) @ np.diag([1.0, -1, -1, 1])
        frames.append({"file_path": f"images/{view.name}", "transform_matrix": pose.tolist()})
    document = {
        "fl_x": FOCAL,
        "fl_y": FOCAL,
        "cx": WIDTH / 2,
        "cy": HEIGHT / 2,
        "w": WIDTH,
        "h": HEIGHT,
        "ply_file_path": "points.ply",
        "frames": frames,
    }
    (folder / "transforms.json").write_text(json.dumps(document))
    rows = [
        " ".join(map(str, [*xyz, *rgb]))
        for xyz, rgb in zip(made.points.xyz.tolist(), made.points.rgb.tolist(), strict=True)
    ]
    axes = [f"property float {axis}" for axis in "xyz"]
    colors = [f"property uchar {color}" for color in ("red", "green", "blue")]
    header = ["ply", "format ascii 1.0", f"element vertex {len(rows)}", *axes, *colors, "end_header"]
    (folder / "points.ply").write_text("\n".join([*header, *rows]) + "\n")
    return folder


def compact_recipe() -> Recipe:
    """The same with compact teachers, one of which the student starts from, and a running mean of weights."""
    made = recipe()
    optimise = dataclasses.replace(made.student.optimise, average=0.8)
    return dataclasses.replace(
        made,
        teachers=dataclasses.replace(
            made.teachers,
            fork=0,
            compact=0.5,
            compact_steps=30,
            perturb=Perturb(4, 13, every=4),
            dropout=Dropout(0, 12),
        ),
        student=dataclasses.replace(made.student, optimise=optimise, start="smallest"),
    )


def recipe(factor: float = 1.0) -> Recipe:
    """Every part of the pipeline in 40 teacher and 30 student steps."""
    densify = Densify(start=8, stop=34, every=5, grad_threshold=1e-5, reset_every=20, cap=400)
    optimise = Optimise(steps=40, sh_degree=1, sh_every=10, log_every=5, densify=densify)
    tiny = Recipe(
        name="tiny",
        seed=3,
        teachers=Teachers(
            fork=20, optimise=optimise, perturb=Perturb(22, 36, every=4), dropout=Dropout(20, 38)
        ),
        student=Student(
            budget="25%",
            optimise=dataclasses.replace(optimise, steps=30, densify=Densify(start=0, stop=0)),
            simplify=Simplify(stages=3, start=2, stop=15),
            structure=Structure(grid=16, every=3),
        ),
    )
    return tiny.scaled(factor)
