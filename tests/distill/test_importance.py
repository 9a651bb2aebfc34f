from dataclasses import replace

import numpy as np
import pytest
import torch

from gaussians.camera import Camera
from gaussians.distill.importance import (
    Lookout,
    highest,
    importance,
    importance_sample,
    keep_mass,
    some_views,
    spread_views,
)
from gaussians.model import Gaussians
from gaussians.raster import rasterize
from gaussians.scene.types import View


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def cloud(count: int = 80) -> Gaussians:
    draw = generator(1)
    return Gaussians(
        means=torch.randn(count, 3, generator=draw) * 0.6 + torch.tensor([0.0, 0.0, 3.0]),
        quats=torch.randn(count, 4, generator=draw),
        log_scales=torch.randn(count, 3, generator=draw) * 0.4 - 2,
        logit_opacities=torch.randn(count, generator=draw),
        sh0=torch.zeros(count, 1, 3),
        shN=torch.zeros(count, 0, 3),
    )


def cameras(count: int = 3) -> list[Camera]:
    views = []
    for index in range(count):
        viewmat = np.eye(4)
        viewmat[0, 3] = 0.3 * index
        views.append(Camera(viewmat, np.array([[30.0, 0, 17], [0, 30, 13], [0, 0, 1]]), 34, 27))
    return views


def summed_weights(gaussians: Gaussians, camera: Camera) -> torch.Tensor:
    """∂ Σ pixels / ∂ a constant colour of each Gaussian, by the float64 reference."""
    colors = torch.ones(len(gaussians), 1, dtype=torch.float64, requires_grad=True)
    args = {name: value.double() for name, value in gaussians.tensors().items()}
    double = Gaussians(**args)
    view = camera.tensors()
    view = {**view, "viewmats": view["viewmats"].double(), "Ks": view["Ks"].double()}
    image, _, _ = rasterize(
        double.means, double.quats, double.scales, double.opacities, colors, **view, backend="reference"
    )
    image.sum().backward()
    assert colors.grad is not None
    return colors.grad[:, 0].float()


def test_importance_is_the_gradient_of_the_image_by_a_constant_colour() -> None:
    gaussians = cloud()
    expected = torch.stack([summed_weights(gaussians, camera) for camera in cameras()])
    ours = importance(gaussians, Lookout(cameras()))
    torch.testing.assert_close(ours, expected.sum(0), rtol=1e-3, atol=1e-3)
    assert float(expected.max()) > 20


def test_area_importance_is_below_one_a_view_and_prefers_the_opaque() -> None:
    gaussians = cloud()
    scores = importance(gaussians, Lookout(cameras()), "area")
    weights = importance(gaussians, Lookout(cameras()))
    assert float(scores.max()) <= 3
    assert bool(((scores > 0) == (weights > 0)).all())
    assert not torch.equal(highest(scores, 20), highest(weights, 20))


def test_many_views_are_thinned_evenly() -> None:
    assert spread_views(5, 200) == [0, 1, 2, 3, 4]
    assert spread_views(301, 4) == [0, 100, 200, 300]
    assert spread_views(7, 1) == [0]
    assert spread_views(0, 5) == []
    some = importance(cloud(), Lookout(cameras(5)), views=[0, 2, 4])
    chosen = [cameras(5)[index] for index in (0, 2, 4)]
    torch.testing.assert_close(some, importance(cloud(), Lookout(chosen)))


