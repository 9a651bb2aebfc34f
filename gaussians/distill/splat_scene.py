"""A splat as a scene to distil: its own renders take the photos' part."""

from pathlib import Path

import numpy as np
import torch

from gaussians.camera import Camera
from gaussians.distill.splat_views import splat_background, splat_cameras
from gaussians.io import read_splat
from gaussians.model import SH_C0, Gaussians
from gaussians.scene.load import background_color, scene_extent
from gaussians.scene.resolution import Resolution
from gaussians.scene.shelf import Shelf
from gaussians.scene.split import choose_test
from gaussians.scene.types import Points, Progress, Scene, SceneOptions, View
from gaussians.train.evaluate import render_view


def splat_scene(
    path: Path, options: SceneOptions, progress: Progress | None = None, device: torch.device | None = None
) -> Scene:
    """Look at a splat from all around, or from its own cameras; the renders are the views.

    Held-out views are chosen as those of photos are. Renders have 8 bits a channel, so no more than about
    59 dB can be measured against them.

    Args:
        path: a file that `read_splat` takes.
        options: resolution (of 640x480 without cameras), held-out views, background, seed. The background
            "auto" is what the splat's cameras.json says it was trained on, else black.
        progress: told of each render; may raise to cancel.
        device: where to render; None: on a GPU, where there is one.

    Raises:
        SplatError: the file can't be read, or holds no Gaussians.
        SceneError, RecipeError: options that make no sense.
        StorageError: renders beyond the bound on memory could not be written.
    """
    resolution, shelf = Resolution.parse(options.resolution), Shelf.of(options)
    asked = options.background
    background = background_color(splat_background(path) or asked if asked == "auto" else asked)
    gaussians = read_splat(path)
    if device is None:
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    gaussians = gaussians.to(device)
    cameras, note = splat_cameras(path, gaussians, options.seed)
    names = [f"pose {index:04}" for index in range(len(cameras))]
    test, test_note = choose_test(path, names, None, options)
    with shelf:
        for done, (name, camera) in enumerate(zip(names, cameras, strict=True)):
            if progress is not None:
                progress("rendering poses", done, len(cameras))
            smaller = camera.resized(*resolution.size(camera.width, camera.height, 1.0))
            shelf.put(View(name, smaller, _picture(gaussians, smaller, background)))
        views, memory_notes = shelf.views(), shelf.notes
    return Scene(
        name=path.stem,
        path=path,
        train=tuple(view for view in views if view.name not in test),
        test=tuple(view for view in views if view.name in test),
        points=_points(gaussians, path.name),
        background=background,
        extent=scene_extent(views),
        notes=(f"no photos: views are renders of {path.name}", note, test_note, *memory_notes),
    )


def _picture(gaussians: Gaussians, camera: Camera, background: tuple[float, float, float]) -> np.ndarray:
    """[H, W, 3] uint8."""
    image = render_view(gaussians, camera, background)
    return (image * 255).round().to(torch.uint8).cpu().numpy()


def _points(gaussians: Gaussians, name: str) -> Points:
    colors = (0.5 + SH_C0 * gaussians.sh0[:, 0]).clamp(0, 1) * 255
    means = gaussians.means.cpu().numpy().astype(np.float32)
    return Points(means, colors.round().to(torch.uint8).cpu().numpy(), f"the centres of {name}")
