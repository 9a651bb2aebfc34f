"""One camera's render straight from what is stored and trained, and its gradient: a step's two halves.

The kernels and their numbers are those of `rasterize` on activated parameters. But a step of a compact model
takes a tenth of its time in PyTorch's nodes, activations and buffers of zeros, on one core while the others
wait: so here there is one node, whose gradients are written once, and for a step that has no other loss not
even that: `show`, `draw` and `unblend` are called as they are (gaussians/train/direct.py).
"""

import functools
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from gaussians.raster.checks import FiniteCheck
from gaussians.raster.constants import TILE_SIZE
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
    differentiable: bool
    means2d: Tensor
    conics: Tensor
    depths: Tensor
    radii: Tensor
    opacities: Tensor

    @classmethod
    def of(
        cls,
        count: int,
        viewmats: Tensor,
        Ks: Tensor,
        width: int,
        height: int,
        *,
        backgrounds: Tensor,
        sh_degree: int,
        absgrad: bool,
        differentiable: bool,
    ) -> "Shot":
        """Of `count` Gaussians, by the arguments of `rasterize_stored`."""
        means2d, conics, depths, opacities = (torch.empty(1, count, *last) for last in ((2,), (3,), (), ()))
        radii = torch.empty(1, count, 2, dtype=torch.int32)
        frame, centre = _seen_by(array(viewmats).tobytes(), array(Ks).tobytes(), width, height)
        return cls(
            frame, centre, array(backgrounds[0]), (width, height), sh_degree, absgrad, differentiable,
            means2d, conics, depths, radii, opacities,
        )  # fmt: skip

    def meta(self) -> dict[str, Any]:
        """The rasterizer's meta dictionary."""
        return meta_of(
            self.means2d, self.conics, self.depths, self.radii, self.opacities, self.size[0], self.size[1]
        )


class Shown(NamedTuple):
    """Gaussians as they are rendered, as arrays.

    Attributes:
        means [N, 3], quats [N, 4], scales [N, 3], opacities [N]: the last two activated.
        sh0 [N, 1, 3], shN [N, K - 1, 3]: none of the latter where only the constant band is in use.
    """

    means: Array
    quats: Array
    scales: Array
    opacities: Array
    sh0: Array
    shN: Array


class Drawn(NamedTuple):
    """A render, and what its gradient is made of.

    Attributes:
        image [H, W, 3], alpha [H, W].
        bins, rows, light, last: see functions.py.
        colors: [N, 3].
    """

    image: Array
    alpha: Array
    bins: Bins
    rows: Array
    light: tuple[Array, Array]
    last: Array
    colors: Array


def show(parameters: tuple[Tensor, ...], shot: Shot, looks: bool) -> Shown:
    """Activate what is stored, six tensors without gradients; `looks` for NaN and infinity.

    Raises:
        SplatError: there is one.
    """
    means, quats, log_scales, logit_opacities, sh0, shN = parameters
    scales, opacities = torch.exp(log_scales), shot.opacities[0]
    torch.sigmoid(logit_opacities, out=opacities)
    if looks:
        seen = {"means": means, "quats": quats, "scales": scales, "opacities": opacities, "colors[0]": sh0}
        FiniteCheck(seen if shot.degree == 0 else {**seen, "colors[1]": shN}).finish()
    higher = shN.numpy()[:, :0] if shot.degree == 0 else shN.numpy()
    return Shown(means.numpy(), quats.numpy(), scales.numpy(), opacities.numpy(), sh0.numpy(), higher)


def draw(shown: Shown, shot: Shot) -> Drawn:
    """Render at least `FEWEST` Gaussians; what the shot tells is written."""
    (width, height), opacities = shot.size, shown.opacities
    means2d, radii = shot.means2d[0].detach().numpy(), shot.radii[0].numpy()
    conics, depths = shot.conics[0].numpy(), shot.depths[0].numpy()
    project_forward(
        shot.frame, shown.means, shown.quats, shown.scales, opacities, means2d, conics, depths, radii
    )
    colors = _empty(len(opacities), 3)
    harmonics_forward(shown.means, shown.sh0, shown.shN, shot.centre, radii, shot.degree, colors)
    bins = Bins.of(means2d, conics, opacities, depths, radii, width, height)
    rows = packed_rows(bins, means2d, conics, opacities, colors)
    light, last = empty_light(bins, shot.differentiable), np.empty((height, width), np.int32)
    image, alpha = _empty(height, width, 3), _empty(height, width)
    forward_kernel(3)(rows, *bins.tiling(), shot.background, image, alpha, last, *light)
    return Drawn(image, alpha, bins, rows, light, last, colors)


def unblend(shot: Shot, drawn: Drawn, v_image: Array | None, v_alpha: Array | None = None) -> Array:
    """What image and alpha say of each Gaussian, tile by tile, by their gradients; None: there are none.

    Returns:
        [slots, 16] moments, see layout.py.
    """
    (width, height), moments = shot.size, empty_moments(drawn.bins)
    backward_kernel(3, "absgrad" if shot.absgrad else "")(
        drawn.rows, *drawn.bins.tiling(), shot.background, drawn.last, *drawn.light,
        _zeros(height, width, 3) if v_image is None else v_image,
        _zeros(height, width) if v_alpha is None else v_alpha,
        moments,
    )  # fmt: skip
    return moments


