"""The CUDA backend: gsplat's kernels behind our signature.

What gsplat computes is written down, fact by fact, in `reference.py`; its kernels use fast intrinsics, so
expect differences of 1e-5 relative.
"""

from itertools import pairwise
from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from gaussians.raster import cuda_gsplat, cuda_room, cuda_stages, reference
from gaussians.raster.checks import check_inputs, check_pixel_weights, whole
from gaussians.raster.constants import TILE_SIZE

# gsplat counts in batches of 256 Gaussians per tile; this is "all of them", and fits a uint32.
_ALL_BATCHES = 2**31 - 1
EFFECT_DRAWS = 4  # of signs, a camera: one is off by its own size, four by half of it
_CHANNELS_AT_ONCE = 32  # gsplat's channel_chunk: more take more passes


def rasterize(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    colors: Tensor | tuple[Tensor, Tensor],
    viewmats: Tensor,
    Ks: Tensor,
    width: int,
    height: int,
    *,
    near_plane: float = 0.01,
    far_plane: float = 1e10,
    eps2d: float = 0.3,
    sh_degree: int | None = None,
    backgrounds: Tensor | None = None,
    render_mode: str = "RGB",
    absgrad: bool = False,
    packed: bool = False,
    trusted: bool = False,
) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """Render as `gaussians.raster.rasterize` does.

    With `packed`, meta holds only the visible pairs of Gaussian and camera, as gsplat's strategies expect
    when they too are told `packed=True`.

    Raises:
        BackendUnavailableError: no CUDA device, no way to compile gsplat, or tensors on the CPU.
        ValueError: shapes, types or settings that do not fit.
        SplatError: NaN or infinity in a tensor.
    """
    finite = check_inputs(
        means, quats, scales, opacities, colors, viewmats, Ks, width, height,
        near_plane=near_plane, far_plane=far_plane, eps2d=eps2d, sh_degree=sh_degree,
        backgrounds=backgrounds, render_mode=render_mode, wait=False, trusted=trusted,
    )  # fmt: skip
    own = colors.shape[-1] if isinstance(colors, Tensor) else 3
    channels = (own if render_mode.startswith("RGB") else 0) + render_mode.endswith("D")
    if absgrad and channels > _CHANNELS_AT_ONCE:
        # Each pass would overwrite the absolute gradient with that of its own channels.
        raise ValueError(f"absgrad: {channels} channels, at most {_CHANNELS_AT_ONCE} on CUDA")
    gsplat = cuda_gsplat.loaded(means.device)
    if not len(means):
        finite.finish()
        # gsplat divides by the number of Gaussians. The reference runs on any device.
        return reference.rasterize(
            means, quats, scales, opacities, colors, viewmats, Ks, width, height,
            sh_degree=sh_degree, backgrounds=backgrounds, render_mode=render_mode, absgrad=absgrad,
        )  # fmt: skip
    try:
        if render_mode == "RGB" and not packed and channels in cuda_stages.CHANNELS:
            settings = cuda_stages.Settings(width, height, near_plane, far_plane, eps2d, absgrad)
            return cuda_stages.render(
                cuda_gsplat.compiled(), means, quats, scales, opacities, colors, viewmats, Ks, sh_degree,
                backgrounds, settings,
            )  # fmt: skip
        render, alpha, meta = gsplat.rasterization(
            means, quats, scales, opacities, whole(colors), viewmats, Ks, width, height,
            near_plane=near_plane, far_plane=far_plane, eps2d=eps2d, sh_degree=sh_degree, packed=packed,
            tile_size=TILE_SIZE, backgrounds=None if packed else backgrounds, render_mode=render_mode,
            absgrad=absgrad,
        )  # fmt: skip
    finally:
        # Known by now, as gsplat has waited for its count of tiles, which comes later in the queue. Its
        # kernels bear NaN: what they ask memory for is at most all tiles for each Gaussian.
        finite.finish()
    if packed and backgrounds is not None and render_mode.startswith("RGB"):
        # gsplat 1.5.3 looks for packed backgrounds of shape [D], with one camera or many, and stops.
        behind = pad(backgrounds, (0, render.shape[-1] - backgrounds.shape[-1]))
        render = render + (1 - alpha) * behind[:, None, None, :]
    return render, alpha, meta


def render_within(
    room: int,
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    colors: Tensor | tuple[Tensor, Tensor],
    viewmats: Tensor,
    Ks: Tensor,
    width: int,
    height: int,
    *,
    sh_degree: int,
    backgrounds: Tensor,
    absgrad: bool,
) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """Render one camera as `rasterize` does, with no check and no wait, so that it can be recorded.

    Args:
        room: for so many intersections of Gaussians and tiles; meta["total"] [] is how many there are, of
            which the farthest are left out beyond that.
    """
    settings = cuda_stages.Settings(width, height, absgrad=absgrad)
    return cuda_stages.render(
        cuda_gsplat.compiled(), means, quats, scales, opacities, colors, viewmats, Ks, sh_degree, backgrounds,
        settings, room,
    )  # fmt: skip


