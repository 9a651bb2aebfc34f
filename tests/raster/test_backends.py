"""Every backend against the float64 reference: values, all gradients, depth, absolute gradients, weights."""

from dataclasses import replace

import pytest
import torch

from gaussians.raster import blend_weights, rasterize, removal_effects

from .compare import comparable_pixels, differentiate, relative_error
from .scenes import GAUSSIANS, SCENES, Scene, random_scene

# Largest error over largest truth. Worst seen on the CPU: value 4.3e-6 and gradient 1.3e-5.
VALUE_TOLERANCE = 1e-5
GRADIENT_TOLERANCE = 3e-5
# Expected depth divides by alpha, of which a single faint Gaussian leaves 1/255. Worst seen on the CPU:
# value 6e-6, gradient 9.9e-5; the float32 reference errs as much.
EXPECTED_DEPTH_FACTOR = 8

DEVICES = {"cpu": "cpu", "reference": "cpu", "cuda": "cuda"}


def slack(backend: str) -> float:
    """What tolerances are multiplied by. gsplat is compiled with fast intrinsics: 10 is not yet measured."""
    return 10 if backend == "cuda" else 1


def compare(scene: Scene, backend: str, absgrad: bool = False) -> None:
    pixels = comparable_pixels(scene)
    assert pixels.double().mean() > 0.95, "the scene is all jumps: choose another seed"
    truth = differentiate(scene.to(torch.float64), "reference", pixels, absgrad)
    ours = differentiate(scene.to(DEVICES[backend]), backend, pixels, absgrad)
    assert ours.render.dtype == ours.alpha.dtype == torch.float32
    keep = pixels[..., None]
    errors = {
        "render": relative_error(ours.render.cpu() * keep, truth.render * keep),
        "alpha": relative_error(ours.alpha.cpu() * keep, truth.alpha * keep),
    }
    expected_depth = scene.settings.get("render_mode", "").endswith("ED")
    factor = slack(backend) * (EXPECTED_DEPTH_FACTOR if expected_depth else 1)
    assert max(errors.values()) < VALUE_TOLERANCE * factor, errors
    assert ours.grads.keys() == truth.grads.keys()
    gradient_errors = {name: relative_error(ours.grads[name], truth.grads[name]) for name in truth.grads}
    assert max(gradient_errors.values()) < GRADIENT_TOLERANCE * factor, gradient_errors


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", SCENES)
def test_value_and_gradients(backend: str, name: str, seed: int) -> None:
    compare(SCENES[name](seed), backend, absgrad=True)


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_spherical_harmonics_of_each_degree(backend: str, degree: int) -> None:
    compare(random_scene(2, n=60, sh_degree=degree), backend)


@pytest.mark.parametrize("degree", [0, 1, 2])
def test_fewer_bands_than_coefficients(backend: str, degree: int) -> None:
    scene = random_scene(3, n=40, sh_degree=3).with_settings(sh_degree=degree)
    compare(scene, backend)
    outcome = differentiate(scene.to(DEVICES[backend]), backend, comparable_pixels(scene))
    assert not outcome.grads["colors"][:, (degree + 1) ** 2 :].any()


# Sixteen Gaussians are computed at a time, the last of them perhaps twice; fewer one by one.
@pytest.mark.parametrize("n", [1, 15, 16, 17, 33])
def test_harmonics_of_any_number_of_gaussians(backend: str, n: int) -> None:
    compare(random_scene(9, n=n, sh_degree=3), backend)


@pytest.mark.parametrize("n", [3, 20])
def test_few_gaussians_in_two_cameras(backend: str, n: int) -> None:
    scene = random_scene(9, n=n, sh_degree=3)
    aside = scene.viewmats.clone()
    aside[:, 0, 3] += 0.3
    behind = scene.settings["backgrounds"].repeat(2, 1)
    both = replace(scene, viewmats=torch.cat([scene.viewmats, aside]), Ks=scene.Ks.repeat(2, 1, 1))
    compare(both.with_settings(backgrounds=behind), backend)


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_harmonics_in_two_tensors(backend: str, degree: int) -> None:
    scene = random_scene(3, n=40, sh_degree=3).with_settings(sh_degree=degree).to(DEVICES[backend])
    whole, first, others = scene.colors, scene.colors[:, :1], scene.colors[:, 1:].contiguous()
    leaves = [tensor.clone().requires_grad_() for tensor in (whole, first, others)]
    renders = [
        rasterize(*replace(scene, colors=colors).arguments(), **scene.settings, backend=backend)[0]
        for colors in (leaves[0], (leaves[1], leaves[2]))
    ]
    assert torch.equal(*renders)
    for render in renders:
        render.square().sum().backward()
    grads = [leaf.grad for leaf in leaves if leaf.grad is not None]
    torch.testing.assert_close(torch.cat(grads[1:], dim=1), grads[0])


