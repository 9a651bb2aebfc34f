"""A pinhole camera: where it is, what it sees, how many pixels."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

_NEIGHBOURS = 4  # at most: about as many as there are ways on from a camera in a row or on a sphere
_APART = 60.0  # degrees: cameras that look farther apart are no neighbours


@dataclass(frozen=True, eq=False)
class Camera:
    """A pinhole camera in OpenCV axes (x right, y down, z forward).

    Attributes:
        viewmat: [4, 4] float64, world to camera, rigid.
        K: [3, 3] float64, intrinsics in pixels; the centre of the top-left pixel is (0.5, 0.5).
        width, height: image size in pixels.
    """

    viewmat: np.ndarray
    K: np.ndarray
    width: int
    height: int

    @property
    def centre(self) -> np.ndarray:
        """[3] the camera's position in world coordinates."""
        return -self.viewmat[:3, :3].T @ self.viewmat[:3, 3]

    @property
    def forward(self) -> np.ndarray:
        """[3] unit viewing direction in world coordinates."""
        return self.viewmat[2, :3]

    @property
    def up(self) -> np.ndarray:
        """[3] unit direction of the image's upward edge in world coordinates."""
        return -self.viewmat[1, :3]

    @property
    def key(self) -> Hashable:
        """Equal for equal cameras, which NumPy's arrays don't tell by themselves."""
        return self.viewmat.tobytes(), self.K.tobytes(), self.width, self.height

    def resized(self, width: int, height: int) -> "Camera":
        """The same camera with another pixel grid over the same image plane (exact, per axis)."""
        scale = np.diag([width / self.width, height / self.height, 1.0])
        return Camera(self.viewmat, scale @ self.K, width, height)

    def binned(self, factor: int) -> "Camera":
        """A camera whose pixels are factor² of this one's; those left over at the far edges are cut off."""
        K = self.K.copy()
        K[:2] /= factor
        return Camera(self.viewmat, K, self.width // factor, self.height // factor)

    def tensors(self, device: torch.device | str = "cpu") -> dict[str, Any]:
        """The camera as `rasterize` takes it: viewmats [1, 4, 4], Ks [1, 3, 3] float32, width, height."""

        def batch(matrix: np.ndarray) -> Tensor:
            return torch.as_tensor(matrix, dtype=torch.float32, device=device)[None]

        return {
            "viewmats": batch(self.viewmat),
            "Ks": batch(self.K),
            "width": self.width,
            "height": self.height,
        }


def neighbours(centres: np.ndarray, forwards: np.ndarray, index: int) -> np.ndarray:
    """Indices of the nearest cameras that look roughly the same way; of `index` alone, if there are none.

    Args:
        centres, forwards: [C, 3] of all cameras, as `Camera` has them.
        index: of the camera whose neighbours are wanted.
    """
    alike = forwards @ forwards[index] > np.cos(np.radians(_APART))
    alike[index] = False
    if not alike.any():
        return np.array([index])
    distances = np.where(alike, np.linalg.norm(centres - centres[index], axis=1), np.inf)
    return np.argsort(distances, kind="stable")[: min(_NEIGHBOURS, int(alike.sum()))]
