"""A render of stored parameters: to the bit that of activated ones."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from gaussians.errors import SplatError
from gaussians.model import Gaussians
from gaussians.raster import rasterize, rasterize_stored

from .scenes import random_scene

FIELDS = ("means", "quats", "log_scales", "logit_opacities", "sh0", "shN")
Render = Callable[..., tuple[Tensor, Tensor, dict[str, Any]]]


def stored(n: int = 120, width: int = 50, height: int = 37) -> tuple[Gaussians, dict[str, Any]]:
    """Gaussians of degree 3, and the camera and background that see them."""
    scene = random_scene(4, n=n, width=width, height=height, sh_degree=3)
    gaussians = Gaussians(
        scene.means, scene.quats, scene.scales.log(), scene.opacities.logit(), scene.colors[:, :1].clone(),
        scene.colors[:, 1:].clone(),
    )  # fmt: skip
    camera = {"viewmats": scene.viewmats[:1], "Ks": scene.Ks[:1], "width": width, "height": height}
    return gaussians, {**camera, "backgrounds": torch.tensor([[0.1, 0.6, 0.3]])}


def activated(gaussians: Gaussians, *, sh_degree: int, **settings: Any) -> Any:
    colors = gaussians.sh0 if sh_degree == 0 else (gaussians.sh0, gaussians.shN)
    return rasterize(
        gaussians.means, gaussians.quats, gaussians.scales, gaussians.opacities, colors,
        sh_degree=sh_degree, **settings,
    )  # fmt: skip


def outcome(
    render: Render, gaussians: Gaussians, settings: dict[str, Any], of_alpha: bool
) -> dict[str, Tensor | None]:
    """All that is rendered, and the gradients of a random loss of it."""
    leaves = gaussians.map(lambda tensor: tensor.clone().requires_grad_())
    image, alpha, meta = render(leaves, **settings)
    meta["means2d"].retain_grad()
    generator = torch.Generator().manual_seed(7)
    weights = torch.rand(image.shape, generator=generator) - 0.3
    loss = (image * weights).sum()
    (loss + 0.7 * alpha.square().sum() if of_alpha else loss).backward()
    found = {name: tensor.grad for name, tensor in leaves.tensors().items()}
    found |= {"image": image.detach(), "alpha": alpha.detach(), "pull": meta["means2d"].grad}
    if settings["absgrad"]:
        found["absgrad"] = meta["means2d"].absgrad
    told = ("means2d", "radii", "depths", "conics", "opacities")
    return found | {name: meta[name].detach() for name in told}


@pytest.mark.parametrize("of_alpha", [False, True])
@pytest.mark.parametrize("absgrad", [False, True])
@pytest.mark.parametrize("degree", [0, 1, 2, 3])
@pytest.mark.parametrize("n", [1, 15, 16, 17, 120])
def test_image_meta_and_gradients_are_the_same_to_the_bit(
    n: int, degree: int, absgrad: bool, of_alpha: bool
) -> None:
    gaussians, camera = stored(n)
    settings = {**camera, "sh_degree": degree, "absgrad": absgrad}
    ours = outcome(rasterize_stored, gaussians, settings, of_alpha)
    truth = outcome(activated, gaussians, settings, of_alpha)
    assert ours.keys() == truth.keys()
    for name, tensor in truth.items():
        other = ours[name]
        if tensor is None:
            assert other is None, name
        else:
            assert other is not None
            assert torch.equal(other, tensor), name
    assert (ours["shN"] is None) == (degree == 0)
    assert ours["means"] is not None
    assert bool(ours["means"].any())


def test_gaussians_out_of_view_have_no_gradient() -> None:
    gaussians, camera = stored()
    hidden = torch.arange(120) % 3 == 1
    centre = -camera["viewmats"][0, :3, :3].T @ camera["viewmats"][0, :3, 3]
    gaussians.means[hidden] = 2 * centre - gaussians.means[hidden]  # behind the camera
    found = outcome(rasterize_stored, gaussians, {**camera, "sh_degree": 3, "absgrad": True}, True)
    for name in FIELDS:
        gradient = found[name]
        assert gradient is not None
        assert not gradient[hidden].any(), name
        assert gradient[~hidden].any(), name
    for name in ("pull", "absgrad"):
        gradient = found[name]
        assert gradient is not None
        assert not gradient[0, hidden].any(), name


def test_nothing_in_view_is_the_background_without_gradients() -> None:
    gaussians, camera = stored()
    gaussians.means.add_(1000.0)
    found = outcome(rasterize_stored, gaussians, {**camera, "sh_degree": 3, "absgrad": False}, True)
    image = found["image"]
    assert image is not None
    assert torch.equal(image, camera["backgrounds"].expand(image.shape))
    for name in FIELDS:
        gradient = found[name]
        assert gradient is not None
        assert not gradient.any(), name


def test_without_gradients_nothing_is_kept_for_them() -> None:
    gaussians, camera = stored()
    with torch.no_grad():
        image, alpha, meta = rasterize_stored(gaussians, **camera, sh_degree=3)
    assert not any(tensor.requires_grad for tensor in (image, alpha, meta["means2d"]))
    assert torch.equal(image, activated(gaussians, **camera, sh_degree=3)[0])


def test_other_backends_get_what_is_activated() -> None:
    gaussians, camera = stored(20)
    ours = rasterize_stored(gaussians, **camera, sh_degree=2, backend="reference")[0]
    assert torch.equal(ours, activated(gaussians, **camera, sh_degree=2, backend="reference")[0])


@pytest.mark.parametrize(
    ("name", "told", "value"),
    [
        ("means", "means", math.nan), ("means", "means", math.inf), ("quats", "quats", math.inf),
        ("log_scales", "scales", math.nan), ("log_scales", "scales", math.inf),
        ("logit_opacities", "opacities", math.nan), ("sh0", r"colors\[0\]", math.nan),
        ("shN", r"colors\[1\]", -math.inf), ("viewmats", "viewmats", math.nan), ("Ks", "Ks", math.inf),
        ("backgrounds", "backgrounds", math.nan),
    ],
)  # fmt: skip
def test_not_finite_is_refused_by_name(name: str, told: str, value: float) -> None:
    gaussians, camera = stored(20)
    tensor = getattr(gaussians, name) if name in FIELDS else camera[name]
    tensor.reshape(-1)[-1] = value
    with pytest.raises(SplatError, match=rf"^{told}: 1 of"):
        rasterize_stored(gaussians, **camera, sh_degree=3)


def test_scales_beyond_float32_are_refused() -> None:
    gaussians, camera = stored(20)
    gaussians.log_scales[3, 0] = 100.0
    with pytest.raises(SplatError, match=r"^scales: 1 of 60 values are NaN or infinite, in 1 of 20 rows"):
        rasterize_stored(gaussians, **camera, sh_degree=3)


def test_shapes_that_do_not_fit_are_refused() -> None:
    gaussians, camera = stored(20)
    with pytest.raises(ValueError, match=r"^backgrounds: shape"):
        rasterize_stored(gaussians, **{**camera, "backgrounds": torch.zeros(2, 3)}, sh_degree=3)


@pytest.mark.parametrize("name", ["means", "quats", "sh0", "shN"])
def test_parameters_must_not_change_before_the_backward_pass(name: str) -> None:
    gaussians, camera = stored(20)
    leaves = gaussians.map(lambda tensor: tensor.clone().requires_grad_())
    image, _, _ = rasterize_stored(leaves, **camera, sh_degree=3)
    with torch.no_grad():
        getattr(leaves, name).add_(0.1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        image.sum().backward()


@pytest.mark.parametrize("degree", [0, 3])
@pytest.mark.parametrize("n", [600, 3000, 9000])
def test_who_is_hidden_beside_a_gaussian_has_no_part_in_its_gradient(n: int, degree: int) -> None:
    """Gaussians go through the kernels in pieces, which end elsewhere where there are others in between."""
    gaussians, camera = stored(n)
    hidden = gaussians.map(lambda tensor: tensor[: n // 3].clone())
    hidden.means[:] = torch.linalg.inv(camera["viewmats"][0])[:3, :3] @ torch.tensor([0.0, 0.0, -50.0])
    own = torch.sort(torch.randperm(n + n // 3, generator=torch.Generator().manual_seed(2))[:n]).values
    mixed = gaussians.map(lambda tensor: tensor.new_zeros(n + n // 3, *tensor.shape[1:]))
    others = torch.ones(n + n // 3, dtype=torch.bool)
    others[own] = False
    for name, tensor in mixed.tensors().items():
        tensor[own], tensor[others] = gaussians.tensors()[name], hidden.tensors()[name]
    settings = {**camera, "sh_degree": degree, "absgrad": True}
    alone, among = (outcome(rasterize_stored, some, settings, True) for some in (gaussians, mixed))
    for name in (*FIELDS, "pull", "absgrad"):
        one, other = alone[name], among[name]
        if one is None or other is None:
            assert one is other is None
            continue
        rows = (lambda tensor: tensor[0]) if name in ("pull", "absgrad") else (lambda tensor: tensor)
        assert torch.equal(rows(other)[own], rows(one)), name
        assert not bool(rows(other)[others].any()), name
