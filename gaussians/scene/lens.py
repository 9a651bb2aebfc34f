"""From a lens as COLMAP models it to pinhole images: which part of the view is kept, and where it lies.

A distorted image becomes a pinhole image with the same focal length in pixels, so that its centre keeps its
sharpness. It shows the largest upright rectangle, seen on the image plane at z = 1, whose sides no side of
the photo cuts into: nothing black to train on, and corners of strongly distorted photos are given up for it.
Full spherical panoramas become the six faces of a cube.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from gaussians.errors import SceneError

if TYPE_CHECKING:
    import pycolmap

# A model is a pinhole exactly if its parameters from this index on are all zero.
_DISTORTION_FROM = {
    "SIMPLE_PINHOLE": 3,
    "PINHOLE": 4,
    "SIMPLE_RADIAL": 3,
    "RADIAL": 3,
    "OPENCV": 4,
    "FULL_OPENCV": 4,
    "SIMPLE_DIVISION": 3,
    "DIVISION": 4,
}
_SINGLE_FOCAL = ("SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL", "SIMPLE_DIVISION")

# tan 60°: a pinhole image wider than 120° is mostly stretched border.
_WIDEST = np.sqrt(3.0)
_BORDER_SAMPLES = 129
_GRID = 65
_ROUND_TRIP = 0.25  # px; a ray that projects this far from the pixel it came from is no inverse
_LEAST_AREA = 0.01  # of a pixel at the image's centre: less photo than this per pixel is close to a fold

# Rotations from camera axes to the axes of a cube's faces, rows x, y, z.
_CUBE = {
    "front": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "right": ((0, 0, -1), (0, 1, 0), (1, 0, 0)),
    "back": ((-1, 0, 0), (0, 1, 0), (0, 0, -1)),
    "left": ((0, 0, 1), (0, 1, 0), (-1, 0, 0)),
    "up": ((1, 0, 0), (0, 0, 1), (0, -1, 0)),
    "down": ((1, 0, 0), (0, 0, -1), (0, 1, 0)),
}


@dataclass(frozen=True, eq=False)
class Face:
    """One pinhole image that is made of a photo.

    Attributes:
        label: "" where the photo gives one image, else the side of the cube.
        rotation: [3, 3] from the photo's camera axes to this image's.
        K: [3, 3] intrinsics, pixels.
        width, height: pixels.
        where: [height, width, 2] float32, the position (x, y) in the photo that each pixel shows, for a side
            of the cube in the photo with one more pixel all round; None: the photo is this image already.
        valid: [height, width] bool, False where the photo shows nothing of the kind; None: everywhere.
    """

    label: str
    rotation: np.ndarray
    K: np.ndarray
    width: int
    height: int
    where: np.ndarray | None = None
    valid: np.ndarray | None = None


@dataclass(frozen=True)
class Lens:
    """A camera's intrinsics: one of COLMAP's models, at the size that they were estimated at.

    Attributes:
        model: COLMAP's name, "OPENCV_FISHEYE".
        width, height: pixels.
        params: in COLMAP's order. The centre of the top-left pixel is (0.5, 0.5).
    """

    model: str
    width: int
    height: int
    params: tuple[float, ...] = field(repr=False)

    @property
    def is_pinhole(self) -> bool:
        """Straight lines are straight in its photos."""
        start = _DISTORTION_FROM.get(self.model)
        return start is not None and not any(self.params[start:])

    @property
    def is_spherical(self) -> bool:
        """It sees in all directions."""
        return self.model == "EQUIRECTANGULAR"

    def check(self, where: str) -> None:
        """Refuse intrinsics that no photo can have. Raises SceneError, beginning with `where`."""
        finite = bool(np.all(np.isfinite(self.params)))
        focals = self.params[: 1 if self.model.startswith(("SIMPLE", "RADIAL")) else 2]
        if self.width < 1 or self.height < 1 or not finite or min(focals) <= 0:
            numbers = ", ".join(f"{value:g}" for value in self.params)
            raise SceneError(
                f"{where}: impossible intrinsics ({self.model} {self.width}x{self.height}: {numbers}); "
                "export the cameras again."
            )

    def faces(self, width: int, height: int) -> tuple[Face, ...]:
        """The pinhole images to be made of a photo of `width` x `height` pixels taken through this lens.

        Raises:
            SceneError: the distortion makes no sense anywhere near the image's centre.
        """
        scale = np.array([width / self.width, height / self.height])
        if self.is_spherical:
            return self._cube(scale)
        if self.is_pinhole:
            return (Face("", np.eye(3), np.diag([*scale, 1.0]) @ self._pinhole_matrix(), width, height),)
        return (self._undistorted(scale),)

    def _pinhole_matrix(self) -> np.ndarray:
        p = self.params
        fx, fy, cx, cy = (p[0], p[0], p[1], p[2]) if self.model in _SINGLE_FOCAL else p[:4]
        return np.array([[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])

    def _undistorted(self, scale: np.ndarray) -> Face:
        camera = self._colmap()
        low, high = _visible_rectangle(camera)
        focal = np.array([camera.focal_length_x, camera.focal_length_y]) * scale
        columns, rows = np.maximum(1, np.floor((high - low) * focal + 1e-6)).astype(int)
        cx, cy = -low * focal
        K = np.array([[focal[0], 0.0, cx], [0.0, focal[1], cy], [0.0, 0.0, 1.0]])
        x = (np.arange(columns) + 0.5 - cx) / focal[0]
        y = (np.arange(rows) + 0.5 - cy) / focal[1]
        where, valid = _project_grid(camera, x, y)
        return Face(
            "",
            np.eye(3),
            K,
            int(columns),
            int(rows),
            (np.nan_to_num(where) * scale).astype(np.float32),
            None if valid.all() else valid,
        )

    def _cube(self, scale: np.ndarray) -> tuple[Face, ...]:
        """Six faces, as sharp at their centres as the panorama at its horizon."""
        camera = self._colmap()
        side = max(2, round(self.width * scale[0] / np.pi))
        K = np.array([[side / 2, 0.0, side / 2], [0.0, side / 2, side / 2], [0.0, 0.0, 1.0]])
        at = (np.arange(side) + 0.5) / (side / 2) - 1
        x, y = np.meshgrid(at, at)
        rays = np.stack([x, y, np.ones_like(x)], axis=-1).reshape(-1, 3)
        faces = []
        for label, rows in _CUBE.items():
            rotation = np.array(rows, np.float64)
            where = _project(camera, rays @ rotation).reshape(side, side, 2) * scale + 1
            faces.append(Face(label, rotation, K, side, side, where.astype(np.float32)))
        return tuple(faces)

    def _colmap(self) -> "pycolmap.Camera":
        import pycolmap

        return pycolmap.Camera(
            model=self.model, width=self.width, height=self.height, params=list(self.params)
        )


def _visible_rectangle(camera: "pycolmap.Camera") -> tuple[np.ndarray, np.ndarray]:
    """Corners (low, high), each [2], of the rectangle at z = 1 that lies wholly inside the photo."""
    along = np.linspace(0.0, 1.0, _BORDER_SAMPLES)
    zero, one = np.zeros_like(along), np.ones_like(along)
    size = np.array([camera.width, camera.height], np.float64)

    def border(x: np.ndarray, y: np.ndarray, axis: int, sign: float) -> float:
        """How far a side of the photo reaches inwards. Where it is beyond all rays, to the widest allowed."""
        pixels = np.stack([x, y], axis=-1) * size
        seen = camera.cam_from_img(pixels)
        assert seen is not None  # None is the answer for a single pixel, that of many has NaN
        back = _project(camera, np.concatenate([seen, np.ones((len(seen), 1))], axis=1))
        exact = np.linalg.norm(back - pixels, axis=1) < _ROUND_TRIP  # False for NaN
        reach = np.where(exact, sign * seen[:, axis], _WIDEST)
        return sign * float(np.clip(reach, -_WIDEST, _WIDEST).min())

    low = np.array([border(zero, along, 0, -1.0), border(along, zero, 1, -1.0)])
    high = np.array([border(one, along, 0, 1.0), border(along, one, 1, 1.0)])
    middle, half = (low + high) / 2, (high - low) / 2

    def shows_photo_only(fraction: float) -> bool:
        x, y = (np.linspace(-fraction, fraction, _GRID) * half[axis] + middle[axis] for axis in (0, 1))
        return bool(_project_grid(camera, x, y)[1].all())

    # Polynomials fold back far from the centre, where the border's rays mislead: shrink until none does.
    inside, outside = (1.0, 1.0) if shows_photo_only(1.0) else (0.0, 1.0)
    while outside - inside > 1e-3:
        fraction = (inside + outside) / 2
        inside, outside = (fraction, outside) if shows_photo_only(fraction) else (inside, fraction)
    if inside < 0.05 or not np.all(half > 0):
        raise SceneError(
            f"camera {camera.model.name} {camera.width}x{camera.height}: its distortion parameters leave no "
            "image that can be undistorted; calibrate it again."
        )
    if inside < 1:
        inside *= 0.99  # the fold lies between two rays of the coarse grid
    return middle - inside * half, middle + inside * half


def _project_grid(camera: "pycolmap.Camera", x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the rays (x, y, 1) of a grid meet the photo: positions [Y, X, 2] and whether they do, [Y, X].

    A ray does not where the model sends it out of the photo, or folds: where its Jacobian's determinant, by
    differences along the grid, is negative or next to nothing.
    """
    grid = np.stack(np.meshgrid(x, y), axis=-1)
    rays = np.concatenate([grid.reshape(-1, 2), np.ones((grid.size // 2, 1))], axis=1)
    where = _project(camera, rays).reshape(grid.shape)
    slack = 1e-3  # px: the rectangle's own sides lie on the photo's border, up to rounding
    size = np.array([camera.width, camera.height])
    valid = np.all((where > -slack) & (where < size + slack), axis=-1)
    if len(x) > 1 and len(y) > 1:
        down, right = np.gradient(where, y * camera.focal_length_y, x * camera.focal_length_x, axis=(0, 1))
        valid &= right[..., 0] * down[..., 1] - right[..., 1] * down[..., 0] > _LEAST_AREA
    return where, valid


def _project(camera: "pycolmap.Camera", rays: np.ndarray) -> np.ndarray:
    """Pixels [N, 2] of rays [N, 3] in camera axes, NaN where the lens does not see them."""
    pixels = camera.img_from_cam(rays)
    assert pixels is not None  # None is the answer for a single ray
    return pixels
