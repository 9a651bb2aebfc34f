"""A photo as a camera at the photo's own pose sees it, whatever that camera's size and framing."""

import numpy as np
from PIL import Image

from gaussians.camera import Camera
from gaussians.scene import View
from gaussians.scene.pixels import resampled
from gaussians.train.metrics import psnr

_SAME = 1e-6


class PlacedPhoto:
    """The part of a photo that a camera at its pose sees, at the camera's resolution.

    Attributes:
        image: [H, W, 3] uint8, the camera's image: the photo, the background around it.
        region: rows and columns of `image` that the photo fills.
    """

    def __init__(self, view: View, camera: Camera, background: tuple[float, float, float]) -> None:
        photo, size = view.image, (camera.height, camera.width)
        exact = np.allclose(view.camera.resized(camera.width, camera.height).K, camera.K, atol=1e-4)
        self._mask: np.ndarray | None = None
        if exact:
            self.region = (slice(0, size[0]), slice(0, size[1]))
            self.image = _fitted(photo, camera.width, camera.height)
            if view.mask is not None:
                self._mask = _fitted(_as_bytes(view.mask), camera.width, camera.height)[..., 0] > 127
            return
        rows, top, bottom = _overlap(view.camera, camera, axis=1)
        columns, left, right = _overlap(view.camera, camera, axis=0)
        self.region = (rows, columns)
        self.image = np.empty((*size, 3), np.uint8)
        self.image[:] = (np.array(background) * 255).round().astype(np.uint8)
        shape = (columns.stop - columns.start, rows.stop - rows.start)
        if min(shape) > 0:
            box = (left, top, right, bottom)
            # Antialiased: a mean over each pixel's area, weighted towards its centre.
            part = Image.fromarray(photo).resize(shape, Image.Resampling.BILINEAR, box=box)
            self.image[rows, columns] = np.asarray(part)
            if view.mask is not None:
                mask = Image.fromarray(_as_bytes(view.mask)[..., 0])
                self._mask = np.asarray(mask.resize(shape, Image.Resampling.BILINEAR, box=box)) > 127

    def psnr(self, rendered: np.ndarray) -> float | None:
        """dB of a render [H, W, 3] in [0, 1] by the camera, where the photo is; None: nowhere."""
        target = self.image[self.region]
        if target.size == 0 or (self._mask is not None and not self._mask.any()):
            return None
        return psnr(rendered[self.region], target, self._mask)


def sees_photo(view: View, camera: Camera) -> bool:
    """Whether the camera is at the photo's pose."""
    return bool(np.allclose(view.camera.viewmat, camera.viewmat, atol=_SAME))


def _fitted(pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    """Resampled by area, or interpolated where there are fewer photo pixels than wanted."""
    if width <= pixels.shape[1] and height <= pixels.shape[0]:
        return resampled(pixels, width, height)
    image = Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[..., 0])
    enlarged = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
    return enlarged if enlarged.ndim == 3 else enlarged[..., None]


def _overlap(photo: Camera, camera: Camera, axis: int) -> tuple[slice, float, float]:
    """Along x (0) or y (1): whole pixels of the camera that the photo covers, and that range in the photo."""
    size, wanted = ((photo.width, camera.width), (photo.height, camera.height))[axis]
    scale = photo.K[axis, axis] / camera.K[axis, axis]
    offset = photo.K[axis, 2] - scale * camera.K[axis, 2]
    first = max(0, int(np.ceil(-offset / scale - _SAME)))
    last = max(first, min(wanted, int(np.floor((size - offset) / scale + _SAME))))
    low, high = scale * first + offset, scale * last + offset
    return slice(first, last), max(0.0, low), min(float(size), high)


def _as_bytes(mask: np.ndarray) -> np.ndarray:
    """[H, W, 1] uint8 of a mask, 255 where it counts."""
    return np.where(mask, np.uint8(255), np.uint8(0))[..., None]
