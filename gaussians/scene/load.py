"""One `load_scene`: recognise what a folder holds, read it, and hand over a Scene."""

import dataclasses
import json
import os
import re
from collections import Counter
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import numpy as np
import platformdirs

from gaussians.errors import RecipeError, SceneError
from gaussians.scene import colmap, photos, transforms
from gaussians.scene.capture import Capture, Shot
from gaussians.scene.folders import RUN_FILE
from gaussians.scene.headers import Header
from gaussians.scene.images import Finish, load_views, read_headers
from gaussians.scene.masks import with_masks, without_blank
from gaussians.scene.random_points import draw_points
from gaussians.scene.resolution import Resolution
from gaussians.scene.shelf import Shelf
from gaussians.scene.split import choose_test
from gaussians.scene.types import Progress, Scene, SceneOptions, View
from gaussians.scene.unreadable import VIDEOS, unreadable

_AS_IT_IS = SceneOptions()
_EXTENT = 1.1  # x the largest distance of a camera from their mean (Kerbl et al. 2023, released code)
_LEAST_EXTENT = 1e-6
_STANDING = 0.01  # x the points' median distance: cameras nearer to each other only turn about
_FAR = 1e4  # x the extent: so far from the origin float32's steps are a thousandth of it
_COLORS = {"white": (1.0, 1.0, 1.0), "black": (0.0, 0.0, 0.0)}
_MOST_NAMED = 5  # folders, in a hint
_EXPECTED = "expected sparse/0/ (COLMAP), transforms.json, or photos to run structure from motion on"


def load_scene(path: Path, options: SceneOptions = _AS_IT_IS, progress: Progress | None = None) -> Scene:
    """Read a scene: a COLMAP model, transforms.json, or just photos, in this order of preference.

    Args:
        path: the scene's folder; or its transforms.json, which is then read even beside a COLMAP model.
        options: resolution, test views, background, and so on.
        progress: told of long work; may raise to cancel it.

    Raises:
        SceneError: names the file that is missing, broken or inconsistent, and says what to do.
        StorageError: photos beyond the bound on memory could not be written to the user's cache.
        RecipeError: an option makes no sense.
    """
    resolution, shelf = Resolution.parse(options.resolution), Shelf.of(options)
    _check_background(options.background)
    folder = path if path.is_dir() else path.parent
    capture = _read(path, options, resolution, progress)
    shots, mask_notes = with_masks(folder, capture.shots)
    test, test_note = choose_test(folder, [shot.name for shot in shots], capture.test, options)
    headers = read_headers(shots)
    background = background_color(options.background, any(header.has_alpha for header in headers))
    finish = Finish(resolution, capture.reduction, background)
    with shelf:
        views = load_views(shots, headers, finish, shelf, progress)
        memory_notes = shelf.notes
    size_note = _size_note(views[0][0], headers[0], finish)
    views, blank_notes = without_blank(views)
    train = _flat(views, shots, frozenset(shot.name for shot in shots) - test)
    tested = _flat(views, shots, test)
    if not train:
        raise SceneError(
            f"{folder}: its masks leave no pixel to train on; they want white what counts, or should go."
        )
    points, point_notes = capture.points, ()
    if points is None:
        points = draw_points(train, options.random_points, options.seed)
        point_notes = (f"no point cloud: {len(points.xyz)} points, {points.source}",)
    extent = scene_extent([*train, *tested], points.xyz)
    return Scene(
        name=folder.resolve().name,
        path=folder,
        train=train,
        test=tested,
        points=points,
        background=background,
        extent=extent,
        notes=(
            *capture.notes,
            *_lens_notes(shots),
            size_note,
            *mask_notes,
            *blank_notes,
            *memory_notes,
            test_note,
            *point_notes,
            *_far_notes(train, extent),
        ),
    )


def _read(path: Path, options: SceneOptions, resolution: Resolution, progress: Progress | None) -> Capture:
    """Recognise and read, up to the pixels."""
    if not path.exists():
        raise SceneError(f"{path}: no such folder; check the spelling.")
    try:
        if path.is_dir():
            return _read_folder(path, options, resolution, progress)
        if path.suffix == ".json" and path.name.startswith("transforms"):
            return transforms.read(path, resolution)
    except OSError as error:
        raise SceneError(f"{error.filename or path}: cannot be read ({error.strerror or error}).") from error
    if path.suffix.lower() in VIDEOS:
        raise SceneError(f"{path}: a video; extract frames from it into a folder, and give that.")
    # Callers that take splat files too have looked for one before.
    raise SceneError(
        f"{path}: a file, but a scene is a folder or a splat file (.ply, .splat); in a folder {_EXPECTED}."
    )


