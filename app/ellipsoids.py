"""Gaussians as solid ellipsoids, by OpenGL, offscreen: what a model is made of, and where it spends it."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from gaussians.camera import Camera
from gaussians.errors import BackendUnavailableError
from gaussians.model import SH_C0, Gaussians

SHADERS = Path(__file__).parent.parent / "shaders"
SURFACE = 0.3  # alpha on an ellipsoid's surface: what is nowhere that opaque is not drawn
LEAST = 0.71  # px that no half-axis is drawn below: so large a circle holds the centre of a pixel anywhere
_NEAR, _FAR = 0.01, 1e6  # world units; depth is logarithmic
_ROW = "3f 4f 3f 3f/i"  # an ellipsoid's centre, quaternion, half-axes, colour


class Ellipsoids:
    """Draws models as ellipsoids. The first thread that draws is the only one that may."""

    def __init__(self) -> None:
        self._gl: _Graphics | None = None

    def __call__(
        self, gaussians: Gaussians, camera: Camera, background: tuple[float, float, float]
    ) -> tuple[np.ndarray, int]:
        """Draw a model.

        Args:
            gaussians: N of them, on the CPU; their colours are those from all sides.
            camera: from where, and how large.
            background: RGB in [0, 1].

        Returns:
            [H, W, 3] uint8, and how many Gaussians are opaque enough to be drawn. (Those that reach behind
            the camera are not, nor are those beyond the image.)

        Raises:
            BackendUnavailableError: there is no OpenGL 3.3 here.
        """
        if self._gl is None:
            self._gl = _Graphics()
        rows = _rows(gaussians)
        return self._gl.draw(rows, camera, background), len(rows)


class _Graphics:
    """A context of its own, its program, and what the last picture was drawn into."""

    def __init__(self) -> None:
        try:
            import moderngl

            self._context: Any = moderngl.create_standalone_context(require=330)
            vertex, fragment = (
                (SHADERS / f"ellipsoids.{kind}").read_text("utf-8") for kind in ("vert", "frag")
            )
            self._program: Any = self._context.program(vertex_shader=vertex, fragment_shader=fragment)
        except Exception as error:  # the library has no errors of its own
            raise BackendUnavailableError(
                f"ellipsoids need OpenGL 3.3, which can't be had here ({error}); install the graphics card's"
                " driver, or Mesa"
            ) from error
        self._context.enable(moderngl.DEPTH_TEST)
        self._strip = moderngl.TRIANGLE_STRIP
        self._target: list[Any] = []  # the framebuffer, then what it is made of

    def draw(self, rows: np.ndarray, camera: Camera, background: tuple[float, float, float]) -> np.ndarray:
        """[H, W, 3] uint8; rows: [N, 13] float32, as `_ROW` says."""
        target = self._sized(camera.width, camera.height)
        target.use()
        target.clear(*background, 1.0)
        if len(rows):
            self._place(camera)
            buffer = self._context.buffer(rows)
            names = ("mean", "quat", "half_axes", "color")
            array = self._context.vertex_array(self._program, [(buffer, _ROW, *names)])
            array.render(self._strip, vertices=4, instances=len(rows))
            array.release()
            buffer.release()
        pixels = target.read(components=3, alignment=1)
        return np.frombuffer(pixels, np.uint8).reshape(camera.height, camera.width, 3)

    def _sized(self, width: int, height: int) -> Any:
        """The framebuffer, made anew for another size: its parts are not released with it."""
        size = (width, height)
        if not self._target or self._target[0].size != size:
            for part in self._target:
                part.release()
            color, depth = self._context.renderbuffer(size), self._context.depth_renderbuffer(size)
            self._target = [self._context.framebuffer([color], depth), color, depth]
        return self._target[0]

    def _place(self, camera: Camera) -> None:
        """Tell the program of the camera. The image's first row is OpenGL's lowest."""
        K = camera.K
        settings: dict[str, Any] = {
            "pinhole": (K[0, 0], K[1, 1], K[0, 2], K[1, 2]),
            "size": (camera.width, camera.height),
            "range": (_NEAR, _FAR),
            "least": LEAST,
        }
        for name, value in settings.items():
            self._program[name].value = value
        self._program["world_to_camera"].write(np.ascontiguousarray(camera.viewmat.T, np.float32))


def _rows(gaussians: Gaussians) -> np.ndarray:
    """[M, 13] float32, see `_ROW`, of those that are opaque enough."""
    opacities = gaussians.opacities.detach()
    opaque = opacities > SURFACE
    solid = gaussians.map(lambda tensor: tensor.detach()[opaque])
    # Alpha is opacity times exp(-r²/2), r standard deviations from the centre.
    radii = (2 * (opacities[opaque] / SURFACE).log()).sqrt()[:, None]
    colors = (0.5 + SH_C0 * solid.sh0[:, 0]).clamp(0, 1)
    parts = (solid.means, solid.quats, radii * solid.scales, colors)
    return np.ascontiguousarray(torch.cat(parts, dim=1).numpy())
