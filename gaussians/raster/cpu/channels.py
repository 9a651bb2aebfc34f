"""The channels that are blended: colours, depth or both, and what lies behind them."""

import torch
from torch import Tensor

from gaussians.raster.cpu.functions import Harmonics, Lens


def blended_channels(
    means: Tensor,
    colors: Tensor | tuple[Tensor, Tensor],
    depths: Tensor,
    radii: Tensor,
    lens: Lens,
    *,
    sh_degree: int | None,
    backgrounds: Tensor | None,
    mode: str,
) -> tuple[Tensor, Tensor]:
    """What is blended, [C, N, D], and what lies behind it, [C, D].

    Args:
        means, colors, sh_degree, backgrounds: as `gaussians.raster.rasterize` has them; checked.
        depths, radii: of the projected Gaussians.
        lens: of the cameras.
        mode: the render mode.
    """
    cameras, n = radii.shape[:2]
    channels: list[Tensor] = []
    behind: list[Tensor] = []
    if mode in ("RGB", "RGB+D", "RGB+ED"):
        if sh_degree is not None:
            parts = colors if isinstance(colors, tuple) else (colors[:, :1], colors[:, 1:])
            parts = tuple(part.contiguous() for part in parts)  # here once, not for each camera
            channels.append(Harmonics.apply(means, *parts, radii, lens.centres, sh_degree))  # pyright: ignore[reportArgumentType] - torch's stubs don't type apply
        else:
            assert isinstance(colors, Tensor), "as checked"
            channels.append(colors.expand(cameras, n, colors.shape[-1]))
        width = channels[0].shape[-1]
        behind.append(torch.zeros(cameras, width) if backgrounds is None else backgrounds)
    if mode != "RGB":
        channels.append(depths[..., None])
        behind.append(torch.zeros(cameras, 1))
    if len(channels) == 1:
        return channels[0], behind[0]
    return torch.cat(channels, dim=-1), torch.cat(behind, dim=-1)