@pytest.mark.parametrize("mode", ["RGB", "D", "ED", "RGB+D", "RGB+ED"])
@pytest.mark.parametrize("sh_degree", [None, 1])
def test_render_modes(backend: str, mode: str, sh_degree: int | None) -> None:
    compare(random_scene(4, n=60, sh_degree=sh_degree).with_settings(render_mode=mode), backend)


@pytest.mark.parametrize("channels", [1, 2, 4, 7])
def test_any_number_of_channels(backend: str, channels: int) -> None:
    compare(random_scene(5, n=50, channels=channels), backend)


def test_absolute_gradients_of_four_channels(backend: str) -> None:
    compare(random_scene(5, n=50, channels=4), backend, absgrad=True)


@pytest.mark.parametrize(("backend", "at_once"), [("cpu", 4), ("cuda", 32)])
def test_absolute_gradients_need_a_single_pass(backend: str, at_once: int) -> None:
    for channels, mode in [(at_once + 1, "RGB"), (at_once, "RGB+D")]:
        scene = random_scene(5, n=9, channels=channels)
        with pytest.raises(ValueError, match=f"absgrad: {at_once + 1} channels, at most {at_once}"):
            rasterize(*scene.arguments(), render_mode=mode, absgrad=True, backend=backend)


def test_no_background_is_black(backend: str) -> None:
    scene = random_scene(6, n=30)
    compare(scene.with_settings(backgrounds=None), backend)
    black = scene.with_settings(backgrounds=torch.zeros(1, 3)).to(DEVICES[backend])
    none = scene.with_settings(backgrounds=None).to(DEVICES[backend])
    renders = [rasterize(*s.arguments(), **s.settings, backend=backend)[0] for s in (black, none)]
    assert torch.equal(*renders)


@pytest.mark.parametrize(("width", "height"), [(1, 1), (16, 16), (17, 15), (33, 47), (3, 64), (64, 1)])
def test_sizes_that_tiles_do_not_divide(backend: str, width: int, height: int) -> None:
    scene = random_scene(7, n=50, width=width, height=height)
    # Kept in view whatever the size.
    scene = replace(scene, Ks=scene.Ks * torch.tensor([[[40 / width], [40 / width], [1.0]]]))
    scene.Ks[0, 0, 2], scene.Ks[0, 1, 2] = width / 2, height / 2
    compare(scene, backend, absgrad=True)


@pytest.mark.parametrize(
    "settings", [{"near_plane": 3.9}, {"far_plane": 4.2}, {"eps2d": 0.0}, {"eps2d": 1.5}]
)
def test_planes_and_blur(backend: str, settings: dict[str, float]) -> None:
    scene = random_scene(8, n=60).with_settings(**settings)
    pixels = torch.ones(1, scene.height, scene.width, dtype=torch.bool)
    truth = differentiate(scene.to(torch.float64), "reference", pixels)
    ours = differentiate(scene.to(DEVICES[backend]), backend, pixels)
    visible = (truth.meta["radii"] > 0).all(dim=-1)
    if "eps2d" not in settings:
        assert 0 < visible.sum() < 60
    assert torch.equal((ours.meta["radii"].cpu() > 0).all(dim=-1), visible)
    # Pixels near a jump are not left out here (margins are those of the default settings): one step of
    # 1/255 at most, in a few pixels. Worst seen: none.
    different = (ours.render.cpu() - truth.render).abs().amax(dim=-1) > VALUE_TOLERANCE * slack(backend)
    assert different.double().mean() < 0.005


def test_meta_is_gsplats(backend: str) -> None:
    scene = SCENES["two cameras"](0)
    pixels = comparable_pixels(scene)
    truth = differentiate(scene.to(torch.float64), "reference", pixels).meta
    meta = differentiate(scene.to(DEVICES[backend]), backend, pixels).meta
    assert meta["radii"].dtype == torch.int32
    for name in ("width", "height", "n_cameras", "tile_size", "tile_width", "tile_height"):
        assert meta[name] == truth[name]
    assert meta["gaussian_ids"] is None
    assert meta["camera_ids"] is None
    visible = (truth["radii"] > 0).all(dim=-1)
    assert 0 < visible.sum() < visible.numel()
    # ceil() may round the other way; worst seen: 0.
    assert (meta["radii"].cpu() - truth["radii"]).abs().max() <= 1
    for name in ("means2d", "depths", "conics", "opacities"):
        ours = meta[name].detach().cpu()
        # Worst seen: 3e-7.
        assert relative_error(ours[visible], truth[name].detach()[visible]) < 1e-6 * slack(backend), name


