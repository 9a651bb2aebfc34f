"""The CUDA backend without a GPU: gsplat's own Python over stand-in kernels."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from gaussians.errors import SplatError
from gaussians.raster import blend_weights, cuda, cuda_gsplat, cuda_stages, rasterize, removal_effects

from .compare import comparable_pixels, differentiate, relative_error
from .scenes import GAUSSIANS, SCENES, Scene, random_scene


def small(name: str) -> Scene:
    """Few enough pixels for loops in Python, more than one tile each way."""
    scene = SCENES[name](0)
    fewer = {field: getattr(scene, field)[:24] for field in GAUSSIANS}
    width, height = int(0.4 * scene.width), int(0.5 * scene.height)
    Ks = scene.Ks * torch.tensor([[[0.4], [0.5], [1.0]]])
    return replace(scene, **fewer, Ks=Ks, width=width, height=height)


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize("name", SCENES)
def test_gsplat_over_stand_in_kernels_is_the_reference(name: str) -> None:
    scene = small(name)
    pixels = comparable_pixels(scene)
    truth = differentiate(scene.to(torch.float64), "reference", pixels, absgrad=True)
    ours = differentiate(scene, "cuda", pixels, absgrad=True)
    # Worst seen: render 8e-7, alpha 1.1e-6, gradients 3e-6 (over-opaque).
    assert relative_error(ours.render * pixels[..., None], truth.render * pixels[..., None]) < 1e-5
    assert relative_error(ours.alpha * pixels[..., None], truth.alpha * pixels[..., None]) < 1e-5
    assert ours.grads.keys() == truth.grads.keys()
    errors = {key: relative_error(ours.grads[key], truth.grads[key]) for key in truth.grads}
    assert max(errors.values()) < 1e-4, errors
    assert torch.equal(ours.meta["radii"], truth.meta["radii"])
    assert truth.meta.keys() <= ours.meta.keys()


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize("mode", ["D", "ED", "RGB+D", "RGB+ED"])
def test_depth_modes(mode: str) -> None:
    scene = small("two cameras").with_settings(render_mode=mode)
    pixels = comparable_pixels(scene)
    truth = differentiate(scene.to(torch.float64), "reference", pixels)
    ours = differentiate(scene, "cuda", pixels)
    # Worst seen: 4.4e-6 and 8.0e-5 (ED).
    assert relative_error(ours.render * pixels[..., None], truth.render * pixels[..., None]) < 2e-5
    assert ours.grads.keys() == truth.grads.keys()
    for key, grad in truth.grads.items():
        assert relative_error(ours.grads[key], grad) < 2e-4, key


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize("mode", ["RGB", "ED", "RGB+ED"])
def test_packed_lists_the_visible_pairs(mode: str) -> None:
    scene = small("two cameras").with_settings(render_mode=mode)
    pixels = torch.ones(2, scene.height, scene.width, dtype=torch.bool)
    full = differentiate(scene, "cuda", pixels)
    packed = differentiate(scene.with_settings(packed=True), "cuda", pixels)
    full_meta, meta = full.meta, packed.meta
    assert relative_error(packed.render, full.render) < 1e-6
    for name in full.grads.keys() - {"means2d"}:
        assert relative_error(packed.grads[name], full.grads[name]) < 1e-5, name
    cameras, gaussians = torch.where((full_meta["radii"] > 0).all(dim=-1))
    assert 0 < len(gaussians) < 2 * len(scene.means)
    assert torch.equal(meta["camera_ids"], cameras)
    assert torch.equal(meta["gaussian_ids"], gaussians)
    assert meta["means2d"].shape == (len(gaussians), 2)


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize(
    "settings",
    [{"near_plane": 3.9}, {"far_plane": 4.1}, {"eps2d": 1.5}],
    ids=lambda settings: next(iter(settings)),
)
def test_settings_reach_gsplat(settings: dict[str, float]) -> None:
    scene = small("cloud")
    truth = rasterize(*scene.arguments(), **scene.settings, **settings, backend="reference")[0]
    default = rasterize(*scene.arguments(), **scene.settings, backend="reference")[0]
    assert (truth - default).abs().max() > 0.01
    ours = rasterize(*scene.arguments(), **scene.settings, **settings, backend="cuda")[0]
    assert ((ours - truth).abs() > 1e-5).double().mean() < 0.01
    weights, counts = blend_weights(*scene.without_colors(), **settings, backend="cuda")
    true_weights, true_counts = blend_weights(*scene.without_colors(), **settings, backend="reference")
    assert relative_error(weights, true_weights) < 1e-4
    assert torch.equal(counts, true_counts)


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize("name", ["clusters", "close-up", "two cameras", "over-opaque"])
def test_blend_weights(name: str) -> None:
    scene = small(name)
    with torch.no_grad():
        weights, counts = blend_weights(*scene.without_colors(), backend="cuda")
    truth, true_counts = blend_weights(*scene.without_colors(), backend="reference")
    assert not weights.requires_grad
    assert true_counts.max() > 10
    assert relative_error(weights, truth) < 1e-5
    assert torch.equal(counts, true_counts)


@pytest.mark.usefixtures("stand_in")
def test_pixel_weights_reach_every_camera() -> None:
    scene = small("two cameras")
    height, width = rasterize(*scene.arguments(), **scene.settings, backend="reference")[0].shape[1:3]
    pixels = torch.rand(2, height, width, generator=torch.Generator().manual_seed(0))
    weights, _ = blend_weights(*scene.without_colors(), pixel_weights=pixels, backend="cuda")
    truth, _ = blend_weights(*scene.without_colors(), pixel_weights=pixels, backend="reference")
    assert truth.max() > 0
    assert relative_error(weights, truth) < 1e-5


@pytest.mark.usefixtures("stand_in")
def test_removal_effects_are_right_in_the_mean(monkeypatch: pytest.MonkeyPatch) -> None:
    scene = small("two cameras")
    draw = torch.Generator().manual_seed(0)
    pixels = torch.rand(2, scene.height, scene.width, generator=draw)
    settings = scene.settings | {"pixel_weights": pixels}
    truth = removal_effects(*scene.arguments(), **settings, backend="reference")
    monkeypatch.setattr(cuda, "EFFECT_DRAWS", 100)
    effects = removal_effects(*scene.arguments(), **settings, generator=draw, backend="cuda")
    assert not effects.requires_grad
    large = truth > 0.1 * truth.max()
    assert int(large.sum()) > 5
    # A draw's standard deviation is 1.4 times the truth, so that of 100 is 0.14 (worst of 400: 0.09).
    torch.testing.assert_close(effects[large], truth[large], rtol=0.5, atol=0)


@pytest.mark.usefixtures("stand_in")
def test_no_gaussians_never_reach_gsplat() -> None:
    scene = random_scene(0, n=0, sh_degree=2)
    render, alpha, meta = rasterize(*scene.arguments(), **scene.settings, backend="cuda")
    assert torch.equal(render, scene.settings["backgrounds"].expand_as(render))
    assert not alpha.any()
    assert meta["means2d"].shape == (1, 0, 2)
    weights, counts = blend_weights(*scene.without_colors(), backend="cuda")
    assert weights.shape == counts.shape == (0,)
    effects = removal_effects(*scene.arguments(), **scene.settings, backend="cuda")
    assert effects.shape == (0,)


def test_nan_is_told_once_gsplat_has_rendered_and_even_if_it_has_failed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only then has the host waited for the GPU anyway."""
    calls, failures = [], [RuntimeError("out of memory")]

    def render(*args: Any) -> tuple[Any, ...]:
        calls.append(args)
        if failures:
            raise failures.pop()
        return "render", "alpha", {}

    monkeypatch.setattr(cuda_gsplat, "loaded", lambda device: None)
    monkeypatch.setattr(cuda_gsplat, "compiled", lambda: None)
    monkeypatch.setattr(cuda.cuda_stages, "render", render)
    scene = random_scene(0, n=5)
    with pytest.raises(RuntimeError, match="out of memory"):
        rasterize(*scene.arguments(), **scene.settings, backend="cuda")
    assert rasterize(*scene.arguments(), **scene.settings, backend="cuda") == ("render", "alpha", {})
    scene.means[3] = torch.nan
    failures.append(RuntimeError("out of memory"))
    for _ in range(2):
        with pytest.raises(SplatError, match=r"means: 3 of 15 values .* first in row 3"):
            rasterize(*scene.arguments(), **scene.settings, backend="cuda")
    assert len(calls) == 4
    rasterize(*scene.arguments(), **scene.settings, trusted=True, backend="cuda")
    assert len(calls) == 5
    with pytest.raises(ValueError, match="eps2d"):
        rasterize(*scene.arguments(), **scene.settings, eps2d=-1, backend="cuda")
    assert len(calls) == 5


