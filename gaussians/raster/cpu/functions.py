"""The kernels as differentiable PyTorch functions: projection, colour, blending.

Blending takes means2d from projection as an ordinary tensor, so that densification can read its gradient.
Each function handles all cameras of the batch, one after another; all cores work on each.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from gaussians.kernels import workers
from gaussians.raster.cpu.binning import MOST_ROOM, deal_to_tiles
from gaussians.raster.cpu.blend import backward_kernel, forward_kernel
from gaussians.raster.cpu.by_gaussian import LOG2E, gather, pack
from gaussians.raster.cpu.harmonics import harmonics_backward, harmonics_forward
from gaussians.raster.cpu.lanes import LANES
from gaussians.raster.cpu.layout import MOMENTS, PACKED, PIXELS, TILE
from gaussians.raster.cpu.project import frame_of, project_backward, project_forward

Array = np.ndarray


def _filled(tensor: Tensor) -> Array:
    """As `array`, with rows of zeros added up to the sixteen that projection computes at a time."""
    if len(tensor) >= LANES:
        return array(tensor)
    filled = tensor.new_zeros(LANES, *tensor.shape[1:])
    filled[: len(tensor)] = tensor.detach()
    return filled.numpy()


def array(tensor: Tensor) -> Array:
    """The tensor's memory as a contiguous NumPy array, copied only if it isn't."""
    return tensor.detach().contiguous().numpy()


@dataclass(frozen=True)
class Lens:
    """Cameras and limits as the projection kernels take them.

    Attributes:
        viewmats: [C, 4, 4].
        frames: of each, see `frame_of`.
    """

    viewmats: Array
    frames: Sequence[Array]

    @classmethod
    def of(
        cls, viewmats: Tensor, Ks: Tensor, width: int, height: int, limits: tuple[float, float, float]
    ) -> "Lens":
        """From the arguments of `rasterize`; limits are near_plane, far_plane and eps2d."""
        placed = array(viewmats)
        cameras = zip(placed, array(Ks), strict=True)
        return cls(placed, [frame_of(viewmat, K, (width, height), limits) for viewmat, K in cameras])

    @property
    def centres(self) -> Array:
        """[C, 3] camera positions in world coordinates."""
        inverse = np.linalg.inv(self.viewmats.astype(np.float64))
        return np.ascontiguousarray(inverse[:, :3, 3], dtype=np.float32)


class Project(torch.autograd.Function):
    """(means, quats, scales, opacities) to (means2d, conics, depths, radii), each [C, N, ...]."""

    @staticmethod
    def forward(ctx: Any, means: Tensor, quats: Tensor, scales: Tensor, opacities: Tensor, lens: Lens) -> Any:
        """Project; see `project_forward`."""
        cameras, n = len(lens.frames), len(means)
        rows = max(n, LANES)
        means2d, conics = torch.empty(cameras, rows, 2), torch.empty(cameras, rows, 3)
        depths = torch.empty(cameras, rows)
        radii = torch.empty(cameras, rows, 2, dtype=torch.int32)
        inputs = [_filled(tensor) for tensor in (means, quats, scales, opacities)]
        outputs = (means2d, conics, depths, radii)
        for c, frame in enumerate(lens.frames):
            project_forward(frame, *inputs, *(tensor[c].numpy() for tensor in outputs))
        if n < rows:
            means2d, conics, depths, radii = (tensor[:, :n].contiguous() for tensor in outputs)
        ctx.lens = lens
        ctx.save_for_backward(means, quats, scales, conics, radii)
        ctx.mark_non_differentiable(radii)
        return means2d, conics, depths, radii

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride] - torch passes what forward returned
        """Gradients of means, quats and scales; opacity has none here."""
        means, quats, scales, conics, radii = ctx.saved_tensors
        v_means2d, v_conics, v_depths = gradients[:3]
        rows, inputs = max(len(means), LANES), [_filled(tensor) for tensor in (means, quats, scales)]
        total: list[Tensor] = []
        for c in range(len(conics)):
            outputs = [torch.empty(rows, tensor.shape[1]) for tensor in (means, quats, scales)]
            of_camera = (_filled(tensor[c]) for tensor in (conics, radii, v_means2d, v_conics, v_depths))
            arguments = [ctx.lens.frames[c], *inputs, *of_camera, *(output.numpy() for output in outputs)]
            project_backward(*arguments)
            total = _added(total, [output[: len(means)] for output in outputs])
        return *total, None, None


class Harmonics(torch.autograd.Function):
    """(means [N, 3], coefficients [N, 1, 3], [N, K - 1, 3]) to colours [C, N, 3]; zero where invisible."""

    @staticmethod
    def forward(
        ctx: Any, means: Tensor, first: Tensor, others: Tensor, radii: Tensor, centres: Array, degree: int
    ) -> Any:
        """Evaluate; see `harmonics_forward`."""
        colors = torch.empty(len(centres), len(means), 3)
        for c, centre in enumerate(centres):
            harmonics_forward(
                array(means), array(first), array(others), centre, radii[c].numpy(), degree, colors[c].numpy()
            )
        ctx.centres, ctx.degree = centres, degree
        ctx.save_for_backward(means, first, others, radii, colors)
        return colors

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, v_colors: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride] - torch passes what forward returned
        """Gradients of means and coefficients."""
        means, first, others, radii, colors = ctx.saved_tensors
        v_colors_array = array(v_colors)
        total: list[Tensor] = []
        for c, centre in enumerate(ctx.centres):
            outputs = [torch.empty(tensor.shape) for tensor in (first, others, means)]
            harmonics_backward(
                array(means), array(others), centre, radii[c].numpy(), ctx.degree,
                colors[c].numpy(), v_colors_array[c], *(output.numpy() for output in outputs),
            )  # fmt: skip
            total = _added(total, outputs)
        v_first, v_others, v_means = total
        return v_means, v_first, v_others, None, None, None


def _added(total: list[Tensor], more: list[Tensor]) -> list[Tensor]:
    """Their sums, in place; of none so far, `more`."""
    return [one.add_(other) for one, other in zip(total, more, strict=True)] if total else more


class Bins(NamedTuple):
    """One camera's visible Gaussians, sorted and dealt to tiles; see binning.py for the fields' shapes.

    `room` is one more than the largest slot there can be, `threads` how many work on them.
    """

    visible: Array
    spans: Array
    starts: Array
    members: Array
    schedule: Array
    chunks: Array
    tiles_x: int
    room: int
    threads: int

    @classmethod
    def of(
        cls,
        means2d: Array,
        conics: Array,
        opacities: Array,
        depths: Array,
        radii: Array,
        width: int,
        height: int,
    ) -> "Bins":
        """Sort and deal.

        Raises:
            MemoryError: there are more intersections than can be counted.
        """
        tiles_x, tiles_y, threads = -(-width // TILE), -(-height // TILE), workers()
        visible, spans, starts, members, schedule, chunks, room = deal_to_tiles(
            means2d, conics, opacities, depths, radii, tiles_x, tiles_y, threads
        )
        if room > MOST_ROOM:
            raise MemoryError(f"{room:,} tiles that Gaussians meet: too many; scales are too large")
        return cls(visible, spans, starts, members, schedule, chunks, tiles_x, room, threads)

    def tiling(self) -> tuple[Array, Array, Array, int, int]:
        """What both blending kernels take after `packed`."""
        return self.starts, self.members, self.schedule, self.tiles_x, self.threads


def empty_light(bins: Bins, wanted: bool = True) -> tuple[Array, Array]:
    """Chunks and light as the blending kernels take them: without rows unless a gradient is wanted."""
    return bins.chunks, torch.empty(int(bins.chunks[-1]) if wanted else 0, PIXELS).numpy()


def empty_moments(bins: Bins) -> Array:
    """[slots, 16] for the backward kernel, each row a cache line: PyTorch's memory starts on one."""
    return torch.empty(bins.room, MOMENTS).numpy()


