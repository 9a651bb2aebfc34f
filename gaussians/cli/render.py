"""`main.py render`: what a scene's cameras see of a model, as images, or a flight past them as a video."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro
from PIL import Image

from gaussians.camera import Camera
from gaussians.cli.film import film
from gaussians.cli.flags import SceneFlags, parse
from gaussians.cli.picture_names import picture_names
from gaussians.cli.progress import counting
from gaussians.cli.sources import OWN_SCENE, open_scene
from gaussians.errors import RecipeError, SceneError
from gaussians.io import read_splat
from gaussians.model import Gaussians
from gaussians.scene import Scene, View
from gaussians.session.camera_path import camera_path
from gaussians.session.camera_tour import walking_order
from gaussians.session.machine import choose_device
from gaussians.session.models import open_models
from gaussians.storage import replacing
from gaussians.train.evaluate import render_view

DESCRIPTION = "Render a run's model or a splat file from the scene's cameras."
FPS, SECONDS = 30, 8
MAX_FPS, MAX_SECONDS = 240, 3600
_FPS, _SECONDS = f"(default: {FPS})", f"(default: {SECONDS})"
_VIEWS, _MODEL = "(default: test; for a video: all)", "(default: student)"


@dataclass(frozen=True)
class Flags:
    """The flags of `render`."""

    source: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(name="RUN_OR_SPLAT", metavar="RUN_OR_SPLAT")]
    """A run directory, or a splat file."""
    out: Annotated[Path, tyro.conf.arg(metavar="DIR|FILE.mp4")]
    """A folder for one PNG a view, or a video file: a smooth flight through the views' cameras."""
    scene: Annotated[Path | None, tyro.conf.arg(metavar="SCENE", help_behavior_hint=OWN_SCENE)] = None
    """Folder with the cameras."""
    views: Annotated[Literal["test", "train", "all"] | None, tyro.conf.arg(help_behavior_hint=_VIEWS)] = None
    """Which cameras: the held-out ones, the training ones, or all; a video flies past them."""
    model: Annotated[str | None, tyro.conf.arg(metavar="NAME", help_behavior_hint=_MODEL)] = None
    """Which model of a run: student, vanilla, perturbed, dropout."""
    fps: Annotated[float | None, tyro.conf.arg(metavar="FPS", help_behavior_hint=_FPS)] = None
    """Frames a second of a video."""
    seconds: Annotated[float | None, tyro.conf.arg(metavar="SECONDS", help_behavior_hint=_SECONDS)] = None
    """Length of a video."""
    device: Annotated[str, tyro.conf.arg(metavar="auto|cpu|cuda")] = "auto"
    """Where to render."""
    scene_flags: SceneFlags = dataclasses.field(default_factory=SceneFlags)


def run(arguments: list[str]) -> int:
    """The command; see `main`.

    Raises:
        DistilleryError: of any kind, for bad input.
    """
    flags: Flags = parse(Flags, arguments, "render", DESCRIPTION)
    is_film = flags.out.suffix.lower() == ".mp4"
    _check(flags, is_film)
    device = choose_device(flags.device)
    models = open_models(flags.source)
    gaussians = read_splat(models.splat(flags.model)).to(device)
    scene = open_scene(models, flags.scene, flags.scene_flags, device)
    which = flags.views or ("all" if is_film else "test")
    views = _chosen(scene, which)
    if is_film:
        fps, seconds = flags.fps or FPS, flags.seconds or SECONDS
        frames = max(1, round(fps * seconds))
        cameras = camera_path(walking_order([view.camera for view in views]), frames)
        _write_film(flags.out, gaussians, cameras, scene, fps)
        print(f"{flags.out}: {len(cameras)} frames, {fps:g} a second, through {len(views)} cameras")
    else:
        _write_images(flags.out, gaussians, views, scene)
        print(f"{flags.out}: {len(views)} images, views: {which}")
    return 0


def _check(flags: Flags, is_film: bool) -> None:
    if not is_film and flags.out.suffix and not flags.out.is_dir():
        raise RecipeError(f"--out {flags.out}: give a folder for images, or a file ending in .mp4")
    for name, value, most in (("fps", flags.fps, MAX_FPS), ("seconds", flags.seconds, MAX_SECONDS)):
        if value is None:
            continue
        if not is_film:
            raise RecipeError(f"--{name}: is for a video; leave it out, or let --out end in .mp4")
        if not 0 < value <= most:
            raise RecipeError(f"--{name} {value:g}: must be above 0 and at most {most}")


def _chosen(scene: Scene, which: str) -> list[View]:
    """The asked-for views by name. Raises SceneError where there are none."""
    views = {"test": scene.test, "train": scene.train, "all": (*scene.train, *scene.test)}[which]
    if not views:
        raise SceneError(
            f"{scene.path}: has no {which} views; use --views all, or hold some out by --test-every"
        )
    return sorted(views, key=lambda view: view.name)


def _write_images(folder: Path, gaussians: Gaussians, views: Sequence[View], scene: Scene) -> None:
    names = picture_names([view.name for view in views])
    with counting("rendering", len(views)) as done:
        for view, name in zip(views, names, strict=True):
            with replacing(folder / name) as temporary:
                Image.fromarray(_pixels(gaussians, view.camera, scene)).save(temporary)
            done()


def _write_film(
    path: Path, gaussians: Gaussians, cameras: Sequence[Camera], scene: Scene, fps: float
) -> None:
    # H.264 with colour at half resolution wants even sizes.
    even = [camera.resized(_even(camera.width), _even(camera.height)) for camera in cameras]
    with counting("rendering", len(even)) as done, film(path, even[0].width, even[0].height, fps) as add:
        for camera in even:
            add(_pixels(gaussians, camera, scene))
            done()


def _even(size: int) -> int:
    return max(2, size - size % 2)


def _pixels(gaussians: Gaussians, camera: Camera, scene: Scene) -> np.ndarray:
    """[H, W, 3] uint8."""
    image = render_view(gaussians, camera, scene.background, gaussians.device)
    return (image.cpu().numpy() * 255).round().astype(np.uint8)
