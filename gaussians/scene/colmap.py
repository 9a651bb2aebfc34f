"""COLMAP models, binary and text, read by pycolmap."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gaussians.errors import SceneError
from gaussians.scene.capture import Capture, Shot, check_position
from gaussians.scene.colmap_files import NAMES, check_model, is_model, names_in_text
from gaussians.scene.folders import choose_images
from gaussians.scene.lens import Lens
from gaussians.scene.resolution import Resolution
from gaussians.scene.types import Points

if TYPE_CHECKING:
    import pycolmap

_PLACES = ("sparse/0", "sparse", "colmap/sparse/0", ".")


def find_model(scene: Path) -> Path | None:
    """The folder of the scene's COLMAP model: sparse/0, sparse, the scene itself, the first of sparse/*."""
    places = [scene / place for place in _PLACES]
    if (scene / "sparse").is_dir():
        places += sorted((scene / "sparse").iterdir())
    return next((place for place in places if is_model(place)), None)


def read(scene: Path, model: Path, resolution: Resolution) -> Capture:
    """Read the model and find its images.

    Args:
        scene: the scene's folder, where images, images_2 and so on lie.
        model: the folder with cameras, images and points3D.
        resolution: asked for; the images are taken from the folder that fits it best.

    Raises:
        SceneError: the model is incomplete or damaged, or names images most of which are not there.
    """
    kind, reconstruction = read_reconstruction(model)
    label = model.relative_to(scene).as_posix()
    images = registered_images(reconstruction, model)
    lenses = {key: lens_of(camera) for key, camera in reconstruction.cameras.items()}
    for image in images:
        lenses[image.camera_id].check(f"{model / f'cameras.{kind}'}: camera {image.camera_id}")
    names = [image.name for image in images]
    widths = [lenses[image.camera_id].width for image in images]
    choice = choose_images(scene, names, widths, resolution, f"{label}/images.{kind}")
    shots = tuple(
        Shot(image.name, path, viewmat_of(image, model), lenses[image.camera_id])
        for image, path in zip(images, choice.paths, strict=True)
        if path is not None
    )
    notes = [f"COLMAP model {label} ({kind}), images in {choice.folder}", *choice.notes]
    unplaced = reconstruction.num_images() - len(images)
    if unplaced:
        notes.append(f"left out {unplaced} images that the model does not place")
    points = points_of(reconstruction, f"{label}/points3D.{kind}")
    return Capture(shots, points, reduction=choice.reduction, notes=tuple(notes))


def read_reconstruction(model: Path) -> tuple[str, "pycolmap.Reconstruction"]:
    """The model in a folder, and whether it is "bin" or "txt". Raises SceneError."""
    kind = check_model(model)
    import pycolmap

    quieten()
    reconstruction = pycolmap.Reconstruction()
    try:
        if kind == "bin":
            reconstruction.read_binary(model)
        else:
            names = names_in_text(model / "images.txt")
            reconstruction.read_text(model)
            for key, image in reconstruction.images.items():
                image.name = names[key]  # pycolmap ends it at the first space
    except SceneError:
        raise
    # pybind11 hands over C++ exceptions as several Python types; all mean that the files are no model.
    except Exception as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        files = ", ".join(f"{name}.{kind}" for name in NAMES)
        raise SceneError(
            f"{model}: the COLMAP model ({files}) is damaged ({lines[0]}); copy or export it again."
        ) from error
    return kind, reconstruction


def registered_images(reconstruction: "pycolmap.Reconstruction", model: Path) -> list["pycolmap.Image"]:
    """The images with a pose, sorted by name, which is posix. Raises SceneError when there are none."""
    images = [reconstruction.image(key) for key in reconstruction.reg_image_ids()]
    if not images:
        raise SceneError(f"{model}: the COLMAP model places no image; run structure from motion again.")
    try:
        for image in images:
            image.name = image.name.replace("\\", "/")  # of models made on Windows
        return sorted(images, key=lambda image: image.name)
    except UnicodeDecodeError as error:
        raise SceneError(
            f"{model}: the COLMAP model holds an image name that is not UTF-8 text; rename the image, or "
            "export the model again."
        ) from error


def lens_of(camera: "pycolmap.Camera") -> Lens:
    """The intrinsics of a COLMAP camera."""
    return Lens(camera.model.name, camera.width, camera.height, tuple(float(p) for p in camera.params))


def viewmat_of(image: "pycolmap.Image", model: Path) -> np.ndarray:
    """[4, 4] world to camera. Raises SceneError when the model holds no usable pose."""
    viewmat = np.eye(4)
    viewmat[:3] = image.cam_from_world().matrix()
    if not np.all(np.isfinite(viewmat)):
        raise SceneError(f"{model}: the pose of image {image.name} is not finite; export the model again.")
    check_position(viewmat[:3, 3], f"{model}: image {image.name}")
    return viewmat


def points_of(reconstruction: "pycolmap.Reconstruction", source: str) -> Points | None:
    """The model's points, or None when it has none. What is not finite is dropped."""
    points: Sequence[pycolmap.Point3D] = list(reconstruction.points3D.values())
    if not points:
        return None
    with np.errstate(over="ignore"):  # becomes infinite, and is dropped
        xyz = np.array([point.xyz for point in points]).astype(np.float32)
    rgb = np.array([point.color for point in points], np.uint8)
    finite = np.isfinite(xyz).all(axis=1)
    return Points(xyz[finite], rgb[finite], source) if finite.any() else None


def quieten() -> None:
    """Keep COLMAP's log off the terminal: what matters in it comes back as an exception."""
    import pycolmap

    pycolmap.logging.minloglevel = int(pycolmap.logging.Level.FATAL)
