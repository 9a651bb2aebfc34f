"""The field's PLY layout (Kerbl et al. 2023): one float32 row per Gaussian, stored before activation.

Columns: x y z, nx ny nz (zeros), f_dc_0..2, f_rest_0.. (channel-major: all of red's higher coefficients,
then green's, then blue's), opacity (logit), scale_0..2 (logarithm), rot_0..3 (wxyz). Mip-Splatting (Yu et al.
2024) has filter_3D besides, which is read too.
"""

from pathlib import Path

import numpy as np
import torch

from gaussians import storage
from gaussians.errors import SplatError
from gaussians.io.ply_table import PlyHeader, columns, read_rows
from gaussians.io.validity import checked
from gaussians.model import Gaussians

_MEANS = ["x", "y", "z"]
_NORMALS = ["nx", "ny", "nz"]
_SH0 = ["f_dc_0", "f_dc_1", "f_dc_2"]
_OPACITY = ["opacity"]
_SCALES = ["scale_0", "scale_1", "scale_2"]
_QUATS = ["rot_0", "rot_1", "rot_2", "rot_3"]
_FILTER = ["filter_3D"]
_REST_COUNTS = (0, 9, 24, 45)  # 3 ((degree + 1)² - 1)


def read(header: PlyHeader) -> Gaussians:
    """Read the splats of a PLY file in the field's layout, whatever its byte order and property order.

    Normals and properties of other programs are skipped; numbers of any type become float32. Mip-Splatting's
    3D filter becomes part of scales and opacities, as in that program's own fused files.

    Raises:
        SplatError: properties are missing (a mesh, a point cloud, 2-D Gaussians), or rows, or numbers are not
            finite.
    """
    path, vertex = header.path, header.element("vertex")
    if vertex is None:
        raise SplatError(f"{path}: not a splat: the PLY file has no vertices.")
    missing = [name for name in _MEANS + _SH0 + _OPACITY + _SCALES + _QUATS if name not in vertex.names]
    if missing == _SCALES[2:]:
        raise SplatError(
            f"{path}: flat 2-D Gaussians (2DGS: its vertices lack scale_2), not 3-D ones; train those."
        )
    if missing:
        kind = "mesh" if header.element("face") else "point cloud"
        raise SplatError(f"{path}: not a splat but perhaps a {kind}: its vertices lack {', '.join(missing)}.")
    rest = _rest_names(path, vertex.names)
    rows = read_rows(header, "vertex")

    def tensor(names: list[str]) -> torch.Tensor:
        return torch.from_numpy(columns(rows, names))

    higher = tensor(rest).reshape(len(rows), 3, len(rest) // 3)
    gaussians = Gaussians(
        means=tensor(_MEANS),
        quats=tensor(_QUATS),
        log_scales=tensor(_SCALES),
        logit_opacities=tensor(_OPACITY)[:, 0].contiguous(),
        sh0=tensor(_SH0)[:, None, :],
        shN=higher.transpose(1, 2).contiguous(),
    )
    if set(_FILTER) <= set(vertex.names):
        gaussians = _filtered(gaussians, tensor(_FILTER))
    return checked(path, gaussians)


def write(path: Path, gaussians: Gaussians) -> None:
    """Write the field's layout, binary little endian, atomically.

    Raises:
        SplatError: a parameter is NaN or infinite; such a file could not be read back.
        StorageError: the file could not be written; what was there before is still there.
    """
    cpu = checked(path, gaussians.map(lambda tensor: tensor.detach().to("cpu", torch.float32)))
    n, rest = len(cpu), 3 * cpu.shN.shape[1]
    table = np.zeros((n, len(_property_names(rest))), "<f4")
    first = 0
    for block in (
        cpu.means,
        torch.zeros(n, len(_NORMALS)),
        cpu.sh0[:, 0],
        cpu.shN.transpose(1, 2).reshape(n, rest),
        cpu.logit_opacities[:, None],
        cpu.log_scales,
        cpu.quats,
    ):
        table[:, first : first + block.shape[1]] = block.numpy()
        first += block.shape[1]
    with storage.replacing(path) as temporary, temporary.open("wb") as file:
        file.write(_header(n, rest))
        file.write(table.data)


def file_bytes(n: int, sh_degree: int) -> int:
    """Exact size in bytes of the file that `write` makes of `n` Gaussians of that degree."""
    rest = _REST_COUNTS[sh_degree]
    return len(_header(n, rest)) + 4 * n * len(_property_names(rest))


def _filtered(gaussians: Gaussians, sizes: torch.Tensor) -> Gaussians:
    """Gaussians convolved with isotropic ones, and as much fainter (Yu et al. 2024, the 3D smoothing filter).

    Args:
        gaussians: as trained, without the filter.
        sizes: [N, 1] standard deviations of the filter, in the units of the means.
    """
    log_scales, logits = gaussians.log_scales.double(), gaussians.logit_opacities.double()
    wider = torch.logaddexp(2 * log_scales, 2 * sizes.double().abs().log()) / 2
    log_opacities = torch.nn.functional.logsigmoid(logits) + (log_scales - wider).sum(dim=1)
    changed = {
        "log_scales": wider.float(),
        "logit_opacities": (log_opacities - torch.log(-torch.expm1(log_opacities))).float(),
    }
    return Gaussians(**{**gaussians.tensors(), **changed})


def _property_names(rest: int) -> list[str]:
    higher = [f"f_rest_{index}" for index in range(rest)]
    return _MEANS + _NORMALS + _SH0 + higher + _OPACITY + _SCALES + _QUATS


def _header(n: int, rest: int) -> bytes:
    properties = "".join(f"property float {name}\n" for name in _property_names(rest))
    return f"ply\nformat binary_little_endian 1.0\nelement vertex {n}\n{properties}end_header\n".encode()


def _rest_names(path: Path, names: tuple[str, ...]) -> list[str]:
    """f_rest_0, f_rest_1, ... as many as the file has. Raises SplatError for a count of no SH degree."""
    count = sum(name.startswith("f_rest_") for name in names)
    rest = [f"f_rest_{index}" for index in range(count)]
    if count not in _REST_COUNTS or not set(rest) <= set(names):
        raise SplatError(
            f"{path}: has {count} f_rest_* properties; spherical harmonics of degree 0 to 3 have "
            f"{', '.join(map(str, _REST_COUNTS))}, numbered from 0."
        )
    return rest