@pytest.mark.parametrize("name", SCENES)
def test_blend_weights(backend: str, name: str) -> None:
    scene = SCENES[name](3)
    weights, counts = blend_weights(*scene.to(DEVICES[backend]).without_colors(), backend=backend)
    truth, true_counts = blend_weights(*scene.to(torch.float64).without_colors(), backend="reference")
    assert weights.dtype == counts.dtype == torch.float32
    assert true_counts.max() > 20
    # Jumps cannot be left out here: a pixel of alpha 1/255 more or less.
    # Worst seen: weights 2e-6, counts equal.
    assert relative_error(weights, truth) < 2e-5 * slack(backend)
    assert (counts.cpu() - true_counts).abs().max() <= 1
    assert (counts.cpu() != true_counts).double().mean() < 0.05


def test_blend_weights_add_up_to_alpha(backend: str) -> None:
    scene = SCENES["two cameras"](1).to(DEVICES[backend])
    weights, _ = blend_weights(*scene.without_colors(), backend=backend)
    _, alpha, _ = rasterize(*scene.arguments(), **scene.settings, backend=backend)
    # Worst seen: 6e-8.
    assert weights.sum().item() == pytest.approx(alpha.sum().item(), rel=1e-5)


def test_pixel_weights_weigh_the_sum_and_leave_the_count(backend: str) -> None:
    scene = SCENES["two cameras"](1)
    plain = scene.to(DEVICES[backend]).without_colors()
    render, _, _ = rasterize(*scene.arguments(), **scene.settings, backend="reference")
    pixels = torch.rand(render.shape[:3], generator=torch.Generator().manual_seed(0))
    weights, counts = blend_weights(*plain, pixel_weights=pixels.to(DEVICES[backend]), backend=backend)
    exact = scene.to(torch.float64).without_colors()
    truth, _ = blend_weights(*exact, pixel_weights=pixels.double(), backend="reference")
    unweighted, true_counts = blend_weights(*plain, backend=backend)
    # Worst seen as without weights.
    assert relative_error(weights, truth) < 2e-5 * slack(backend)
    assert torch.equal(counts, true_counts)
    assert 0.3 < float(weights.sum() / unweighted.sum()) < 0.7
    with pytest.raises(ValueError, match="pixel_weights"):
        blend_weights(*plain, pixel_weights=pixels[:, :-1].to(DEVICES[backend]), backend=backend)


def weighed(scene: Scene) -> torch.Tensor:
    """[C, H, W] of what a pixel counts: between 0 and 1, and nothing in the left third."""
    weights = torch.rand(
        len(scene.viewmats), scene.height, scene.width, generator=torch.Generator().manual_seed(0)
    )
    weights[:, :, : scene.width // 3] = 0
    return weights


@pytest.mark.parametrize("name", ["clusters", "two cameras", "close-up", "needles"])
def test_removal_effects(backend: str, name: str) -> None:
    scene = SCENES[name](3)
    exact, weights = scene.to(torch.float64), weighed(scene)
    truth = removal_effects(
        *exact.arguments(), **exact.settings, pixel_weights=weights.double(), backend="reference"
    )
    assert int((truth > 0).sum()) > 10
    there, pixels = scene.to(DEVICES[backend]), weights.to(DEVICES[backend])
    if backend != "cuda":  # which estimates
        ours = removal_effects(*there.arguments(), **there.settings, pixel_weights=pixels, backend=backend)
        assert ours.dtype == torch.float32
        assert relative_error(ours, truth) < 5e-6  # worst seen: 8e-7, float32 reference 1.7e-6
        unweighted = removal_effects(*there.arguments(), **there.settings, backend=backend)
        assert bool((unweighted >= ours).all())
        assert float(unweighted.sum()) > 1.5 * float(ours.sum())
    with pytest.raises(ValueError, match="pixel_weights"):
        removal_effects(*there.arguments(), **there.settings, pixel_weights=pixels[:, :-1], backend=backend)


@pytest.mark.parametrize("place", [0, 7, 19])
def test_a_removal_effect_is_what_removal_changes(place: int) -> None:
    """The oracle's oracle: the image with and without one."""
    scene = SCENES["two cameras"](2).to(torch.float64)
    weights = weighed(scene).double()
    effects = removal_effects(
        *scene.arguments(), **scene.settings, pixel_weights=weights, backend="reference"
    )
    index = int(effects.argsort(descending=True)[place])
    kept = torch.arange(len(scene.means)) != index
    less = replace(scene, **{name: getattr(scene, name)[kept] for name in GAUSSIANS})
    images = [rasterize(*each.arguments(), **each.settings, backend="reference")[0] for each in (scene, less)]
    changes = (images[1] - images[0]).square().sum(dim=-1) * weights
    # But where its absence lets others be drawn, at a transmittance of 1e-4.
    assert changes.sum().item() == pytest.approx(effects[index].item(), rel=1e-3)
