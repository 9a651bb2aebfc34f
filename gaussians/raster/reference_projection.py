"""Float64 oracle, first half: from Gaussians in the world to ellipses and colours in the image.

Plain PyTorch, differentiable by autograd, for tests only. The facts are numbered in `reference.py`.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import normalize

from gaussians.raster.constants import ALPHA_MIN, EXTENT_MAX

# Past this a radius means "everywhere"; the largest float32 that an int32 holds.
_RADIUS_MAX = 2147483520.0


class Projection(NamedTuple):
    """Gaussians as C cameras see them. Zero where culled.

    Attributes:
        radii: [C, N, 2] int32, half-sizes in pixels of the box outside of which nothing is drawn.
        means2d: [C, N, 2] centres in pixels; pixel (column j, row i) has its centre at (j + 0.5, i + 0.5).
        depths: [C, N] distance along the viewing axis, world units.
        conics: [C, N, 3] inverse 2-D covariance in 1/px²: xx, xy, yy.
    """

    radii: Tensor
    means2d: Tensor
    depths: Tensor
    conics: Tensor


def project(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    viewmats: Tensor,
    Ks: Tensor,
    width: int,
    height: int,
    near_plane: float,
    far_plane: float,
    eps2d: float,
) -> Projection:
    """Facts 1 to 7: cull, then project what is left. Arguments as in `rasterize`."""
    cameras = []
    for viewmat, K in zip(viewmats, Ks, strict=True):
        with torch.no_grad():
            seen = _ellipses(means, quats, scales, viewmat, K, width, height, eps2d)
            radii = _radii(seen, quats, opacities, width, height, near_plane, far_plane)
        # Only what is visible enters the graph: a culled Gaussian's NaN or infinity has no way in.
        visible = (radii[:, 0] > 0).nonzero().flatten()
        ellipses = _ellipses(
            means[visible], quats[visible], scales[visible], viewmat, K, width, height, eps2d
        )
        means2d, depths, (xx, xy, yy) = ellipses
        conics = torch.stack([yy, -xy, xx], dim=-1) / (xx * yy - xy * xy)[:, None]
        n = means.shape[0]
        cameras.append((radii, *(scatter(values, visible, n) for values in (means2d, depths, conics))))
    return Projection(*(torch.stack(field) for field in zip(*cameras, strict=True)))


def scatter(values: Tensor, index: Tensor, n: int) -> Tensor:
    """[n, ...] zeros with `values` [M, ...] at `index` [M]."""
    return values.new_zeros((n, *values.shape[1:])).index_put((index,), values)


def _ellipses(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    viewmat: Tensor,
    K: Tensor,
    width: int,
    height: int,
    eps2d: float,
) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor, Tensor]]:
    """Centres [N, 2] px, depths [N] and covariances (xx, xy, yy) [N] px² by EWA projection, blurred.

    Zwicker et al. 2002, eq. 31, with the Jacobian taken at the centre clamped to 1.3 fields of view.
    """
    R, t = viewmat[:3, :3], viewmat[:3, 3]
    x, y, z = (means @ R.T + t).unbind(-1)
    fx, fy, cx, cy = K[0, 0], K[1, 1], K[0, 2], K[1, 2]
    margin_x, margin_y = 0.3 * 0.5 * width / fx, 0.3 * 0.5 * height / fy
    tx = (x / z).clamp(min=-(cx / fx + margin_x), max=(width - cx) / fx + margin_x)
    ty = (y / z).clamp(min=-(cy / fy + margin_y), max=(height - cy) / fy + margin_y)
    zero = torch.zeros_like(z)
    rows = [torch.stack([fx / z, zero, -fx * tx / z], -1), torch.stack([zero, fy / z, -fy * ty / z], -1)]
    J = torch.stack(rows, dim=-2)
    M = J @ R @ (_rotations(quats) * scales[:, None, :])
    cov2d = M @ M.transpose(-1, -2)
    xx, xy, yy = cov2d[:, 0, 0] + eps2d, cov2d[:, 0, 1], cov2d[:, 1, 1] + eps2d
    return torch.stack([fx * x / z + cx, fy * y / z + cy], dim=-1), z, (xx, xy, yy)


def _rotations(quats: Tensor) -> Tensor:
    """[N, 3, 3] rotation matrices of the quaternions wxyz [N, 4], of any length but zero."""
    w, x, y, z = (quats / quats.norm(dim=-1, keepdim=True)).unbind(-1)
    entries = [
        1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
        2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
        2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
    ]  # fmt: skip
    return torch.stack(entries, dim=-1).reshape(-1, 3, 3)


def _radii(
    ellipses: tuple[Tensor, Tensor, tuple[Tensor, Tensor, Tensor]],
    quats: Tensor,
    opacities: Tensor,
    width: int,
    height: int,
    near_plane: float,
    far_plane: float,
) -> Tensor:
    """[N, 2] int32, 0 where culled. Every comparison is false for NaN, so NaN is culled."""
    means2d, depths, (xx, xy, yy) = ellipses
    extent = (2 * torch.log(opacities / ALPHA_MIN)).clamp(min=0).sqrt().clamp(max=EXTENT_MAX)
    radii = torch.ceil(extent[:, None] * torch.stack([xx, yy], dim=-1).sqrt())
    det = xx * yy - xy * xy
    size = means2d.new_tensor([width, height])
    visible = (
        (quats.square().sum(dim=-1) > 0)
        & (depths >= near_plane)
        & (depths <= far_plane)
        & (det > 0)
        & torch.isfinite(det)
        & (opacities >= ALPHA_MIN)
        & (radii > 0).all(dim=-1)
        & torch.isfinite(radii).all(dim=-1)
        & (means2d + radii > 0).all(dim=-1)
        & (means2d - radii < size).all(dim=-1)
    )
    return torch.where(visible[:, None], radii.clamp(max=_RADIUS_MAX), 0).to(torch.int32)


def view_colors(coefficients: Tensor, means: Tensor, viewmat: Tensor, degree: int) -> Tensor:
    """[N, 3] colours of the Gaussians seen from the camera's centre (fact 12).

    Real spherical harmonics (Sloan, JCGT 2(2), 2013) of the unit direction from the camera to `means`
    [N, 3], times `coefficients` [N, K, 3], plus 0.5, not below 0.
    """
    centre = torch.linalg.inv(viewmat)[:3, 3]
    basis = _harmonics(normalize(means - centre, dim=-1), degree)
    return ((basis[:, :, None] * coefficients[:, : basis.shape[1]]).sum(dim=1) + 0.5).clamp_min(0.0)


def _harmonics(directions: Tensor, degree: int) -> Tensor:
    """[N, (degree + 1)²] basis functions at unit directions [N, 3], degree 0 to 3."""
    x, y, z = directions.unbind(-1)
    basis = [torch.full_like(x, 0.2820947917738781)]
    if degree >= 1:
        basis += [-0.48860251190292 * y, 0.48860251190292 * z, -0.48860251190292 * x]
    if degree >= 2:
        basis += [
            1.0925484305920792 * x * y,
            -1.0925484305920792 * y * z,
            0.9461746957575601 * z * z - 0.3153915652525201,
            -1.0925484305920792 * x * z,
            0.5462742152960395 * (x * x - y * y),
        ]
    if degree >= 3:
        t = 0.4570457994644658 - 2.285228997322329 * z * z
        basis += [
            -0.5900435899266435 * y * (3 * x * x - y * y),
            1.445305721320277 * z * 2 * x * y,
            t * y,
            z * (1.865881662950577 * z * z - 1.119528997770346),
            t * x,
            1.445305721320277 * z * (x * x - y * y),
            -0.5900435899266435 * x * (x * x - 3 * y * y),
        ]
    return torch.stack(basis, dim=-1)
