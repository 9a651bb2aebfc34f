"""Ellipsoids as OpenGL draws them, against rays cast one by one in float64."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context

import moderngl
import numpy as np
import pytest
import torch

from app.ellipsoids import SURFACE, Ellipsoids
from gaussians.camera import Camera
from gaussians.errors import BackendUnavailableError
from gaussians.model import SH_C0, Gaussians
from gaussians.raster import rasterize
from gaussians.session.machine import memory_in_use
from tests.gui.conftest import need_display
from tests.gui.person import virtual_display

Draw = Callable[[Gaussians, Camera, tuple[float, float, float]], tuple[np.ndarray, int, int]]

CPU = torch.device("cpu")
BACKGROUND = (0.1, 0.2, 0.3)
CAMERA = Camera(
    np.array([[0.8, 0, 0.6, 0.1], [0, 1, 0, -0.2], [-0.6, 0, 0.8, 4], [0, 0, 0, 1]]),
    np.array([[90.0, 0, 50], [0, 80, 31], [0, 0, 1]]),
    96,
    64,
)


@pytest.fixture(scope="module")
def draw() -> Iterator[Draw]:
    """Draws in a process of its own: Mesa's LLVM and that of Triton do not go together in one."""
    need_display()
    with (
        virtual_display(640, 480) as name,
        ProcessPoolExecutor(1, get_context("spawn"), appear_on, (name,)) as process,
    ):

        def draw(
            gaussians: Gaussians, camera: Camera, background: tuple[float, float, float]
        ) -> tuple[np.ndarray, int, int]:
            arrays = {key: tensor.numpy() for key, tensor in gaussians.tensors().items()}
            return process.submit(drawn_there, arrays, camera, background).result()

        yield draw


def appear_on(display: str) -> None:
    os.environ["DISPLAY"] = display


@cache
def ellipsoids() -> Ellipsoids:
    return Ellipsoids()


def drawn_there(
    arrays: dict[str, np.ndarray], camera: Camera, background: tuple[float, float, float]
) -> tuple[np.ndarray, int, int]:
    """Image, count, and the process's memory after."""
    gaussians = Gaussians(**{key: torch.from_numpy(array) for key, array in arrays.items()})
    return *ellipsoids()(gaussians, camera, background), memory_in_use(CPU)


def cloud(count: int = 14) -> Gaussians:
    draw = torch.Generator().manual_seed(3)
    return Gaussians(
        means=torch.randn(count, 3, generator=draw) * 0.8,
        quats=torch.randn(count, 4, generator=draw) * 3,
        log_scales=torch.randn(count, 3, generator=draw) * 0.5 - 1.2,
        logit_opacities=torch.randn(count, generator=draw) * 2 + 1,
        sh0=torch.randn(count, 1, 3, generator=draw),
        shN=torch.randn(count, 3, 3, generator=draw),
    )


