"""PlayCanvas' compressed PLY: 16 bytes per Gaussian, quantised between the bounds of its chunk of 256.

The element "chunk" holds the bounds, "vertex" four packed 32-bit words, and "sh", when there, the higher
spherical harmonics as bytes. Recognised by its header, since the name may be anything.
"""

import numpy as np
import torch

from gaussians.errors import SplatError
from gaussians.io.ply_table import PlyHeader, columns, read_rows
from gaussians.io.validity import checked
from gaussians.model import SH_C0, Gaussians

_CHUNK = 256
_PACKED = ["packed_position", "packed_rotation", "packed_scale", "packed_color"]
_SH_RANGE = 8.0  # bytes of the "sh" element span -4 to 4


def recognises(header: PlyHeader) -> bool:
    """Whether a PLY file's header declares this format."""
    vertex = header.element("vertex")
    return header.element("chunk") is not None and vertex is not None and set(_PACKED) <= set(vertex.names)


def read(header: PlyHeader) -> Gaussians:
    """Decode the splats. Raises SplatError when rows or bounds are missing."""
    path = header.path
    chunks, packed = read_rows(header, "chunk"), read_rows(header, "vertex")
    if len(chunks) * _CHUNK < len(packed):
        raise SplatError(f"{path}: {len(chunks)} chunks of {_CHUNK} cannot hold {len(packed)} Gaussians.")
    bounds = _Bounds(header, chunks, len(packed))
    means = bounds.between("{}_x {}_y {}_z", _unpack_11_10_11(packed["packed_position"]))
    log_scales = bounds.between("{}_scale_x {}_scale_y {}_scale_z", _unpack_11_10_11(packed["packed_scale"]))
    rgba = _unpack_8888(packed["packed_color"])
    rgb = rgba[:, :3]
    if "min_r" in (chunks.dtype.names or ()):  # files of older writers have colours between 0 and 1
        rgb = bounds.between("{}_r {}_g {}_b", rgb)
    with np.errstate(divide="ignore"):
        logits = np.log(rgba[:, 3]) - np.log1p(-rgba[:, 3])

    def tensor(values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values, np.float32))

    gaussians = Gaussians(
        means=tensor(means),
        quats=tensor(_unpack_rotation(packed["packed_rotation"])),
        log_scales=tensor(log_scales),
        logit_opacities=tensor(logits),
        sh0=tensor((rgb - 0.5) / SH_C0)[:, None, :],
        shN=tensor(_higher(header, len(packed))),
    )
    return checked(path, gaussians)


class _Bounds:
    """The lower and upper bounds of each Gaussian's chunk."""

    def __init__(self, header: PlyHeader, chunks: np.ndarray, n: int) -> None:
        self._header, self._chunks, self._n = header, chunks, n

    def between(self, names: str, share: np.ndarray) -> np.ndarray:
        """[N, 3] values at `share` [N, 3] in [0, 1] of the way from the "min" to the "max" columns."""
        low, high = (self._columns(names.format(end, end, end).split()) for end in ("min", "max"))
        return low * (1 - share) + high * share

    def _columns(self, names: list[str]) -> np.ndarray:
        missing = [name for name in names if name not in (self._chunks.dtype.names or ())]
        if missing:
            raise SplatError(f"{self._header.path}: its chunks lack {', '.join(missing)}; export it again.")
        values = columns(self._chunks, names).astype(np.float64)
        return np.repeat(values, _CHUNK, axis=0)[: self._n]


def _share(words: np.ndarray, shift: int, bits: int) -> np.ndarray:
    """[N] float64 in [0, 1]: the unsigned field of `bits` bits that starts at bit `shift`."""
    top = (1 << bits) - 1
    return (words.astype(np.uint32) >> np.uint32(shift) & np.uint32(top)) / top


def _unpack_11_10_11(words: np.ndarray) -> np.ndarray:
    return np.stack([_share(words, 21, 11), _share(words, 11, 10), _share(words, 0, 11)], axis=1)


def _unpack_8888(words: np.ndarray) -> np.ndarray:
    return np.stack([_share(words, shift, 8) for shift in (24, 16, 8, 0)], axis=1)


def _unpack_rotation(words: np.ndarray) -> np.ndarray:
    """[N, 4] unit quaternions wxyz from "smallest three": 2 bits name the largest, left-out component."""
    small = np.stack([_share(words, shift, 10) for shift in (20, 10, 0)], axis=1)
    small = (small - 0.5) * np.sqrt(2.0)  # the others of a unit quaternion lie within ±√½
    largest = np.sqrt(np.maximum(0.0, 1.0 - np.sum(small**2, axis=1)))
    which = (words.astype(np.uint32) >> np.uint32(30)).astype(np.int64)
    quats = np.empty((len(words), 4))
    quats[np.arange(len(words)), which] = largest
    others = np.arange(4)[None, :] != which[:, None]
    quats[others] = small.ravel()
    return quats


def _higher(header: PlyHeader, n: int) -> np.ndarray:
    """[N, K-1, 3] coefficients of degree 1 and up, of the channel-major bytes of element "sh"."""
    element = header.element("sh")
    if element is None:
        return np.zeros((n, 0, 3))
    count = len(element.names)
    names = [f"f_rest_{index}" for index in range(count)]
    if element.count != n or count not in (9, 24, 45) or set(names) != set(element.names):
        raise SplatError(f"{header.path}: its element 'sh' fits no degree of spherical harmonics.")
    stored = columns(read_rows(header, "sh"), names)
    # Bytes are the centres of 256 bins, but for the two ends, which are the ends of the range.
    share = np.where(stored == 0, 0.0, np.where(stored == 255, 1.0, (stored + 0.5) / 256))
    return ((share - 0.5) * _SH_RANGE).reshape(n, 3, count // 3).transpose(0, 2, 1)