def _read_folder(
    scene: Path, options: SceneOptions, resolution: Resolution, progress: Progress | None
) -> Capture:
    """COLMAP wins over transforms.json, which wins over photos alone."""
    model, file = colmap.find_model(scene), transforms.find_file(scene)
    if model is not None:
        capture = colmap.read(scene, model, resolution)
        if file is None:
            return capture
        note = f"{file.name} is passed over for the COLMAP model; name the file itself to read it"
        return dataclasses.replace(capture, notes=(*capture.notes, note))
    if file is not None:
        return transforms.read(file, resolution)
    trained_on = _scene_of_run(scene)
    if trained_on is not None:
        raise SceneError(
            f"{scene}: is a run; go on with it by --out {scene} --resume, or give its scene ({trained_on})"
        )
    folder, names = photos.find_photos(scene)
    if not names:
        raise SceneError(f"{scene}: no cameras and no photos found; {_hint(scene)}")
    return photos.read(folder, names, cache_folder(options), progress)


def _scene_of_run(folder: Path) -> Path | None:
    """The scene that a folder's recipe.json says a run in it is trained on; None: no run, or of itself."""
    try:
        document = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
        scene = Path(document["scene"])
        return None if scene.resolve() == folder.resolve() else scene
    except (OSError, ValueError, KeyError, TypeError):
        return None


def cache_folder(options: SceneOptions) -> Path:
    """Where cameras found by structure from motion are kept."""
    return options.cache or Path(platformdirs.user_cache_dir("splat-distillery")) / "scenes"


def _hint(scene: Path) -> str:
    """What to do about a folder without anything to read, by what lies in it and in its subfolders."""
    inside = [
        child
        for child in sorted(scene.iterdir())
        if not child.name.startswith(".") and child.is_dir() and os.access(child, os.R_OK | os.X_OK)
    ]
    lines = list(unreadable(scene))
    for child in inside:
        lines += unreadable(child, where=f" in {child.name}")
    scenes = [child.name for child in inside if _is_scene(child)]
    if scenes:
        lines.insert(0, f"did you mean one of its folders ({', '.join(scenes[:_MOST_NAMED])})?")
    return "; ".join(lines[:_MOST_NAMED]) or f"{_EXPECTED}."


def _is_scene(folder: Path) -> bool:
    """Whether it holds cameras or photos."""
    return (
        colmap.find_model(folder) is not None
        or transforms.find_file(folder) is not None
        or bool(photos.find_photos(folder)[1])
    )


def _flat(
    views: Sequence[tuple[View, ...]], shots: Sequence[Shot], names: frozenset[str]
) -> tuple[View, ...]:
    """The views of the named shots, sorted by their own names."""
    chosen = chain.from_iterable(each for each, shot in zip(views, shots, strict=True) if shot.name in names)
    return tuple(sorted(chosen, key=lambda view: view.name))


def scene_extent(views: Sequence[View], xyz: np.ndarray | None = None) -> float:
    """Radius of the cameras about their mean, as Scene.extent has it.

    Where there is one camera, or they all stand on one spot, the radius says nothing of the scene's size, by
    which rates and thresholds go: then it is how far the points are.

    Args:
        views: of the scene, at least one.
        xyz: [P, 3] its points; None: there are none.
    """
    centres = np.array([view.camera.centre for view in views])
    middle = centres.mean(axis=0)
    largest = float(np.linalg.norm(centres - middle, axis=1).max())
    if xyz is not None and len(xyz):
        distance = float(np.median(np.linalg.norm(xyz - middle, axis=1)))
        largest = distance if largest < _STANDING * distance else largest
    return max(_EXTENT * largest, _LEAST_EXTENT)


def _far_notes(views: Sequence[View], extent: float) -> list[str]:
    """What to tell about a scene far from the origin, as georeferenced ones are."""
    middle = np.mean([view.camera.centre for view in views], axis=0)
    if np.linalg.norm(middle) < _FAR * extent:
        return []
    return [
        f"coordinates of {np.abs(middle).max():,.0f} leave float32 little detail: "
        "subtract an offset from cameras and points"
    ]


def _check_background(text: str) -> None:
    if text not in ("auto", *_COLORS) and not re.fullmatch("#[0-9a-fA-F]{6}", text):
        raise RecipeError(f"background {text!r}: must be auto, white, black or #rrggbb")


def background_color(text: str, has_alpha: bool = False) -> tuple[float, float, float]:
    """RGB in [0, 1] of a background option; "auto" is white behind transparent photos, else black.

    Raises:
        RecipeError: not such an option.
    """
    _check_background(text)
    if text == "auto":
        text = "white" if has_alpha else "black"
    if text in _COLORS:
        return _COLORS[text]
    red, green, blue = (int(text[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return red, green, blue


def _lens_notes(shots: Sequence[Shot]) -> list[str]:
    """What was done about distortion, one line for each camera model."""
    counts = Counter(shot.lens.model for shot in shots if not shot.lens.is_pinhole)
    return [
        f"cut {count} panoramas into cube faces"
        if model == "EQUIRECTANGULAR"
        else f"undistorted {count} photos ({model})"
        for model, count in sorted(counts.items())
    ]


def _size_note(view: View, header: Header, finish: Finish) -> str:
    """What became of the photos' size, by the example of the first."""
    camera = view.camera
    note = (
        f"photos of {header.stored_width}x{header.stored_height}, trained at {camera.width}x{camera.height}"
    )
    enlarged = finish.resolution.scale(header.stored_width, finish.reduction) > 1.01
    return note + " (smaller than asked for: photos are not enlarged)" if enlarged else note