def cast(gaussians: Gaussians, camera: Camera) -> np.ndarray:
    """[H, W, 3] in [0, 1], a ray a pixel."""
    rows, columns = np.mgrid[: camera.height, : camera.width] + 0.5
    K, rotation = camera.K, camera.viewmat[:3, :3]
    rays = np.stack([(columns - K[0, 2]) / K[0, 0], (rows - K[1, 2]) / K[1, 1], np.ones_like(rows)], axis=-1)
    image = np.tile(np.array(BACKGROUND), (camera.height, camera.width, 1))
    nearest = np.full(rows.shape, np.inf)
    for index in range(len(gaussians)):
        one = gaussians.select(torch.tensor([index])).map(lambda tensor: tensor.double())
        opacity = float(one.opacities)
        if opacity <= SURFACE:
            continue
        w, x, y, z = (one.quats / one.quats.norm())[0].numpy()
        turn = np.array(
            [
                [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
                [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
                [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
            ]
        )
        half_axes = one.scales[0].numpy() * np.sqrt(2 * np.log(opacity / SURFACE))
        to_ball = (rotation @ turn / half_axes).T
        centre = rotation @ one.means[0].numpy() + camera.viewmat[:3, 3]
        start, ways = -to_ball @ centre, rays @ to_ball.T
        a, b, c = (ways**2).sum(-1), ways @ start, start @ start - 1
        inside = b * b - a * c
        depth = (-b - np.sqrt(np.maximum(inside, 0))) / a
        hit = (inside > 0) & (depth > 0.01) & (depth < nearest)
        normals = (start + depth[..., None] * ways) @ to_ball
        normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
        facing = -(normals * rays).sum(-1) / np.linalg.norm(rays, axis=-1)
        color = np.clip(0.5 + SH_C0 * one.sh0[0, 0].numpy(), 0, 1)
        shade = color * (0.3 + 0.7 * np.maximum(facing, 0))[..., None]
        image[hit], nearest[hit] = shade[hit], depth[hit]
    return image


def test_every_ray_meets_what_it_should(draw: Draw) -> None:
    gaussians = cloud()
    ours, drawn, _ = draw(gaussians, CAMERA, BACKGROUND)
    assert 4 < drawn == int((gaussians.opacities > SURFACE).sum()) < 14
    assert (ours.dtype, ours.shape) == (np.uint8, (64, 96, 3))
    truth = np.round(cast(gaussians, CAMERA) * 255)
    off = np.abs(ours - truth).max(axis=-1)
    # At an outline a pixel is one thing or another.
    assert (off > 2).mean() < 0.01
    assert len(np.unique(truth.reshape(-1, 3), axis=0)) > 500


def test_a_lone_opaque_gaussian_lies_where_it_is_rendered(draw: Draw) -> None:
    one = cloud(1).map(torch.clone)
    one.means[:], one.logit_opacities[:] = torch.tensor([0.4, -0.3, 0.2]), 5.0
    drawn = draw(one, CAMERA, (0.0, 0.0, 0.0))[0].any(axis=-1)
    _, alpha, _ = rasterize(**one.render_args(), **CAMERA.tensors())
    rendered = (alpha[0, :, :, 0] > SURFACE).numpy()
    assert 30 < rendered.sum() < 3000
    # Rendering flattens the Gaussian, and widens it by the pixel.
    assert (drawn != rendered).sum() < 0.25 * rendered.sum()


def test_what_is_faint_behind_or_around_the_camera_is_left_out(draw: Draw) -> None:
    three = cloud(3).map(torch.clone)
    three.logit_opacities[:] = torch.tensor([-1.0, 5.0, 5.0])  # an opacity of 0.27
    eye = torch.from_numpy(np.linalg.inv(CAMERA.viewmat)[:3]).float()
    for index, depth in enumerate((2.0, -2.0, 0.0)):
        three.means[index] = eye @ torch.tensor([0, 0, depth, 1])
    three.log_scales[:] = -1.0
    empty, none, _ = draw(three.select(torch.zeros(0, dtype=torch.long)), CAMERA, BACKGROUND)
    image, opaque, _ = draw(three, CAMERA, BACKGROUND)
    assert (none, opaque) == (0, 2)
    assert np.array_equal(image, empty)
    assert np.unique(empty.reshape(-1, 3), axis=0).tolist() == [[26, 51, 76]]


def test_the_size_may_change_from_picture_to_picture_and_nothing_is_left_behind(draw: Draw) -> None:
    gaussians = cloud()
    large, *_ = draw(gaussians, CAMERA, BACKGROUND)
    small, *_ = draw(gaussians, CAMERA.resized(48, 32), BACKGROUND)
    assert small.shape == (32, 48, 3)
    assert np.array_equal(draw(gaussians, CAMERA, BACKGROUND)[0], large)

    sizes = [CAMERA.resized(960, 640), CAMERA.resized(1200, 800)]
    memory = [draw(gaussians, camera, BACKGROUND)[2] for camera in sizes * 13]
    assert memory[-1] - memory[5] < 30e6  # twenty pairs of buffers are 138 MB


def test_specks_are_seen_wherever_they_lie(draw: Draw) -> None:
    one = cloud(1).map(torch.clone)
    one.logit_opacities[:], one.log_scales[:], one.means[:] = 5.0, -12.0, 0
    for shift in np.random.default_rng(0).uniform(-1, 1, (40, 2)):
        viewmat = np.eye(4)
        viewmat[:3, 3] = (*shift, 5)
        image, *_ = draw(one, Camera(viewmat, CAMERA.K, 96, 64), (0.0, 0.0, 0.0))
        assert 1 <= image.any(axis=-1).sum() <= 4


@pytest.mark.parametrize("depth", [0.5, 30.0, 3000.0])
def test_what_is_nearer_hides_what_is_farther(depth: float, draw: Draw) -> None:
    two = cloud(2).map(torch.clone)
    two.logit_opacities[:], two.log_scales[:] = 5.0, float(np.log(0.02 * depth))
    two.means[:], two.means[1, 2] = torch.tensor([0, 0, depth]), 1.003 * depth
    two.sh0[0], two.sh0[1] = 2.0, -2.0  # white before black
    straight = Camera(np.eye(4), CAMERA.K, 96, 64)
    for order in ([0, 1], [1, 0]):
        image, *_ = draw(two.select(torch.tensor(order)), straight, (0.5, 0.5, 0.5))
        assert image[31, 50].min() > 240


def test_without_opengl_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise Exception("cannot create context")

    monkeypatch.setattr(moderngl, "create_standalone_context", refuse)
    with pytest.raises(BackendUnavailableError, match=r"OpenGL 3\.3.*cannot create context.*install"):
        Ellipsoids()(cloud(), CAMERA, BACKGROUND)
