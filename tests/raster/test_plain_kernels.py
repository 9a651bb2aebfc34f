"""The plain kernels, which speed is measured against, compute what the shipped ones do."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from gaussians.raster.cpu.deal import CHUNK
from gaussians.raster.cpu.functions import Bins, Lens, Project
from tests.raster.plain_kernels import COLOR, CONIC, MEAN, OPACITY, Plain, shipped
from tests.raster.scenes import Scene, random_scene

SIZE = (50, 37)


def crowd(seed: int) -> Scene:
    """Wide Gaussians over whole tiles and borders: lists of several chunks, on the left seen through to the
    end, on the right finished on the way."""
    scene = random_scene(seed, n=700)
    opacities = scene.opacities * torch.where(scene.means[:, 0] < 0, 0.1, 0.7)
    return replace(scene, opacities=opacities, scales=scene.scales * 3)


@pytest.mark.parametrize(
    ("scene", "seed", "most_off"),
    [(random_scene, 0, 0.01), (random_scene, 1, 0.01), (crowd, 0, 0.05), (crowd, 1, 0.05)],
)
def test_image_and_gradients(scene: Any, seed: int, most_off: float) -> None:
    scene = scene(seed).to(torch.float32)
    lens = Lens.of(scene.viewmats[:1], scene.Ks[:1], *SIZE, (0.01, 1e10, 0.3))
    projected = Project.apply(scene.means, scene.quats, scene.scales, scene.opacities, lens)
    means2d, conics, depths, radii = (tensor.detach() for tensor in projected)
    outlines = means2d[0].numpy(), conics[0].numpy(), scene.opacities.numpy()
    bins = Bins.of(*outlines, depths[0].numpy(), radii[0].numpy(), *SIZE)
    colors = torch.rand(1, len(scene.means), 3, generator=torch.Generator().manual_seed(seed))
    fields = [field.clone().requires_grad_() for field in (means2d, conics, colors, scene.opacities[None])]
    if most_off > 0.01:
        assert np.median(np.diff(bins.starts)) > CHUNK
        assert np.diff(bins.starts).max() > 3 * CHUNK
    plain = Plain(bins, fields, SIZE)
    plain.forward()
    image, alpha = shipped(fields, bins, SIZE)
    # Where a pixel is finished or a Gaussian too faint is a matter of rounding: of few pixels.
    off = np.abs(plain.image - image[0].detach().numpy()).max(axis=-1)
    assert np.quantile(off, 1 - most_off) < 1e-5
    assert np.abs(1 - plain.transmittance - alpha[0, ..., 0].detach().numpy()).mean() < 1e-5
    v_image = torch.rand(1, SIZE[1], SIZE[0], 3, generator=torch.Generator().manual_seed(9))
    plain.backward(v_image[0].numpy())
    truth = torch.autograd.grad(image, fields, v_image)
    columns = (slice(MEAN, CONIC), slice(CONIC, OPACITY), slice(COLOR, COLOR + 3), slice(OPACITY, COLOR))
    for gradient, where in zip(truth, columns, strict=True):
        wanted = gradient[0].numpy().reshape(len(scene.means), -1)
        error = np.abs(plain.gradients[:, where] - wanted).mean() / np.abs(wanted).mean()
        assert error < 2e-3, where
