"""Rasterization of 3-D Gaussians: one signature, two backends, one reference.

Contract. All functions have `gsplat.rasterization`'s names, shapes and meaning (Kerbl et al. 2023; gsplat
1.5.3), numbered in reference.py. A backend is a module with `rasterize`, `blend_weights` and
`removal_effects` of the same signature, less `backend`, imported at first use:

- "cpu": our Numba kernels, float32, deterministic.
- "cuda": gsplat.
- "reference": plain PyTorch, float64 or float32, slow; for tests.
- "auto": "cuda" where the tensors are on a GPU, else "cpu".

A backend may also have `rasterize_stored`, which takes the six stored tensors in place of the activated ones,
and returns None for what it leaves to `rasterize`.
"""

import importlib
from typing import Any

import torch
from torch import Tensor

from gaussians.errors import BackendUnavailableError
from gaussians.model import Gaussians

BACKENDS = ("cpu", "cuda", "reference")

__all__ = ["BACKENDS", "blend_weights", "rasterize", "rasterize_stored", "removal_effects"]


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
    backend: str = "auto",
) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """Render N Gaussians into C pinhole cameras, differentiably.

    Args:
        means: [N, 3] world coordinates.
        quats: [N, 4] wxyz, of any non-zero length.
        scales: [N, 3] standard deviations, world units.
        opacities: [N].
        colors: [N, D], or with sh_degree spherical-harmonic coefficients [N, K, 3], K >= (sh_degree + 1)²,
            or these in two tensors, [N, 1, 3] and [N, K - 1, 3]: the CPU need not put them together.
        viewmats: [C, 4, 4] world to camera, OpenCV axes.
        Ks: [C, 3, 3] intrinsics in pixels.
        width, height: pixels.
        near_plane, far_plane: depths outside are culled.
        eps2d: px² added to the 2-D covariance's diagonal.
        sh_degree: bands in use, 0 to 3; None: colors are colours.
        backgrounds: [C, D] (with sh_degree [C, 3]); None: black.
        render_mode: "RGB"; "D" accumulated or "ED" expected depth; "RGB+D", "RGB+ED": depth as last channel.
        absgrad: also sum absolute 2-D gradients, into meta["means2d"].absgrad [C, N, 2] when backward runs.
        packed: gsplat's memory-speed trade-off; results are those of the unpacked meta only if False.
        trusted: that no tensor holds NaN or infinity is known: they are not looked at, which takes as long as
            projecting.
        backend: "auto", "cpu", "cuda" or "reference".

    Returns:
        render [C, H, W, X], alpha [C, H, W, 1], and meta with means2d [C, N, 2], radii [C, N, 2] int32 (0
        where culled), depths [C, N], conics [C, N, 3], opacities [C, N], width, height, n_cameras,
        tile_size, tile_width, tile_height.

    Raises:
        ValueError: shapes, types or settings that don't fit.
        SplatError: NaN or infinity in a tensor.
        BackendUnavailableError: the backend can't run here.
    """
    return _backend(backend, means).rasterize(
        means, quats, scales, opacities, colors, viewmats, Ks, width, height,
        near_plane=near_plane, far_plane=far_plane, eps2d=eps2d, sh_degree=sh_degree,
        backgrounds=backgrounds, render_mode=render_mode, absgrad=absgrad, packed=packed, trusted=trusted,
    )  # fmt: skip


def rasterize_stored(
    gaussians: Gaussians,
    viewmats: Tensor,
    Ks: Tensor,
    width: int,
    height: int,
    *,
    sh_degree: int,
    backgrounds: Tensor,
    absgrad: bool = False,
    trusted: bool = False,
    backend: str = "auto",
) -> tuple[Tensor, Tensor, dict[str, Any]]:
    """`rasterize` Gaussians as they are stored and trained, into one camera: what a training step does.

    The same image and gradients, to the bit; on the CPU as one node of autograd, in less time. As there, call
    meta["means2d"].retain_grad() to have its gradient, which is that of the last backward pass.

    Args and errors: as for `rasterize`, of one camera, and:
        gaussians: whose coefficients beyond the constant get no gradient where sh_degree is 0.
        viewmats, Ks, backgrounds: get no gradient.
        trusted: that shapes fit is known, too.
    """
    renderer = _backend(backend, gaussians.means)
    settings = {"sh_degree": sh_degree, "backgrounds": backgrounds, "absgrad": absgrad, "trusted": trusted}
    if hasattr(renderer, "rasterize_stored"):
        rendered = renderer.rasterize_stored(
            **gaussians.tensors(), viewmats=viewmats, Ks=Ks, width=width, height=height, **settings
        )
        if rendered is not None:
            return rendered
    colors = gaussians.sh0 if sh_degree == 0 else (gaussians.sh0, gaussians.shN)
    return renderer.rasterize(
        gaussians.means, gaussians.quats, gaussians.scales, gaussians.opacities, colors, viewmats, Ks, width,
        height, **settings,
    )  # fmt: skip


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
    backend: str = "auto",
) -> tuple[Tensor, Tensor]:
    """How much of the images each Gaussian makes: its importance. No gradients.

    Args and errors: as for `rasterize`, and:
        pixel_weights: [C, H, W] float32, what each pixel counts in the sum; None: 1.

    Returns:
        [N] blend weights α T summed over all pixels and cameras, and [N] the number of (pixel, camera) pairs
        in which the Gaussian is drawn; both float32.
    """
    return _backend(backend, means).blend_weights(
        means, quats, scales, opacities, viewmats, Ks, width, height,
        near_plane=near_plane, far_plane=far_plane, eps2d=eps2d, pixel_weights=pixel_weights,
    )  # fmt: skip


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
    backend: str = "auto",
) -> Tensor:
    """How much the images would change without each Gaussian: its importance. No gradients.

    A pixel's colour C is linear in each alpha, so that without a Gaussian it changes by exactly
    -alpha ∂C/∂alpha, as long as the same others are drawn. The square of that is summed. "cuda" has sums
    over an image alone, and estimates: for independent random signs s, E[(Σ s alpha ∂C/∂alpha)²] is that
    sum (Hutchinson 1990), of which it takes the mean of four draws; where alpha is held at 0.999 it sees no
    change.

    Args and errors: as for `rasterize`, with three channels, and:
        pixel_weights: [C, H, W] float32, what each pixel counts in the sum; None: 1.
        generator: on the tensors' device, of the signs; None: a fresh one.

    Returns:
        [N] float32: squared change summed over all pixels, channels and cameras.
    """
    return _backend(backend, means).removal_effects(
        means, quats, scales, opacities, colors, viewmats, Ks, width, height,
        near_plane=near_plane, far_plane=far_plane, eps2d=eps2d, sh_degree=sh_degree,
        backgrounds=backgrounds, pixel_weights=pixel_weights, generator=generator,
    )  # fmt: skip


def _backend(name: str, means: Tensor) -> Any:
    if name == "auto":
        name = "cuda" if means.is_cuda else "cpu"
    if name not in BACKENDS:
        raise BackendUnavailableError(f"{name}: no such rasterizer; available: auto, {', '.join(BACKENDS)}")
    return importlib.import_module(f"gaussians.raster.{name}")
