"""The same numbers twice, and gradients that are slopes, on every backend."""

from dataclasses import replace

import numba
import pytest
import torch
from torch import Tensor

from gaussians.raster import blend_weights, rasterize, reference

from .compare import differentiate
from .scenes import GAUSSIANS, SCENES, Scene, random_scene
from .test_backends import DEVICES, slack


@pytest.mark.parametrize("name", ["clusters", "close-up", "two cameras"])
def test_two_runs_are_bitwise_equal(backend: str, name: str) -> None:
    if backend == "cuda":
        pytest.skip("gsplat adds gradients atomically")
    scene = SCENES[name](4)
    everywhere = torch.ones(len(scene.viewmats), scene.height, scene.width, dtype=torch.bool)
    first, second = (differentiate(scene, backend, everywhere, absgrad=True) for _ in range(2))
    assert torch.equal(first.render, second.render)
    assert torch.equal(first.alpha, second.alpha)
    assert first.grads.keys() == second.grads.keys()
    for key, grad in first.grads.items():
        assert torch.equal(grad, second.grads[key]), key
    weights = [blend_weights(*scene.without_colors(), backend=backend) for _ in range(2)]
    assert torch.equal(weights[0][0], weights[1][0])
    assert torch.equal(weights[0][1], weights[1][1])


def test_thread_count_changes_nothing_on_the_cpu() -> None:
    scene = SCENES["clusters"](5)
    everywhere = torch.ones(1, scene.height, scene.width, dtype=torch.bool)
    before = numba.get_num_threads()
    outcomes = []
    try:
        for threads in (1, min(2, before)):
            numba.set_num_threads(threads)
            outcomes.append(differentiate(scene, "cpu", everywhere, absgrad=True))
    finally:
        numba.set_num_threads(before)
    assert torch.equal(outcomes[0].render, outcomes[1].render)
    for key, grad in outcomes[0].grads.items():
        assert torch.equal(grad, outcomes[1].grads[key]), key


STEPS = {"means": 3e-3, "quats": 1e-2, "scales": 3e-3, "opacities": 1e-2, "colors": 1e-2}


@pytest.mark.parametrize("name", GAUSSIANS)
def test_gradient_is_the_slope(backend: str, name: str) -> None:
    # Few, wide Gaussians; pixels that the step cannot carry over a jump.
    scene = random_scene(21, n=12, width=24, height=19, sh_degree=2)
    scene = replace(scene, scales=scene.scales + 0.15).with_settings(render_mode="RGB+ED")
    pixels = reference.margins(*scene.to(torch.float64).without_colors()) > 0.1
    assert pixels.double().mean() > 0.4
    # Uphill in every component, or the slope would be a small difference of large terms.
    uphill = differentiate(scene.to(torch.float64), "reference", pixels).grads[name].sign().float()
    direction = uphill * torch.rand(uphill.shape, generator=torch.Generator().manual_seed(1))

    def loss(moved: Scene) -> float:
        moved = moved.to(DEVICES[backend])
        render, alpha, _ = rasterize(*moved.arguments(), **moved.settings, backend=backend)
        weighted = torch.Generator().manual_seed(5)
        total = 0.0
        for image in (render, alpha):
            weights = (torch.rand(image.shape, generator=weighted) - 0.3) * pixels[..., None]
            total += (image.cpu().double() * weights.double()).sum().item()
        return total

    def moved(step: float) -> Scene:
        return replace(scene, **{name: getattr(scene, name) + step * direction})

    gradient: Tensor = differentiate(scene.to(DEVICES[backend]), backend, pixels).grads[name]
    slope = (loss(moved(STEPS[name])) - loss(moved(-STEPS[name]))) / (2 * STEPS[name])
    # Worst seen: 4e-4 (quats; float32 rounding of the difference).
    assert (gradient.cpu().double() * direction).sum().item() == pytest.approx(
        slope, rel=2e-3 * slack(backend)
    )
