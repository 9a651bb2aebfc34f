"""Masks beside the photos: masks/NAME.png, masks/NAME.jpg.png, in the photos' subfolders or not."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from gaussians.scene.capture import Shot
from gaussians.scene.folders import ImageFolder

_FOLDERS = ("masks", "mask")


def with_masks(scene: Path, shots: Sequence[Shot]) -> tuple[tuple[Shot, ...], tuple[str, ...]]:
    """The shots with the masks that lie in the scene's masks folder, and what to tell about it."""
    folder = next((scene / name for name in _FOLDERS if (scene / name).is_dir()), None)
    if folder is None:
        found = sum(shot.mask is not None for shot in shots)
        return tuple(shots), (f"masks for {found} photos",) if found else ()
    masks = ImageFolder(folder)
    masked = tuple(dataclasses.replace(shot, mask=shot.mask or _mask_of(masks, shot.name)) for shot in shots)
    bare = [shot.name for shot in masked if shot.mask is None]
    note = f"masks for {len(masked) - len(bare)} photos from {folder.name}/"
    if bare:
        note += f"; none for {len(bare)} photos (the first: {bare[0]}), which count everywhere"
    return masked, (note,)


def _mask_of(masks: ImageFolder, name: str) -> Path | None:
    path = PurePosixPath(name)
    for candidate in (f"{name}.png", name, f"{path.name}.png", path.name):
        found = masks.find(candidate)
        if found:
            return found
    return None
