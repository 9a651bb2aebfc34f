"""Float64 oracle of the rasterizer: what gsplat 1.5.3 computes on CUDA, in plain PyTorch, for tests only.

Every pixel looks at every Gaussian, so keep to a few hundred of either side's thousands. float64 and
float32, any device, differentiable by autograd. The facts, read from gsplat's sources (Apache-2.0):

1.  Camera coordinates p = R m + t from viewmat. Of K only fx, fy, cx, cy count (no skew); K and eps2d
    get no gradient.
2.  Culled where z < near_plane or z > far_plane.
3.  Covariance R(q) diag(s)² R(q)ᵀ with q / |q|; a scale's sign does not matter. |q| = 0 is culled.
4.  EWA Jacobian J = [[fx/z, 0, -fx u/z], [0, fy/z, -fy v/z]] with u = x/z clamped to
    [-(cx/fx + m), (W - cx)/fx + m], m = 0.3 W / (2 fx), v alike; the gradient is that of the clamp. The
    centre (fx x/z + cx, fy y/z + cy) is not clamped.
5.  2-D covariance J R Σ Rᵀ Jᵀ + eps2d I. Culled unless its determinant is positive; gsplat draws what
    overflows float32, here it is culled. Conic = inverse (xx, xy, yy).
6.  Culled where opacity < 1/255. Half-size of the box per axis: ceil(e σ), e = min(3.33, √(2 ln 255 o)).
7.  Culled where the box misses the image: centre + radius <= 0 or centre - radius >= size.
8.  A Gaussian is drawn in the 16 x 16 tiles from floor((centre - radius) / 16) to, exclusive,
    ceil((centre + radius) / 16). Up to opacity 1.0032 the box holds every pixel of alpha >= 1/255 and
    tiles have no effect; beyond it (opacities scaled up by dropout) they decide, and do so here.
9.  Front to back by depth, the lower index first among equals.
10. Per pixel (centre at +0.5): σ = ½(xx dx² + yy dy²) + xy dx dy, alpha = min(0.999, o e^-σ). Skipped
    where σ < 0 or alpha < 1/255. If T (1 - alpha) <= 1e-4 the pixel is finished and this Gaussian is not
    drawn. Else colour += alpha T c and T *= 1 - alpha.
11. render_alpha = 1 - T, render = Σ alpha T c + T background. The gradient is that of these formulas for
    the drawn set; where o e^-σ > 0.999 only the colour's gradient flows.
12. With sh_degree: colour = max(0.5 + Σ basis(d) c, 0), d the unit vector from the camera's centre to the
    mean, with gradient to the mean; no gradient where 0.5 + Σ < 0. Unused coefficients get 0.
    Without: colours as they are, any number of channels.
13. "D" accumulates depth z instead of colour, "RGB+D" as the last channel; "ED" and "RGB+ED" divide it by
    max(render_alpha, 1e-10), gradient through both. The background of the depth channel is 0.
14. means2d.absgrad [C, N, 2] = Σ over pixels |dL/dmean2d of that pixel|, set anew by each backward pass.
15. In meta, culled Gaussians have radii, means2d, depths and conics 0 (in gsplat: memory as it was).
16. Blend weight of a Gaussian = Σ alpha T, pixel count = Σ 1, over the pixels and cameras that draw it.
17. (Ours.) Without a Gaussian, and with the same others drawn, a pixel's colour changes by alpha (behind -
    T c), where behind is what those after it and the background give, divided by 1 - alpha.
"""

import math
from typing import Any

import torch
from torch import Tensor

from gaussians.raster.checks import check_inputs, check_pixel_weights, whole
from gaussians.raster.constants import EXPECTED_DEPTH_ALPHA_MIN, TILE_SIZE
from gaussians.raster.reference_blend import PIXELS_AT_ONCE, blends, spread_over_pixels
from gaussians.raster.reference_projection import Projection, project, scatter, view_colors

