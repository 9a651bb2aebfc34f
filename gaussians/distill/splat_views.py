"""Where to look at a splat from when there are no photos of it.

Its opaque mass says: either it surrounds its middle, as a room does that was captured from within, and is
then looked at from there; or it is an object, and is looked at from a sphere around it. Where the cameras it
was trained from are known, they say better.
"""

import math
from pathlib import Path

import numpy as np
import torch

from gaussians.camera import Camera
from gaussians.model import Gaussians
from gaussians.raster import rasterize
from gaussians.scene.cameras_json import CAMERAS_FILE, read_background, read_cameras

VIEWS = 160  # poses around a splat without cameras
_SIZE = (640, 480)  # px
_FIELD = 50.0  # degrees across
_REACH = 0.97  # of the opaque mass lies within what is called its radius
_STEEPEST = 60.0  # degrees above and below the horizon of poses: captures seldom look straight down
_ROOM = (0.9, 0.25)  # enclosed: this opaque, and this far away x radius, in the median over directions
_PROBE = 24  # px, of the six square pictures that tell a room from an object
_UP = np.array([0.0, -1.0, 0.0])  # the field's files keep COLMAP's axes, where y points down


def splat_cameras(path: Path, gaussians: Gaussians, seed: int) -> tuple[list[Camera], str]:
    """Poses to look at a splat from, and a note on how they were found.

    Args:
        path: the splat's file; a cameras.json gives the poses that lies beside it, or where the original
            implementation and our runs have it: above `point_cloud/iteration_N` and above `teachers`.
        gaussians: what the file holds, at least one.
        seed: of the draws.

    Raises:
        SplatError: cameras.json can't be read.
    """
    file = _cameras_file(path)
    if file is not None:
        return read_cameras(file), f"poses: the {file.name} in {file.parent}"
    centre, radius = opaque_mass(gaussians)
    if _is_room(gaussians, centre, radius):
        return _from_within(centre, radius, seed), f"poses: {VIEWS} within the splat, which is all around"
    return _around(centre, radius, seed), f"poses: {VIEWS} on a sphere around the splat's opaque mass"


def known_cameras(path: Path) -> list[Camera]:
    """Where the splat in this file was trained from, if a cameras.json says it. Raises SplatError."""
    file = _cameras_file(path)
    return [] if file is None else read_cameras(file)


def splat_background(path: Path) -> str | None:
    """The colour that the splat in this file was trained on, as its cameras.json has it; None: not known."""
    file = _cameras_file(path)
    return None if file is None else read_background(file)


def _cameras_file(path: Path) -> Path | None:
    files = (folder / CAMERAS_FILE for folder in _homes(path.resolve()))
    return next((file for file in files if file.is_file()), None)


def _homes(path: Path) -> list[Path]:
    """The folders whose cameras are this splat's."""
    folder = path.parent
    if folder.name == "teachers":
        return [folder, folder.parent]
    is_iteration = folder.name.startswith("iteration_") and folder.parent.name == "point_cloud"
    return [folder, folder.parent.parent] if is_iteration else [folder]


def opaque_mass(gaussians: Gaussians) -> tuple[np.ndarray, float]:
    """The middle [3] and the radius of the opaque mass, world units.

    A Gaussian weighs its opacity times the area it covers, at most the 99th percentile of all: one huge
    veil is not where the scene is. The middle is the median on each axis.
    """
    scales = gaussians.scales.detach().double().cpu()
    area = scales.sort(dim=1).values[:, 1:].prod(dim=1)
    area = area.clamp(max=float(area.quantile(0.99)) if len(area) < 2**24 else float(area.median()))
    weights = (gaussians.opacities.detach().double().cpu() * area).numpy()
    if not weights.sum() > 0:
        weights = np.ones(len(gaussians))
    means = gaussians.means.detach().double().cpu().numpy()
    centre = np.array([_quantile(means[:, axis], weights, 0.5) for axis in range(3)])
    radius = _quantile(np.linalg.norm(means - centre, axis=1), weights, _REACH)
    return centre, max(radius, 1e-6)


def _quantile(values: np.ndarray, weights: np.ndarray, share: float) -> float:
    order = np.argsort(values, kind="stable")
    mass = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(mass, share * mass[-1])])


@torch.no_grad()
def _is_room(gaussians: Gaussians, centre: np.ndarray, radius: float) -> bool:
    """Whether what is seen from the middle is opaque and far on all sides: one of six may be open."""
    K = np.array([[_PROBE / 2, 0, _PROBE / 2], [0, _PROBE / 2, _PROBE / 2], [0, 0, 1.0]])
    closed = 0
    for forward in (*np.eye(3), *-np.eye(3)):
        camera = Camera(looking(centre, forward), K, _PROBE, _PROBE)
        settings = gaussians.render_args() | camera.tensors(gaussians.device)
        image, alpha, _ = rasterize(**settings, render_mode="ED")
        opaque, far = float(alpha.median()), float(image[..., -1].median()) / radius
        closed += opaque > _ROOM[0] and far > _ROOM[1]
    return closed >= 5


def looking(centre: np.ndarray, forward: np.ndarray) -> np.ndarray:
    """[4, 4] world to camera of one at `centre` [3] that looks along `forward` [3], its top upward (-y)."""
    ahead = forward / np.linalg.norm(forward)
    up = _UP if abs(ahead @ _UP) < 0.99 else np.array([0.0, 0.0, 1.0])
    right = np.cross(ahead, up)
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(ahead, right), ahead])
    viewmat = np.eye(4)
    viewmat[:3, :3], viewmat[:3, 3] = rotation, -rotation @ centre
    return viewmat


def _directions(seed: int) -> tuple[np.ndarray, np.random.Generator]:
    """[VIEWS, 3] unit vectors evenly spread but for the steep ones, on a randomly turned spiral."""
    draw = np.random.default_rng([seed, 0x73706C61])
    index = np.arange(VIEWS) + 0.5
    height = math.sin(math.radians(_STEEPEST)) * (1 - 2 * index / VIEWS)
    turn = index * math.pi * (3 - math.sqrt(5)) + draw.uniform(0, 2 * math.pi)
    flat = np.sqrt(1 - height**2)
    return np.stack([flat * np.cos(turn), height, flat * np.sin(turn)], axis=1), draw


def _around(centre: np.ndarray, radius: float, seed: int) -> list[Camera]:
    """Looking inward from where the mass fills the image, half as far again, or nearer by a third."""
    directions, draw = _directions(seed)
    distance = radius / math.sin(math.radians(_FIELD / 2))
    cameras = []
    for direction in directions:
        place = centre + distance * draw.uniform(0.67, 1.5) * direction
        target = centre + 0.25 * radius * draw.uniform(-1, 1, 3)
        cameras.append(_pinhole(looking(place, target - place)))
    return cameras


def _from_within(centre: np.ndarray, radius: float, seed: int) -> list[Camera]:
    """Looking outward from about the middle."""
    directions, draw = _directions(seed)
    places = centre + 0.15 * radius * draw.uniform(-1, 1, (len(directions), 3))
    return [_pinhole(looking(place, ahead)) for place, ahead in zip(places, directions, strict=True)]


def _pinhole(viewmat: np.ndarray) -> Camera:
    width, height = _SIZE
    focal = width / 2 / math.tan(math.radians(_FIELD / 2))
    return Camera(
        viewmat, np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1.0]]), width, height
    )
