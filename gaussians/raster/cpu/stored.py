"""One camera's render straight from what is stored and trained, as a single node of autograd.

The kernels and their numbers are those of `rasterize` on activated parameters. But a step of a compact model
takes a tenth of its time in PyTorch's nodes, activations and buffers of zeros, on one core while the others
wait: so here there is one node, whose gradients are written once.
"""

import functools
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from gaussians.kernels import workers
from gaussians.raster.checks import FiniteCheck
from gaussians.raster.cpu.blend import backward_kernel, forward_kernel
from gaussians.raster.cpu.by_gaussian import LOG2E, gather, to_stored
from gaussians.raster.cpu.functions import Array, Bins, Lens, array, empty_light, empty_moments, packed_rows
from gaussians.raster.cpu.harmonics import harmonics_backward, harmonics_forward
from gaussians.raster.cpu.lanes import LANES
from gaussians.raster.cpu.project import project_backward, project_forward

FEWEST = LANES  # Gaussians that the projection computes at a time
LIMITS = (0.01, 1e10, 0.3)  # near_plane, far_plane and eps2d, as `rasterize` has them


class Shot(NamedTuple):
    """What a render is told beside parameters, and what it tells beside its image.

    Attributes:
        frame [25], centre [3]: of the camera, see `frame_of`.
        background: [3] float32.
        size: width and height in pixels.
        degree: bands of spherical harmonics in use.
        absgrad: also sum absolute 2-D gradients.
        trusted: values are not looked at.
        differentiable: there may be a backward pass.
        means2d: [1, N, 2], written; it gets its gradient as `grad`, and `absgrad` where asked for.
        conics [1, N, 3], depths [1, N], radii [1, N, 2] int32, opacities [1, N]: written.
    """

    frame: Array
    centre: Array
    background: Array
    size: tuple[int, int]
    degree: int
    absgrad: bool
    trusted: bool
    differentiable: bool
    means2d: Tensor
    conics: Tensor
    depths: Tensor
    radii: Tensor
    opacities: Tensor