def test_some_views_are_others_for_another_seed() -> None:
    assert some_views(4, 9, 0) == [0, 1, 2, 3]
    drawn = [some_views(50, 7, seed) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(set(drawn[0])) == 7
    assert drawn[0] == sorted(drawn[0])


def test_masked_pixels_do_not_count() -> None:
    left = np.zeros((27, 34), dtype=bool)
    left[:, :17] = True
    gaussians, camera = cloud(), cameras(1)
    whole = importance(gaussians, Lookout(camera))
    halves = [importance(gaussians, Lookout(camera, [mask])) for mask in (left, ~left)]
    torch.testing.assert_close(halves[0] + halves[1], whole, rtol=1e-4, atol=1e-4)
    assert float((halves[0] - halves[1]).abs().max()) > 5
    nothing = [np.zeros((27, 34), dtype=bool)]
    assert float(importance(gaussians, Lookout(camera, nothing), "effect").max()) == 0


@pytest.mark.parametrize(("most", "size"), [(1, (400, 300)), (2, (200, 150)), (4, (200, 150))])
def test_large_views_may_be_looked_at_smaller(most: int, size: tuple[int, int]) -> None:
    mask = np.ones((300, 400), dtype=bool)
    mask[0, 0] = False
    pinhole = np.array([[300.0, 0, 200], [0, 300, 150], [0, 0, 1]])
    large = View("a", Camera(np.eye(4), pinhole, 400, 300), np.zeros((300, 400, 3), np.uint8), mask=mask)
    small = View("b", Camera(np.eye(4), pinhole, 100, 80), np.zeros((80, 100, 3), np.uint8))
    look = Lookout.of([large, small], (0, 0, 0), most=most)
    assert [(camera.width, camera.height) for camera in look.cameras] == [size, (100, 80)]
    assert look.masks[0] is not None
    assert look.masks[0].shape == size[::-1]
    assert not look.masks[0][0, 0]
    assert int((~look.masks[0]).sum()) == 1
    assert look.masks[1] is None


@pytest.mark.parametrize("kind", ["effect", "weight"])
def test_a_smaller_view_of_a_photo_counts_as_much_as_the_photo(kind: str) -> None:
    draw = generator(2)
    broad = replace(
        cloud(20),
        means=torch.rand(20, 3, generator=draw) - torch.tensor([0.5, 0.5, -2.0]),
        log_scales=torch.full((20, 3), -1.5),
    )
    pinhole = np.array([[300.0, 0, 200], [0, 300, 150], [0, 0, 1]])
    mask = np.ones((300, 400), dtype=bool)
    mask[:, :100] = False
    view = View("a", Camera(np.eye(4), pinhole, 400, 300), np.zeros((300, 400, 3), np.uint8), mask=mask)
    full, small = (importance(broad, Lookout.of([view], (0.0, 0.0, 0.0), most=most), kind) for most in (1, 2))
    torch.testing.assert_close(small.sum(), full.sum(), rtol=0.1, atol=0)


def test_opacity_is_an_importance_of_its_own() -> None:
    assert torch.equal(importance(cloud(), Lookout(cameras()), "opacity"), cloud().opacities)


def test_effect_is_what_removal_changes() -> None:
    """Against renders without one Gaussian at a time."""
    gaussians, camera = cloud(12), cameras(1)
    behind = torch.tensor([[0.2, 0.5, 0.8]])
    effects = importance(gaussians, Lookout(camera, background=(0.2, 0.5, 0.8)), "effect")

    def image(opacities: torch.Tensor) -> torch.Tensor:
        settings = gaussians.render_args() | {"opacities": opacities}
        return rasterize(**settings, **camera[0].tensors(), backgrounds=behind)[0]

    whole, changes = image(gaussians.opacities), []
    for index in range(12):
        without = gaussians.opacities.clone()
        without[index] = 0
        changes.append((image(without) - whole).square().sum())
    truth = torch.stack(changes)
    assert float(truth.max()) > 10 * float(truth.min())
    torch.testing.assert_close(effects, truth, rtol=1e-4, atol=0)


@pytest.mark.parametrize(("count", "spared"), [(1, 0), (4, 3 / 16), (17, 1), (20, 1)])
def test_effect_is_what_all_views_but_one_would_miss_if_there_are_many(count: int, spared: float) -> None:
    gaussians = cloud()
    single = torch.stack([importance(gaussians, Lookout([camera]), "effect") for camera in cameras(count)])
    together = importance(gaussians, Lookout(cameras(count)), "effect")
    expected = single.sum(dim=0) - spared * single.amax(dim=0)
    torch.testing.assert_close(together, expected, rtol=1e-5, atol=1e-5)
    assert float(together.max()) > 1


def test_of_many_views_what_only_one_sees_counts_nothing() -> None:
    once = cloud()
    once.means[0] = torch.tensor([-3.0, 0.0, 3.0])  # only the last of them sees it
    last = cameras(12)[11]
    assert float(importance(once, Lookout([last]), "effect")[0]) > 0.01
    assert float(importance(once, Lookout([*cameras(1) * 16, last]), "effect")[0]) == 0
    assert float(importance(once, Lookout([*cameras(1), last]), "effect")[0]) > 0.01


def test_of_few_views_pruning_by_effect_keeps_what_each_sees() -> None:
    """Three cameras at one place that look at different parts: none can be spared."""
    gaussians = cloud(90)
    turns = torch.tensor([0.0, 2.1, -2.1])  # radians about y
    c, s = turns.cos().repeat_interleave(30), turns.sin().repeat_interleave(30)
    x, y, z = gaussians.means.unbind(dim=1)
    gaussians.means[:] = torch.stack([c * x + s * z, y, c * z - s * x], dim=1)
    views = []
    for turn in turns.tolist():
        viewmat = np.eye(4)
        viewmat[:3, :3] = [[np.cos(turn), 0, -np.sin(turn)], [0, 1, 0], [np.sin(turn), 0, np.cos(turn)]]
        views.append(Camera(viewmat, cameras(1)[0].K, 34, 27))
    each = torch.stack([importance(gaussians, Lookout([view]), "effect") for view in views])
    assert bool(((each > 0).sum(dim=0) <= 1).all())  # no Gaussian is seen twice
    kept = highest(importance(gaussians, Lookout(views), "effect"), 30)
    shares = each[:, kept].sum(dim=1) / each.sum(dim=1)
    assert float(shares.min()) > 0.6, shares


def test_highest_keeps_the_count_and_the_order() -> None:
    scores = torch.tensor([1.0, 5, 3, 5, 0, 3])
    assert highest(scores, 3).tolist() == [False, True, True, True, False, False]
    assert highest(scores, 99).all()
    assert not highest(scores, 0).any()


@pytest.mark.parametrize(("mass", "kept"), [(0.5, 1), (0.51, 2), (0.75, 2), (0.8, 3), (0.99, 4), (1.0, 4)])
def test_mass_keeps_the_fewest_that_suffice(mass: float, kept: int) -> None:
    scores = torch.tensor([0.0, 0.125, 0.25, 0.5, 0.125])
    mask = keep_mass(scores, mass)
    assert int(mask.sum()) == kept
    assert float(scores[mask].sum()) >= mass * float(scores.sum())
    assert mask[3]


def test_sampling_follows_the_importance() -> None:
    scores = torch.tensor([4.0, 2.0, 1.0, 1.0, 0.0])
    drawn = torch.stack([importance_sample(scores, 1, generator(seed)) for seed in range(4000)])
    assert drawn.sum(1).eq(1).all()
    frequency = drawn.float().mean(0)
    # three standard deviations of a binomial share; worst seen 0.012
    torch.testing.assert_close(frequency, scores / 8, atol=0.025, rtol=0)


def test_sampling_without_replacement_matches_torch() -> None:
    scores = torch.tensor([4.0, 2.0, 1.0, 1.0])
    ours = (
        torch.stack([importance_sample(scores, 2, generator(seed)) for seed in range(4000)]).float().mean(0)
    )
    theirs = torch.zeros(4)
    draw = generator(9)
    for _ in range(4000):
        theirs[torch.multinomial(scores, 2, generator=draw)] += 1 / 4000
    torch.testing.assert_close(ours, theirs, atol=0.04, rtol=0)  # worst seen 0.013


def test_sampling_is_reproducible_and_never_takes_the_useless() -> None:
    scores = torch.rand(1000, generator=generator()) * (torch.arange(1000) % 2)
    first = importance_sample(scores, 300, generator(5))
    assert torch.equal(first, importance_sample(scores, 300, generator(5)))
    assert not torch.equal(first, importance_sample(scores, 300, generator(6)))
    assert int(first.sum()) == 300
    assert int(importance_sample(scores, 900, generator(5)).sum()) == int((scores > 0).sum())
