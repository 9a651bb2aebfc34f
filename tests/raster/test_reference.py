"""The oracle itself: closed forms, finite differences, absolute gradients pixel by pixel."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from gaussians.raster import reference
from gaussians.raster.constants import ALPHA_MAX

from .scenes import GAUSSIANS, Scene, camera, intrinsics, over_opaque, random_scene


def tiny(scene: Scene, n: int = 6, width: int = 7, height: int = 5) -> Scene:
    """The first n Gaussians, enlarged to cover a few pixels' image, in float64."""
    scene = scene.to(torch.float64)
    gaussians = {name: getattr(scene, name)[:n] for name in GAUSSIANS}
    gaussians["scales"] = 2 * gaussians["scales"] + 0.1
    Ks = torch.stack([intrinsics(width, height, 9.0)] * len(scene.viewmats)).double()
    return replace(scene, **gaussians, Ks=Ks, width=width, height=height)


def check_gradients(scene: Scene) -> None:
    """Finite differences (along random directions) of every input; no pixel may be near a jump."""
    settings = dict(scene.settings)
    background = settings.pop("backgrounds")
    assert reference.margins(*scene.without_colors()).min() > 1e-4, "choose another seed"

    def render(*inputs: Tensor) -> tuple[Tensor, Tensor]:
        moved = replace(scene, **dict(zip(GAUSSIANS, inputs, strict=False)))
        return reference.rasterize(*moved.arguments(), **settings, backgrounds=inputs[-1])[:2]

    inputs = [*(getattr(scene, name) for name in GAUSSIANS), background]
    leaves = tuple(tensor.clone().requires_grad_() for tensor in inputs)
    assert torch.autograd.gradcheck(render, leaves, eps=1e-7, atol=1e-6, rtol=1e-5, fast_mode=True)


@pytest.mark.parametrize("degree", [None, 0, 1, 2, 3])
def test_gradients_are_finite_differences(degree: int | None) -> None:
    check_gradients(tiny(random_scene(0, sh_degree=degree)).with_settings(render_mode="RGB+ED"))


def test_gradients_beside_the_field_of_view() -> None:
    # Centres past 1.3 fields of view: the Jacobian is taken at a clamped centre.
    scene = tiny(random_scene(1), n=4)
    means = torch.tensor([[2.9, 0.1, 0.0], [-2.8, 0.0, 0.1], [0.1, 2.6, 0.2], [0.0, -2.5, 0.3]])
    scene = replace(
        scene,
        means=means.double(),
        scales=scene.scales + 1.5,
        viewmats=camera((0.0, 0.0, -3.0))[None].double(),
    )
    _, _, meta = reference.rasterize(*scene.arguments(), **scene.settings)
    outside = (meta["means2d"] < 0) | (meta["means2d"] > torch.tensor([7, 5]))
    assert outside.any(dim=-1).all()
    assert (meta["radii"] > 0).all()
    check_gradients(scene)


def test_gradients_at_the_alpha_clamp() -> None:
    scene = tiny(over_opaque(2), n=3)
    scene = replace(scene, opacities=torch.tensor([1.7, 0.4, 1.3], dtype=torch.float64))
    _, _, meta = reference.rasterize(*scene.arguments(), **scene.settings)
    assert (meta["radii"] > 0).all()
    check_gradients(scene)


def facing(depths: list[float], opacities: list[float], **changes: Tensor) -> Scene:
    """Gaussians one behind another on the axis of a 33 x 33 camera, centred on its middle pixel."""
    n = len(depths)
    scene = Scene(
        means=torch.tensor([[0.0, 0.0, depth] for depth in depths]),
        quats=torch.tensor([[1.0, 0.0, 0.0, 0.0]]).expand(n, 4),
        scales=torch.full((n, 3), 0.1),
        opacities=torch.tensor(opacities),
        colors=torch.eye(n),
        viewmats=torch.eye(4)[None],
        Ks=torch.tensor([[[40.0, 0, 16.5], [0, 40.0, 16.5], [0, 0, 1]]]),
        width=33,
        height=33,
    )
    return replace(scene, **changes).to(torch.float64)