def pull_back(shown: Shown, shot: Shot, drawn: Drawn, moments: Array) -> Shown:
    """Gradients of what is stored, in the same order, by what images say; tells the shot, too."""
    bins, n, by_centres = drawn.bins, len(shown.opacities), CentreGradients.of(shot)
    conics, radii = shot.conics[0].numpy(), shot.radii[0].numpy()
    v_conics, v_colors, by_colors = _empty(3, n, 3)
    v = Shown(*(_empty(*values.shape) for values in shown))
    gather(
        bins.visible, bins.spans, moments, bins.threads, conics, shown.opacities, *by_centres.arrays(),
        v_conics, v.opacities, v_colors,
    )  # fmt: skip
    harmonics_backward(
        shown.means, shown.shN, shot.centre, radii, shot.degree, drawn.colors, v_colors, v.sh0, v.shN,
        by_colors,
    )  # fmt: skip
    project_backward(
        shot.frame, shown.means, shown.quats, shown.scales, conics, radii, by_centres.arrays()[0], v_conics,
        _zeros(n), v.means, v.quats, v.scales,
    )  # fmt: skip
    to_stored(shown.scales, shown.opacities, by_colors, v.means, v.scales, v.opacities)
    by_centres.tell(shot)
    return v


class CentreGradients(NamedTuple):
    """Of the projected centres, where refinements find them.

    Attributes:
        grad: [1, N, 2] gradient of means2d.
        absgrad: [1, N, 2], absolute; without rows where it is not asked for.
    """

    grad: Tensor
    absgrad: Tensor

    @classmethod
    def of(cls, shot: Shot) -> "CentreGradients":
        """To be written."""
        n = shot.means2d.shape[1]
        return cls(torch.empty(1, n, 2), torch.empty(1, n if shot.absgrad else 0, 2))

    def arrays(self) -> tuple[Array, Array]:
        """Of both [N, 2], the second in other units, as `gather` writes it."""
        return self.grad[0].numpy(), self.absgrad[0].numpy()

    def tell(self, shot: Shot) -> None:
        """Set `grad` of the shot's means2d, and `absgrad` where asked for."""
        shot.means2d.grad = self.grad
        if shot.absgrad:
            shot.means2d.absgrad = self.absgrad.div_(float(LOG2E))  # pyright: ignore[reportAttributeAccessIssue] - as gsplat has it


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
        looks: bool,
    ) -> tuple[Tensor, Tensor]:
        """Render at least `FEWEST` contiguous Gaussians; `looks` for NaN."""
        parameters = [tensor.detach() for tensor in (means, quats, log_scales, logit_opacities, sh0, shN)]
        ctx.shown = show(tuple(parameters), shot, looks)
        ctx.shot, ctx.drawn = shot, draw(ctx.shown, shot)
        # What is trained must not have changed before the backward pass: PyTorch sees to that.
        ctx.save_for_backward(means, quats, sh0, shN)
        ctx.set_materialize_grads(False)
        return torch.from_numpy(ctx.drawn.image)[None], torch.from_numpy(ctx.drawn.alpha)[None, :, :, None]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, v_image: Tensor | None, v_alpha: Tensor | None) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride] - torch passes what forward returned
        """Gradients of the six parameters; none of shN while no band beyond the constant is in use."""
        _ = ctx.saved_tensors
        by_image = None if v_image is None else array(v_image[0])
        by_alpha = None if v_alpha is None else array(v_alpha[0, :, :, 0])
        moments = unblend(ctx.shot, ctx.drawn, by_image, by_alpha)
        gradients = [*map(torch.from_numpy, pull_back(ctx.shown, ctx.shot, ctx.drawn, moments))]
        return *gradients[:5], gradients[5] if ctx.shot.degree > 0 else None, None, None


def meta_of(
    means2d: Tensor, conics: Tensor, depths: Tensor, radii: Tensor, opacities: Tensor, width: int, height: int
) -> dict[str, Any]:
    """The rasterizer's meta dictionary."""
    return {
        "means2d": means2d,
        "conics": conics,
        "depths": depths,
        "radii": radii,
        "opacities": opacities,
        "width": width,
        "height": height,
        "n_cameras": len(radii),
        "tile_size": TILE_SIZE,
        "tile_width": -(-width // TILE_SIZE),
        "tile_height": -(-height // TILE_SIZE),
        "gaussian_ids": None,
        "camera_ids": None,
    }


@functools.lru_cache(maxsize=4096)
def _seen_by(viewmat: bytes, K: bytes, width: int, height: int) -> tuple[Array, Array]:
    """Frame and centre of a camera; kept, as training looks through the same ones again and again."""
    placed, projected = (
        torch.from_numpy(np.frombuffer(data, np.float32).reshape(1, side, side).copy())
        for data, side in ((viewmat, 4), (K, 3))
    )
    lens = Lens.of(placed, projected, width, height, LIMITS)
    return lens.frames[0], lens.centres[0]


def _empty(*shape: int) -> Array:
    """Uninitialised float32 that start on a cache line, as PyTorch's memory does."""
    return torch.empty(shape).numpy()


@functools.lru_cache(maxsize=8)
def _zeros(*shape: int) -> Array:
    """What no gradient comes for; nobody writes to it."""
    return np.zeros(shape, np.float32)