_DTYPES = (torch.float64, torch.float32)


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
    """Render as `gaussians.raster.rasterize` does; `packed` and `trusted` change nothing.

    Raises:
        ValueError: shapes, types or settings that do not fit.
        SplatError: NaN or infinity in a tensor.
    """
    check_inputs(
        means, quats, scales, opacities, colors, viewmats, Ks, width, height,
        near_plane=near_plane, far_plane=far_plane, eps2d=eps2d, sh_degree=sh_degree,
        backgrounds=backgrounds, render_mode=render_mode, dtypes=_DTYPES,
    )  # fmt: skip
    colors = whole(colors)
    projection = project(
        means, quats, scales, opacities, viewmats, Ks, width, height, near_plane, far_plane, eps2d
    )
    spread = spread_over_pixels(projection.means2d, width * height, absgrad)
    renders, alphas = [], []
    for camera, viewmat in enumerate(viewmats):
        values, behind = [], []
        if render_mode.startswith("RGB"):
            values.append(_colors(colors, means, viewmat, projection.radii[camera], sh_degree))
            behind.append(
                backgrounds[camera] if backgrounds is not None else means.new_zeros(values[0].shape[1])
            )
        if render_mode.endswith("D"):
            values.append(projection.depths[camera, :, None])
            behind.append(means.new_zeros(1))
        value, background = torch.cat(values, dim=1), torch.cat(behind)
        for blend in blends(projection, spread, opacities, camera, width, height):
            renders.append(blend.weights.T @ value[blend.order] + blend.transmittance[:, None] * background)
            alphas.append(1 - blend.transmittance)
    render = torch.cat(renders).reshape(len(viewmats), height, width, -1)
    alpha = torch.cat(alphas).reshape(len(viewmats), height, width, 1)
    if render_mode.endswith("ED"):
        depth = render[..., -1:] / alpha.clamp(min=EXPECTED_DEPTH_ALPHA_MIN)
        render = torch.cat([render[..., :-1], depth], dim=-1)
    return render, alpha, _meta(projection, opacities, width, height)


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
    """[N] summed blend weight and [N] number of pixels drawn (fact 16), in the type of `means`."""
    check_inputs(
        means, quats, scales, opacities, None, viewmats, Ks, width, height,
        near_plane=near_plane, far_plane=far_plane, eps2d=eps2d, dtypes=_DTYPES,
    )  # fmt: skip
    check_pixel_weights(pixel_weights, viewmats, width, height)
    total, count = torch.zeros_like(opacities), torch.zeros_like(opacities)
    with torch.no_grad():
        projection = project(
            means, quats, scales, opacities, viewmats, Ks, width, height, near_plane, far_plane, eps2d
        )
        spread = spread_over_pixels(projection.means2d, width * height, absgrad=False)
        for camera in range(len(viewmats)):
            for place, blend in enumerate(blends(projection, spread, opacities, camera, width, height)):
                counted = blend.weights
                if pixel_weights is not None:
                    begin = place * PIXELS_AT_ONCE
                    counted = counted * pixel_weights[camera].flatten()[begin : begin + counted.shape[1]]
                total[blend.order] += counted.sum(dim=1)
                count[blend.order] += (blend.weights > 0).sum(dim=1).to(count.dtype)
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
    """[N] summed squared change without the Gaussian (fact 17), in the type of `means`; exact."""
    check_inputs(
        means, quats, scales, opacities, colors, viewmats, Ks, width, height,
        near_plane=near_plane, far_plane=far_plane, eps2d=eps2d, sh_degree=sh_degree,
        backgrounds=backgrounds, dtypes=_DTYPES,
    )  # fmt: skip
    check_pixel_weights(pixel_weights, viewmats, width, height)
    colors, total = whole(colors), torch.zeros_like(opacities)
    with torch.no_grad():
        projection = project(
            means, quats, scales, opacities, viewmats, Ks, width, height, near_plane, far_plane, eps2d
        )
        spread = spread_over_pixels(projection.means2d, width * height, absgrad=False)
        for camera, viewmat in enumerate(viewmats):
            value = _colors(colors, means, viewmat, projection.radii[camera], sh_degree)
            behind = value.new_zeros(3) if backgrounds is None else backgrounds[camera]
            for place, blend in enumerate(blends(projection, spread, opacities, camera, width, height)):
                counted = torch.ones_like(blend.transmittance)
                if pixel_weights is not None:
                    begin = place * PIXELS_AT_ONCE
                    counted = pixel_weights[camera].flatten()[begin : begin + len(counted)]
                entering = 1 - (blend.weights.cumsum(dim=0) - blend.weights)
                alphas = blend.weights / entering
                for channel in range(3):
                    light = blend.weights * value[blend.order, channel, None]
                    after = light.sum(dim=0) - light.cumsum(dim=0) + blend.transmittance * behind[channel]
                    changes = light - after * alphas / (1 - alphas)
                    total[blend.order] += (changes.square() * counted).sum(dim=1)
    return total


def margins(
    means: Tensor,
    quats: Tensor,
    scales: Tensor,
    opacities: Tensor,
    viewmats: Tensor,
    Ks: Tensor,
    width: int,
    height: int,
) -> Tensor:
    """[C, H, W] relative distance of each pixel to the nearest jump of what is drawn there.

    The jumps are alpha at 1/255 and at 0.999 and transmittance at 1e-4. Where this is below a backend's
    rounding, another set of Gaussians may be drawn, and neither value nor gradient can be compared.
    """
    with torch.no_grad():
        projection = project(means, quats, scales, opacities, viewmats, Ks, width, height, 0.01, 1e10, 0.3)
        spread = spread_over_pixels(projection.means2d, width * height, absgrad=False)
        nearest = [
            blend.margin
            for camera in range(len(viewmats))
            for blend in blends(projection, spread, opacities, camera, width, height)
        ]
    return torch.cat(nearest).reshape(len(viewmats), height, width)


def _colors(colors: Tensor, means: Tensor, viewmat: Tensor, radii: Tensor, sh_degree: int | None) -> Tensor:
    """[N, D] what the Gaussians show to this camera; with spherical harmonics 0 where it doesn't see them."""
    if sh_degree is None:
        return colors
    visible = (radii[:, 0] > 0).nonzero().flatten()
    seen = view_colors(colors[visible], means[visible], viewmat, sh_degree)
    return scatter(seen, visible, len(means))


def _meta(projection: Projection, opacities: Tensor, width: int, height: int) -> dict[str, Any]:
    cameras = projection.radii.shape[0]
    return {
        **projection._asdict(),
        "opacities": opacities.expand(cameras, -1),
        "width": width,
        "height": height,
        "n_cameras": cameras,
        "tile_size": TILE_SIZE,
        "tile_width": math.ceil(width / TILE_SIZE),
        "tile_height": math.ceil(height / TILE_SIZE),
        "gaussian_ids": None,
        "camera_ids": None,
    }
