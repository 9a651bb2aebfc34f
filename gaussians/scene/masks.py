"""Masks beside the photos: masks/NAME.png, masks/NAME.jpg.png, in the photos' subfolders or not."""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from gaussians.scene.capture import Shot
from gaussians.scene.folders import ImageFolder
from gaussians.scene.types import View

_FOLDERS = ("masks", "mask")


def with_masks(scene: Path, shots: Sequence[Shot]) -> tuple[tuple[Shot, ...], tuple[str, ...]]:
    """The shots with the masks that lie in the scene's masks folder, and what to tell about it."""
    folder = next((scene / name for name in _FOLDERS if (scene / name).is_dir()), None)
    if folder is None:
        found = sum(shot.mask is not None for shot in shots)
        return tuple(shots), (f"masks for {found} photos",) if found else ()
    masks = ImageFolder(folder)
    masked = tuple(dataclasses.replace(shot, mask=shot.mask or _mask_of(masks, shot)) for shot in shots)
    bare = [shot.name for shot in masked if shot.mask is None]
    note = f"masks for {len(masked) - len(bare)} photos from {folder.name}/"
    if bare:
        note += f"; none for {len(bare)} photos (the first: {bare[0]}), which count everywhere"
    return masked, (note,)


def without_blank(
    views: Sequence[tuple[View, ...]],
) -> tuple[tuple[tuple[View, ...], ...], tuple[str, ...]]:
    """The views of each photo that a mask leaves a pixel of, and what to tell about the others.

    Nothing can be learnt from a view without a pixel that counts, nor measured on it.
    """
    kept = tuple(tuple(view for view in each if view.mask is None or view.mask.any()) for each in views)
    blank = [each[0].name for each, left in zip(views, kept, strict=True) if each and not left]
    if not blank:
        return kept, ()
    return kept, (f"left out for masks that are all black: {len(blank)} photos (the first: {blank[0]})",)


def _mask_of(masks: ImageFolder, shot: Shot) -> Path | None:
    path = PurePosixPath(shot.name)
    for candidate in (f"{path}.png", str(path), f"{path.name}.png", path.name):
        found = masks.find(candidate)
        if found and _is_within(masks.root, found) and found.resolve() != shot.path.resolve():
            return found
    return None


def _is_within(folder: Path, path: Path) -> bool:
    """Whether a path, as it is spelt, lies in the folder: names that lead out find photos."""
    return Path(os.path.normpath(path)).is_relative_to(os.path.normpath(folder))