def intersection_count(
    means: Tensor, quats: Tensor, scales: Tensor, opacities: Tensor, viewmats: Tensor, Ks: Tensor,
    width: int, height: int,
) -> Tensor:  # fmt: skip
    """[] int64: how many intersections of Gaussians and tiles a camera has, without a wait."""
    settings = cuda_stages.Settings(width, height)
    radii, means2d, _, _ = cuda_stages.project(
        cuda_gsplat.compiled(), means, quats, scales, opacities, viewmats, Ks, settings
    )
    *_, wide, tall = cuda_room.tiles(means2d[0], radii[0], -(-width // TILE_SIZE), -(-height // TILE_SIZE))
    return (wide * tall).sum()


def blend_weights(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    viewmats: Tensor,
    Ks: Tensor,
    width: int,
    height: int,
    *,
    near_plane: float = 0.01,
    far_plane: float = 1e10,
    eps2d: float = 0.3,
    pixel_weights: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """[N] summed blend weight and [N] number of pixels drawn, float32 (fact 16 of `reference`).

    Raises: as `rasterize`.
    """
    check_inputs(
        means, quats, scales, opacities, None, viewmats, Ks, width, height,
        near_plane=near_plane, far_plane=far_plane, eps2d=eps2d,
    )  # fmt: skip
    check_pixel_weights(pixel_weights, viewmats, width, height)
    gsplat = cuda_gsplat.loaded(means.device)
    total, count = torch.zeros_like(opacities), torch.zeros_like(opacities)
    if not len(means):
        return total, count
    means, quats, scales, opacities = (tensor.detach() for tensor in (means, quats, scales, opacities))
    settings = cuda_stages.Settings(width, height, near_plane, far_plane, eps2d)
    # One camera at a time bounds the memory.
    for camera, (viewmat, K) in enumerate(zip(viewmats.detach().split(1), Ks.detach().split(1), strict=True)):
        # gsplat returns no weights, but the gradient of the summed image with respect to a Gaussian's
        # constant colour is the sum of its weights.
        constant = means.new_zeros(len(means), 1).requires_grad_()
        with torch.enable_grad():
            image, _, meta = cuda_stages.render(
                cuda_gsplat.compiled(), means, quats, scales, opacities, constant, viewmat, K, None, None,
                settings,
            )  # fmt: skip
            counted = image if pixel_weights is None else image[0, :, :, 0] * pixel_weights[camera]
            (weights,) = torch.autograd.grad(counted.sum(), constant)
        total += weights[:, 0]
        count += _pixel_counts(gsplat, meta, width, height)
    return total, count


def removal_effects(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    colors: Tensor | tuple[Tensor, Tensor],
    viewmats: Tensor,
    Ks: Tensor,
    width: int,
    height: int,
    *,
    near_plane: float = 0.01,
    far_plane: float = 1e10,
    eps2d: float = 0.3,
    sh_degree: int | None = None,
    backgrounds: Tensor | None = None,
    pixel_weights: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """[N] (Σ sign · opacity · ∂C/∂opacity)², the mean of some draws, each a backward pass.

    Raises: as `rasterize`.
    """
    check_pixel_weights(pixel_weights, viewmats, width, height)
    draw = generator or torch.Generator(means.device).manual_seed(0)
    total = torch.zeros_like(opacities)
    for camera in range(len(viewmats)):
        one = slice(camera, camera + 1)
        leaf = opacities.detach().requires_grad_()
        with torch.enable_grad():
            image, _, _ = rasterize(
                means.detach(), quats.detach(), scales.detach(), leaf, colors, viewmats[one], Ks[one], width,
                height, near_plane=near_plane, far_plane=far_plane, eps2d=eps2d, sh_degree=sh_degree,
                backgrounds=None if backgrounds is None else backgrounds[one],
            )  # fmt: skip
        # (Σ w change²) is the expected (Σ sign √w change)².
        scale = 1.0 if pixel_weights is None else pixel_weights[camera, :, :, None].sqrt()
        for _ in range(EFFECT_DRAWS if len(means) else 0):
            drawn = torch.randint(0, 2, image.shape[1:], generator=draw, device=means.device)
            signs = (2.0 * drawn - 1) * scale
            (slopes,) = torch.autograd.grad(image, leaf, signs[None], retain_graph=True)
            total += (opacities.detach() * slopes).square() / EFFECT_DRAWS
    return total


def _pixel_counts(gsplat: ModuleType, meta: dict[str, Any], width: int, height: int) -> Tensor:
    """[N] pixels that each Gaussian is drawn in, of one camera's render.

    gsplat lists the drawn (Gaussian, pixel) pairs, 16 bytes each. A row of tiles at a time keeps that list
    to some ten megabytes: offsets clamped to the row's own leave every other tile empty.
    """
    means2d, offsets, ids = meta["means2d"].detach(), meta["isect_offsets"], meta["flatten_ids"]
    n = means2d.shape[1]
    counts = means2d.new_zeros(n)
    unobstructed = means2d.new_ones(1, height, width)
    starts = [*offsets[0, :, 0].tolist(), len(ids)]
    for start, end in pairwise(starts):
        if start < end:
            drawn, _, _ = gsplat.rasterize_to_indices_in_range(
                0, _ALL_BATCHES, unobstructed, means2d, meta["conics"].detach(), meta["opacities"].detach(),
                width, height, TILE_SIZE, offsets.clamp(start, end), ids[:end],
            )  # fmt: skip
            counts += torch.bincount(drawn, minlength=n)
    return counts