def packed_rows(bins: Bins, means2d: Array, conics: Array, opacities: Array, colors: Array) -> Array:
    """[V, 16] rows for the blending kernels, each a cache line."""
    packed = torch.empty(len(bins.visible), PACKED).numpy()
    pack(bins.visible, means2d, conics, opacities, colors, packed)
    return packed


class Blend(torch.autograd.Function):
    """(means2d, conics, colors, opacities, backgrounds) to (image, alpha), per camera.

    colors [C, N, D] and backgrounds [C, D] have D = 3 or 4; bins holds one Bins a camera.
    """

    @staticmethod
    def forward(
        ctx: Any,
        means2d: Tensor,
        conics: Tensor,
        colors: Tensor,
        opacities: Tensor,
        backgrounds: Tensor,
        bins: list[Bins],
        size: tuple[int, int],
        absgrad: bool,
        differentiable: bool,
    ) -> Any:
        """Blend front to back; see `blend_forward`. Without `differentiable` there is no backward pass."""
        cameras, channels = len(bins), colors.shape[-1]
        width, height = size
        image = torch.empty(cameras, height, width, channels)
        alpha = torch.empty(cameras, height, width, 1)
        ctx.last = np.empty((cameras, height, width), np.int32)
        ctx.rows, ctx.light = [], [empty_light(bin, differentiable) for bin in bins]
        for c, bin in enumerate(bins):
            inputs = (array(tensor[c]) for tensor in (means2d, conics, opacities, colors))
            ctx.rows.append(packed_rows(bin, *inputs))
            forward_kernel(channels)(
                ctx.rows[c],
                *bin.tiling(),
                array(backgrounds[c]),
                image[c].numpy(),
                alpha[c, ..., 0].numpy(),
                ctx.last[c],
                *ctx.light[c],
            )
        ctx.bins, ctx.absgrad, ctx.means2d = bins, absgrad, means2d if absgrad else None
        ctx.save_for_backward(conics, opacities, backgrounds, alpha)
        return image, alpha

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, v_image: Tensor, v_alpha: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride] - torch passes what forward returned
        """Back to front; see `blend_backward`. Sets `means2d.absgrad` [C, N, 2] where asked."""
        conics, opacities, backgrounds, alpha = ctx.saved_tensors
        cameras, n = opacities.shape
        channels = v_image.shape[-1]
        v_means2d, v_conics = torch.empty(cameras, n, 2), torch.empty(cameras, n, 3)
        v_colors, v_opacities = torch.empty(cameras, n, channels), torch.empty(cameras, n)
        extra = torch.empty(cameras, n if ctx.absgrad else 0, 2)
        kernel = backward_kernel(channels, "absgrad" if ctx.absgrad else "")
        v_image_array, v_alpha_array = array(v_image), array(v_alpha[..., 0])
        for c, bin in enumerate(ctx.bins):
            moments = empty_moments(bin)
            kernel(
                ctx.rows[c], *bin.tiling(), array(backgrounds[c]), ctx.last[c], *ctx.light[c],
                v_image_array[c], v_alpha_array[c], moments,
            )  # fmt: skip
            outputs = [tensor[c].numpy() for tensor in (v_means2d, extra, v_conics, v_opacities, v_colors)]
            summed = (bin.visible, bin.spans, moments, bin.threads)
            gather(*summed, array(conics[c]), array(opacities[c]), *outputs)
        if ctx.absgrad:
            ctx.means2d.absgrad = extra.div_(float(LOG2E))
        v_backgrounds = None
        if ctx.needs_input_grad[4]:
            v_backgrounds = (v_image * (1.0 - alpha)).sum(dim=(1, 2))
        return v_means2d, v_conics, v_colors, v_opacities, v_backgrounds, *[None] * 4