@pytest.mark.usefixtures("stand_in")
def test_nan_with_no_gaussians_is_told_too() -> None:
    scene = random_scene(0, n=0)
    with pytest.raises(SplatError, match=r"viewmats: .* check the scene's cameras"):
        rasterize(*replace(scene, viewmats=scene.viewmats * torch.nan).arguments(), backend="cuda")


@pytest.mark.parametrize("zoom", [1.0, 2.5])
def test_where_cameras_are_is_found_without_an_inverse(zoom: float) -> None:
    turns, _ = torch.linalg.qr(torch.randn(4, 3, 3, dtype=torch.float64))
    viewmats = torch.eye(4, dtype=torch.float64).repeat(4, 1, 1)
    viewmats[:, :3] = torch.cat([zoom * turns, torch.randn(4, 3, 1, dtype=torch.float64)], dim=2)
    assert torch.allclose(cuda_stages._centres(viewmats), viewmats.inverse()[:, :3, 3])


@pytest.mark.cuda
def test_gsplat_renders_here() -> None:
    """With a device, every test of this folder that takes a backend also runs on it."""
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    assert cuda_gsplat.unavailable_reason() is None


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize("name", ["cloud", "clusters", "close-up", "over-opaque"])
def test_a_render_in_a_fixed_room_is_the_same(name: str) -> None:
    scene = small(name)
    arguments = scene.arguments()
    width, height = arguments[-2:]
    settings = {"sh_degree": None, "backgrounds": None} | scene.settings
    settings = {key: settings[key] for key in ("sh_degree", "backgrounds")} | {"absgrad": True}
    leaves = [tensor.detach().requires_grad_() for tensor in arguments[:5]]
    count = int(cuda.intersection_count(*arguments[:4], *arguments[5:]))
    outcomes = []
    for room in (None, count, count + 300):
        if room is None:
            image, alpha, meta = rasterize(*leaves, *arguments[5:], **settings, backend="cuda")
            assert len(meta["flatten_ids"]) == count > 20
        else:
            image, alpha, meta = cuda.render_within(room, *leaves, *arguments[5:], **settings)
            assert len(meta["flatten_ids"]) == room
            assert meta["total"] == count
        slope = torch.linspace(-1, 1, image.numel()).reshape(image.shape)
        outcomes.append(
            [image, alpha, *torch.autograd.grad((image * slope).sum(), leaves), meta["means2d"].absgrad]
        )
    for found in outcomes[1:]:
        assert all(torch.equal(ours, wanted) for ours, wanted in zip(found, outcomes[0], strict=True))
    assert (-(-width // 16), -(-height // 16)) > (1, 1)


@pytest.mark.usefixtures("stand_in")
def test_without_the_room_the_farthest_are_left_out() -> None:
    scene = small("cloud")
    arguments = scene.arguments()
    settings = {"sh_degree": scene.settings["sh_degree"], "backgrounds": scene.settings["backgrounds"]}
    count = int(cuda.intersection_count(*arguments[:4], *arguments[5:]))
    image, _, meta = cuda.render_within(count // 2, *arguments, **settings, absgrad=False)
    assert meta["total"] == count
    assert bool(torch.isfinite(image).all())
    depths = meta["depths"][0]
    drawn = torch.unique(meta["flatten_ids"].long())
    seen = (meta["radii"][0] > 0).all(dim=-1)
    left_out = seen.clone()
    left_out[drawn] = False
    assert left_out.any()
    assert depths[drawn].max() <= depths[left_out].min()
