"""A backend's render and gradients beside the oracle's, where they can be compared."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from gaussians.raster import rasterize, reference

from .scenes import GAUSSIANS, Scene

# Nearer than this (relative) to a jump, float32 may draw another set of Gaussians than float64.
# Needles lose the most: their conics cancel.
MARGIN = 2e-3


@dataclass(frozen=True)
class Outcome:
    """One render and the gradients of one random linear loss of its pixels."""

    render: Tensor
    alpha: Tensor
    grads: dict[str, Tensor]
    meta: dict[str, Any]


def comparable_pixels(scene: Scene) -> Tensor:
    """[C, H, W] bool: far enough from every jump."""
    return reference.margins(*scene.to(torch.float64).without_colors()) > MARGIN


def differentiate(scene: Scene, backend: str, pixels: Tensor, absgrad: bool = False) -> Outcome:
    """Render and pull a seeded random loss, of the given pixels only, back to every input.

    Args:
        scene: in the type, on the device to run in.
        pixels: [C, H, W] bool.
    """
    leaves = {name: getattr(scene, name).clone().requires_grad_() for name in GAUSSIANS}
    settings = dict(scene.settings)
    if settings.get("backgrounds") is not None:
        leaves["backgrounds"] = settings["backgrounds"] = settings["backgrounds"].clone().requires_grad_()
    arguments = replace(scene, **{name: leaves[name] for name in GAUSSIANS}).arguments()
    render, alpha, meta = rasterize(*arguments, **settings, absgrad=absgrad, backend=backend)
    meta["means2d"].retain_grad()
    generator = torch.Generator().manual_seed(5)
    loss = torch.zeros((), dtype=render.dtype, device=render.device)
    for image in (render, alpha):
        weights = torch.rand(image.shape, generator=generator) - 0.3
        loss = loss + (image * (weights * pixels.cpu()[..., None]).to(image)).sum()
    loss.backward()
    grads = {name: leaf.grad for name, leaf in leaves.items() if leaf.grad is not None}
    if meta["means2d"].grad is not None:
        grads["means2d"] = meta["means2d"].grad
    if absgrad:
        grads["absgrad"] = meta["means2d"].absgrad
    return Outcome(render.detach(), alpha.detach(), grads, meta)


def relative_error(value: Tensor, truth: Tensor) -> float:
    """Largest difference over the largest truth; where all truth is 0, the largest value."""
    value, truth = value.detach().cpu().double(), truth.detach().cpu().double()
    assert value.shape == truth.shape
    if not truth.numel():
        return 0.0
    scale = truth.abs().max().item()
    return (value - truth).abs().max().item() / (scale if scale > 0 else 1.0)
