"""Small scenes on disk, made with pycolmap and Pillow, whose every pixel is known.

All cameras stand at known places in a world that looks the same from everywhere: its colour depends on the
direction alone. So an image is right if each pixel has the colour of the world's direction that it shows.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pycolmap
from PIL import Image

from gaussians.camera import Camera
from gaussians.scene import View

SHARED = Path(__file__).resolve().parents[3] / "shared" / "scenes"

WIDTH, HEIGHT, FOCAL = 160, 120, 110.0
DISTORTION = {
    "k": 0.06,
    "k0": 0.02,
    "k1": 0.05,
    "k2": -0.02,
    "k3": 0.01,
    "k4": 0.004,
    "k5": 0.002,
    "k6": 0.001,
}
DISTORTION |= {"p0": 0.003, "p1": 0.004, "p2": -0.003, "sx1": 0.004, "sy1": -0.003, "omega": 0.7}
DISTORTION |= {"s0": 0.003, "s1": -0.002, "s2": 0.002, "s3": 0.001, "alpha": 0.55, "beta": 1.15}


def sky(directions: np.ndarray) -> np.ndarray:
    """[..., 3] colours, 0 to 255, of the world seen along unit directions [..., 3]."""
    return 128 + 100 * np.sin(5 * directions)


def expected(camera: Camera) -> np.ndarray:
    """[H, W, 3] what a pinhole camera sees of that world."""
    x = (np.arange(camera.width) + 0.5 - camera.K[0, 2]) / camera.K[0, 0]
    y = (np.arange(camera.height) + 0.5 - camera.K[1, 2]) / camera.K[1, 1]
    rays = np.stack([*np.meshgrid(x, y), np.ones((camera.height, camera.width))], axis=-1)
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    return sky(rays @ camera.viewmat[:3, :3])


def worst_error(view: View) -> float:
    """Largest difference of a counting pixel from what it should be, of 255."""
    error = np.abs(view.image - expected(view.camera)).max(axis=-1)
    return float(error.max() if view.mask is None else error[view.mask].max())


def rotation(seed: int) -> np.ndarray:
    """[3, 3] a random rotation."""
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return q * np.sign(np.linalg.det(q))


def distorted_camera(model: str, camera_id: int = 1) -> pycolmap.Camera:
    """A camera of any of COLMAP's models, with every distortion parameter at work."""
    camera = pycolmap.Camera.create_from_model_name(camera_id, model, FOCAL, WIDTH, HEIGHT)
    names = [name.strip() for name in camera.params_info.split(",")]
    for index, name in enumerate(names):
        camera.params[index] = DISTORTION.get(name, camera.params[index])
    return camera


def photo(camera: pycolmap.Camera, world_to_camera: np.ndarray) -> Image.Image:
    """What a camera of any model sees of the world; black where its model has no ray."""
    x, y = np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5
    pixels = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    rays = camera.cam_ray_from_img(pixels)
    assert rays is not None
    colors = np.nan_to_num(sky(rays @ world_to_camera))
    return Image.fromarray((colors + 0.5).astype(np.uint8).reshape(camera.height, camera.width, 3))


def model_of(
    cameras: dict[str, pycolmap.Camera], points: int = 30
) -> tuple[pycolmap.Reconstruction, dict[str, np.ndarray]]:
    """A COLMAP model with one image for each name, and its rotations, world to camera."""
    reconstruction = pycolmap.Reconstruction()
    for camera in {camera.camera_id: camera for camera in cameras.values()}.values():
        reconstruction.add_camera_with_trivial_rig(camera)
    rotations = {}
    for index, (name, camera) in enumerate(cameras.items(), start=1):
        rotations[name] = rotation(index)
        pose = pycolmap.Rigid3d(pycolmap.Rotation3d(rotations[name]), np.array([index, 2.0, 3.0]))
        image = pycolmap.Image(name=name, camera_id=camera.camera_id, image_id=index)
        reconstruction.add_image_with_trivial_frame(image, pose)
    rng = np.random.default_rng(0)
    for _ in range(points):
        xyz, rgb = rng.normal(size=3), rng.integers(0, 256, 3).astype(np.uint8)
        reconstruction.add_point3D(xyz, pycolmap.Track(), rgb)
    return reconstruction, rotations


def write_colmap(
    scene: Path,
    cameras: dict[str, pycolmap.Camera],
    model: str = "sparse/0",
    images: str = "images",
    text: bool = False,
) -> dict[str, np.ndarray]:
    """Write a COLMAP scene; returns the rotations, world to camera."""
    reconstruction, rotations = model_of(cameras)
    (scene / model).mkdir(parents=True, exist_ok=True)
    (reconstruction.write_text if text else reconstruction.write_binary)(scene / model)
    for name, camera in cameras.items():
        path = scene / images / name
        path.parent.mkdir(parents=True, exist_ok=True)
        photo(camera, rotations[name]).save(path)
    return rotations


def pinholes(count: int) -> dict[str, pycolmap.Camera]:
    """`count` images of one pinhole camera."""
    camera = pycolmap.Camera.create_from_model_name(1, "PINHOLE", FOCAL, WIDTH, HEIGHT)
    return {f"photo_{index:02d}.png": camera for index in range(count)}


def write_transforms(
    scene: Path, frames: list[dict[str, Any]], name: str = "transforms.json", **shared: Any
) -> None:
    """Write a transforms file."""
    scene.mkdir(parents=True, exist_ok=True)
    (scene / name).write_text(json.dumps({**shared, "frames": frames}))


def opengl_pose(world_to_camera: np.ndarray, centre: tuple[float, float, float]) -> list[list[float]]:
    """Camera-to-world in OpenGL axes, as transforms.json has it."""
    pose = np.eye(4)
    pose[:3, :3] = world_to_camera.T @ np.diag([1.0, -1.0, -1.0])
    pose[:3, 3] = centre
    return pose.tolist()
