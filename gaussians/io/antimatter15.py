"""antimatter15's `.splat`: 32 bytes per Gaussian and nothing else. Colours are constant, 8 bits each."""

from pathlib import Path

import numpy as np
import torch

from gaussians.errors import SplatError
from gaussians.io.validity import checked
from gaussians.model import SH_C0, Gaussians

_ROW = np.dtype([("mean", "<f4", 3), ("scale", "<f4", 3), ("rgba", "u1", 4), ("quat", "u1", 4)])
# A flat Gaussian may store a scale of exactly 0, whose logarithm is not finite; 1e-10 renders alike.
_MIN_SCALE = 1e-10


def read(path: Path) -> Gaussians:
    """Read a `.splat` file.

    Raises:
        SplatError: its size is no multiple of 32 bytes, or numbers are not finite or scales negative.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SplatError(f"{path}: cannot be opened ({error.strerror}); check the path.") from error
    surplus = len(content) % _ROW.itemsize
    if surplus or not content:
        raise SplatError(
            f"{path}: {len(content)} bytes are not whole rows of {_ROW.itemsize}; "
            "the file is truncated or not a .splat."
        )
    rows = np.frombuffer(content, _ROW)
    if (rows["scale"] < 0).any():
        raise SplatError(f"{path}: has negative scales; it is damaged or not a .splat.")
    rgba = rows["rgba"] / 255.0
    with np.errstate(divide="ignore"):
        logits = np.log(rgba[:, 3]) - np.log1p(-rgba[:, 3])
    # Writers store 128 + 128 q, as the viewer reads it. (Read as 2 u / 255 - 1, as some do, all rotations
    # are off by 0.8° and real files' quaternions come out 0.7 % too long on average, not 0.04 % too short.)
    # Four 128s have no direction.
    quats = (rows["quat"].astype(np.float64) - 128.0) / 128.0
    quats[(quats == 0).all(axis=1)] = (1.0, 0.0, 0.0, 0.0)

    def tensor(values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(values.astype(np.float32))

    gaussians = Gaussians(
        means=tensor(rows["mean"]),
        quats=tensor(quats),
        log_scales=tensor(np.log(np.maximum(rows["scale"], _MIN_SCALE))),
        logit_opacities=tensor(logits),
        sh0=tensor((rgba[:, :3] - 0.5) / SH_C0)[:, None, :],
        shN=torch.zeros(len(rows), 0, 3),
    )
    return checked(path, gaussians)
