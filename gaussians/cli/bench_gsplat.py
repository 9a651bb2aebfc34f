"""`bench train` where there is a GPU: our steps beside those of a plain trainer over gsplat."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.nn import Parameter
from torch.optim import Optimizer

from gaussians.cli.peaks import waiting
from gaussians.model import Gaussians
from gaussians.scene.types import View
from gaussians.train.losses import color_loss
from gaussians.train.optimisation import Optimisation
from gaussians.train.recipe import Densify, LearningRates, Optimise

STEPS, WARM_UP = 200, 50
_NEVER = 1_000_000
_SSIM_WEIGHT = 0.2
# Statistics for growth are gathered in every step, and nothing grows, so that both have as many to draw.
_RECIPE = Optimise(
    steps=_NEVER,
    sh_every=0,
    ssim_weight=_SSIM_WEIGHT,
    log_every=100,
    densify=Densify(start=_NEVER, stop=_NEVER, reset_every=_NEVER),
)


def beside_gsplat(
    gaussians: Gaussians, views: Sequence[View], extent: float, device: torch.device, steps: int = STEPS
) -> dict[str, float]:
    """Milliseconds of our step and of gsplat's: same Gaussians, views, losses, SH degree 3, Adam on all rows.

    gsplat's is what its user would write, by its examples' settings: `gsplat.rasterization`, unpacked, its
    DefaultStrategy and PyTorch's fused Adam for each parameter. It gets our fused loss, and the photos are on
    the GPU before.

    Args:
        gaussians: to begin with; copied.
        views: to train on, on black.
        extent: of the scene.
        device: where.
        steps: that are timed, after a few to warm up.
    """
    black = (0.0, 0.0, 0.0)
    training = Optimisation(
        gaussians, views, _RECIPE, extent=extent, background=black, seed=0, stream="bench", device=device
    )
    stepping = training.steps()
    ours = _timed(lambda: next(stepping), steps, device)
    return {
        "ours_ms": ours,
        "gsplat_ms": _timed(_gsplats_step(gaussians, views, extent, device), steps, device),
    }


def _timed(step: Callable[[], Any], steps: int, device: torch.device) -> float:
    wait = waiting(device)
    for _ in range(min(WARM_UP, steps)):
        step()
    wait()
    began = time.perf_counter()
    for _ in range(steps):
        step()
    wait()
    return 1e3 * (time.perf_counter() - began) / steps


def _gsplats_step(
    gaussians: Gaussians, views: Sequence[View], extent: float, device: torch.device
) -> Callable[[], None]:
    import gsplat
    from gsplat.strategy import DefaultStrategy

    rates = LearningRates()
    starts = {
        "means": (gaussians.means, rates.means * extent),
        "scales": (gaussians.log_scales, rates.log_scales),
        "quats": (gaussians.quats, rates.quats),
        "opacities": (gaussians.logit_opacities, rates.logit_opacities),
        "sh0": (gaussians.sh0, rates.sh0),
        "shN": (gaussians.shN, rates.shN),
    }
    splats = {name: Parameter(start.detach().clone().to(device)) for name, (start, _) in starts.items()}
    optimizers: dict[str, Optimizer] = {
        name: torch.optim.Adam([splats[name]], lr=rate, eps=1e-15, fused=True)
        for name, (_, rate) in starts.items()
    }
    strategy = DefaultStrategy(refine_start_iter=_NEVER, reset_every=_NEVER)
    state = strategy.initialize_state(scene_scale=extent)
    cameras = [view.camera.tensors(device) for view in views]
    photos = [torch.from_numpy(view.image.copy()).to(device) for view in views]
    done = 0

    def step() -> None:
        nonlocal done
        view = done % len(views)
        image, _, info = gsplat.rasterization(
            splats["means"],
            splats["quats"],
            torch.exp(splats["scales"]),
            torch.sigmoid(splats["opacities"]),
            torch.cat([splats["sh0"], splats["shN"]], dim=1),
            **cameras[view],
            sh_degree=3,
            packed=False,
        )
        strategy.step_pre_backward(splats, optimizers, state, done, info)
        color_loss(image[0], photos[view], _SSIM_WEIGHT).total.backward()
        for optimizer in optimizers.values():
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        strategy.step_post_backward(splats, optimizers, state, done, info)
        done += 1

    return step
