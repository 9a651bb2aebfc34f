"""What a run trains on: a scene's folder, or a splat whose renders take the photos' part."""

from pathlib import Path

import torch

from gaussians.distill.splat_scene import splat_scene
from gaussians.io import readable_suffixes
from gaussians.scene import Progress, Scene, SceneOptions, load_scene


def load_views(
    path: Path, options: SceneOptions, progress: Progress | None = None, device: torch.device | None = None
) -> Scene:
    """Read a scene's folder, or look at a splat file from all sides. Raises DistilleryError.

    Args:
        path, options, progress: as for `load_scene` and `splat_scene`.
        device: where a splat is rendered; None: on a GPU, where there is one.
    """
    if path.is_file() and path.suffix.lower() in readable_suffixes():
        return splat_scene(path, options, progress, device)
    return load_scene(path, options, progress)