class Stored(torch.autograd.Function):
    """(means, quats, log_scales, logit_opacities, sh0, shN) to (image [1, H, W, 3], alpha [1, H, W, 1])."""

    @staticmethod
    def forward(
        ctx: Any,
        means: Tensor,
        quats: Tensor,
        log_scales: Tensor,
        logit_opacities: Tensor,
        sh0: Tensor,
        shN: Tensor,
        shot: Shot,
    ) -> tuple[Tensor, Tensor]:
        """Render at least `FEWEST` contiguous Gaussians."""
        width, height = shot.size
        scales, opacities = torch.exp(log_scales), shot.opacities[0]
        torch.sigmoid(logit_opacities, out=opacities)
        if not shot.trusted:
            _check(means, quats, scales, opacities, sh0, shN if shot.degree > 0 else None)
        parameters = (means, quats, scales, opacities, sh0, shN)
        place, rotation, size, opacity, first, others = map(array, parameters)
        if shot.degree == 0:
            others = others[:, :0]
        means2d, radii = array(shot.means2d[0]), array(shot.radii[0])
        conics, depths = array(shot.conics[0]), array(shot.depths[0])
        project_forward(shot.frame, place, rotation, size, opacity, means2d, conics, depths, radii)
        colors = torch.empty(len(place), 3).numpy()
        harmonics_forward(place, first, others, shot.centre, radii, shot.degree, colors)
        bins = Bins.of(means2d, conics, opacity, depths, radii, width, height)
        rows = packed_rows(bins, means2d, conics, opacity, colors)
        light, last = empty_light(bins, shot.differentiable), np.empty((height, width), np.int32)
        image, alpha = torch.empty(1, height, width, 3), torch.empty(1, height, width, 1)
        forward_kernel(3)(
            rows, *bins.tiling(), shot.background, array(image[0]), array(alpha[0, :, :, 0]), last, *light
        )
        ctx.shot, ctx.bins, ctx.blended = shot, bins, (rows, light, last)
        ctx.activated = size, opacity, colors
        ctx.save_for_backward(means, quats, sh0, shN)
        ctx.set_materialize_grads(False)
        return image, alpha

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, v_image: Tensor | None, v_alpha: Tensor | None) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride] - torch passes what forward returned
        """Gradients of the six parameters; none of shN while no band beyond the constant is in use."""
        shot: Shot = ctx.shot
        place, rotation, first, others = map(array, ctx.saved_tensors)
        if shot.degree == 0:
            others = others[:, :0]
        size, opacity, colors = ctx.activated
        bins, (rows, light, last) = ctx.bins, ctx.blended
        width, height = shot.size
        n, moments = len(place), empty_moments(bins)
        backward_kernel(3, "absgrad" if shot.absgrad else "")(
            rows, *bins.tiling(), shot.background, last, *light,
            _zeros(height, width, 3) if v_image is None else array(v_image[0]),
            _zeros(height, width) if v_alpha is None else array(v_alpha[0, :, :, 0]),
            moments,
        )  # fmt: skip
        v_means2d, extra = torch.empty(1, n, 2), torch.empty(1, n if shot.absgrad else 0, 2)
        pull, conics, radii = array(v_means2d[0]), array(shot.conics[0]), array(shot.radii[0])
        v_conics, v_colors, by_colors = torch.empty(3, n, 3).numpy()
        parameters = (place, rotation, size, opacity, first, others)
        gradients = [torch.empty(parameter.shape) for parameter in parameters]
        v_place, v_rotation, v_size, v_opacity, v_first, v_others = map(array, gradients)
        gather(
            bins.visible, bins.spans, moments, workers(), conics, opacity, pull,
            array(extra[0]), v_conics, v_opacity, v_colors,
        )  # fmt: skip
        harmonics_backward(
            place, first, others, shot.centre, radii, shot.degree, colors, v_colors, v_first, v_others,
            by_colors,
        )  # fmt: skip
        project_backward(
            shot.frame, place, rotation, size, conics, radii, pull, v_conics, _zeros(n), v_place, v_rotation,
            v_size,
        )  # fmt: skip
        to_stored(size, opacity, by_colors, v_place, v_size, v_opacity)
        shot.means2d.grad = v_means2d
        if shot.absgrad:
            shot.means2d.absgrad = extra.div_(float(LOG2E))  # pyright: ignore[reportAttributeAccessIssue] - as gsplat has it
        return *gradients[:5], gradients[5] if shot.degree > 0 else None, None


def _check(
    means: Tensor, quats: Tensor, scales: Tensor, opacities: Tensor, sh0: Tensor, shN: Tensor | None
) -> None:
    """Look for NaN and infinity, as `rasterize` does."""
    tensors = {"means": means, "quats": quats, "scales": scales, "opacities": opacities, "colors[0]": sh0}
    FiniteCheck(tensors if shN is None else {**tensors, "colors[1]": shN}).finish()


def seen_by(viewmats: Tensor, Ks: Tensor, width: int, height: int) -> tuple[Array, Array]:
    """Frame and centre of a camera; kept, as training looks through the same ones again and again."""
    return _seen_by(array(viewmats).tobytes(), array(Ks).tobytes(), width, height)


@functools.lru_cache(maxsize=4096)
def _seen_by(viewmat: bytes, K: bytes, width: int, height: int) -> tuple[Array, Array]:
    placed, projected = (
        torch.from_numpy(np.frombuffer(data, np.float32).reshape(1, side, side).copy())
        for data, side in ((viewmat, 4), (K, 3))
    )
    lens = Lens.of(placed, projected, width, height, LIMITS)
    return lens.frames[0], lens.centres[0]


@functools.lru_cache(maxsize=8)
def _zeros(*shape: int) -> Array:
    """What no gradient comes for; nobody writes to it."""
    return np.zeros(shape, np.float32)