def test_one_gaussian_is_the_formula() -> None:
    scene = facing([2.0], [0.7])
    render, alpha, meta = reference.rasterize(*scene.arguments())
    variance = (40.0 * 0.1 / 2.0) ** 2 + 0.3
    for row, column in [(16, 16), (16, 19), (13, 16), (18, 12)]:
        squared = (row - 16) ** 2 + (column - 16) ** 2
        expected = 0.7 * math.exp(-squared / (2 * variance))
        # 1e-7: float32 inputs (0.1, 0.7).
        assert alpha[0, row, column, 0].item() == pytest.approx(expected, rel=2e-7)
        assert render[0, row, column, 0].item() == pytest.approx(expected, rel=2e-7)
    radius = math.ceil(math.sqrt(2 * math.log(0.7 * 255)) * math.sqrt(variance))
    assert meta["radii"].tolist() == [[[radius, radius]]]
    assert meta["conics"][0, 0].tolist() == pytest.approx([1 / variance, 0, 1 / variance], rel=2e-7)
    # Nothing is drawn below 1/255.
    assert alpha[alpha > 0].min() >= 1 / 255 - 1e-9
    assert (alpha == 0).any()


def test_far_half_of_the_jacobian_is_clamped_off_centre() -> None:
    # x/z = 0.9 is past (W - cx)/fx + 0.3 W/(2 fx) = 0.53625: there the EWA Jacobian is taken.
    scene = facing([2.0], [0.9], means=torch.tensor([[1.8, 0.0, 2.0]]), scales=torch.full((1, 3), 1.0))
    _, _, meta = reference.rasterize(*scene.arguments())
    u, v = 16.5 / 40 + 0.3 * 33 / 80, 0.0
    variance = (40 / 2) ** 2 * (1 + u * u) + 0.3
    assert meta["means2d"][0, 0].tolist() == pytest.approx([40 * 0.9 + 16.5, 16.5])
    other = (40 / 2) ** 2 * (1 + v * v) + 0.3
    assert meta["conics"][0, 0].tolist() == pytest.approx([1 / variance, 0, 1 / other], rel=1e-6)


def test_tiles_decide_past_opacity_one() -> None:
    # Box half-size ceil(3.33 σ) = 7 about pixel 8: columns 1 to 15, one tile of two.
    scene = facing([2.0], [200.0], Ks=torch.tensor([[[40.0, 0, 8.0], [0, 40.0, 8.0], [0, 0, 1]]]))
    _, alpha, meta = reference.rasterize(*scene.arguments())
    assert meta["radii"].flatten().tolist() == [7, 7]
    assert alpha[0, 8, 15, 0] > 0.1
    assert alpha[0, 8, 0, 0] > 0.1, "outside of the box, inside of the tile"
    assert not alpha[0, 8, 16:].any()


def test_alpha_is_clamped() -> None:
    scene = facing([2.0], [200.0])
    _, alpha, _ = reference.rasterize(*scene.arguments())
    assert alpha.max().item() == pytest.approx(ALPHA_MAX, abs=1e-15)


@pytest.mark.parametrize("mode", ["RGB", "RGB+ED"])
def test_absolute_gradients_pixel_by_pixel(mode: str) -> None:
    scene = tiny(random_scene(3, sh_degree=1), n=5).with_settings(render_mode=mode)
    means = scene.means.clone().requires_grad_()
    scene = replace(scene, means=means)
    render, alpha, meta = reference.rasterize(*scene.arguments(), **scene.settings, absgrad=True)
    weights = torch.rand(render.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 0.5
    per_pixel = ((render * weights).sum(dim=-1) + 0.3 * alpha[..., 0]).flatten()
    total = torch.zeros_like(meta["means2d"])
    for value in per_pixel:
        (grad,) = torch.autograd.grad(value, meta["means2d"], retain_graph=True)
        total += grad.abs()
    for _ in range(2):  # the second pass replaces the first one's sums
        per_pixel.sum().backward(retain_graph=True)
        assert torch.allclose(meta["means2d"].absgrad, total, rtol=1e-12)
    (summed,) = torch.autograd.grad(per_pixel.sum(), meta["means2d"])
    assert not torch.allclose(summed.abs(), total)


def test_margins_know_each_jump() -> None:
    far = reference.margins(*facing([2.0], [0.5]).without_colors())
    assert far[0, 16, 16] == pytest.approx(1 - 0.5 / ALPHA_MAX, rel=1e-6)
    assert far.min() < 0.2, "somewhere alpha crosses 1/255"
    near_clamp = reference.margins(*facing([2.0], [0.9991]).without_colors())
    assert near_clamp[0, 16, 16] < 2e-4
    # 0.1³ x 0.102 leaves 1.02e-4.
    stops = reference.margins(*facing([2.0, 3.0, 4.0, 5.0], [0.9, 0.9, 0.9, 0.898]).without_colors())
    assert stops[0, 16, 16] == pytest.approx(0.02, abs=1e-4)
