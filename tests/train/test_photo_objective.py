"""The photo loss: which pixels count, and what transparent photos lie on."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor

from gaussians.scene.types import View
from gaussians.train.objective import PhotoObjective, Rendered

from .runs import TRUTH
from .synthetic import BLACK, photos, ring_cameras


@pytest.fixture(scope="module")
def views() -> list[View]:
    return photos(TRUTH, ring_cameras(13))


def _photo_gradient(view: View, rendered: Tensor, background: Tensor | None = None) -> Tensor:
    """The gradient of the photo loss in each rendered value."""
    leaf = rendered.clone().requires_grad_()
    objective = PhotoObjective([view], 0.2, BLACK, "cpu")
    blended = Rendered(leaf, torch.ones(leaf.shape[:2]), background, {})
    torch.stack(list(objective(blended, 0, 0, TRUTH).values())).sum().backward()
    assert leaf.grad is not None
    return leaf.grad


def test_pixels_outside_the_mask_get_no_gradient(views: list[View]):
    mask = np.zeros((48, 48), dtype=bool)
    mask[:, :20] = True
    gradient = _photo_gradient(dataclasses.replace(views[0], mask=mask), torch.full((48, 48, 3), 0.5))
    assert not gradient[:, 20:].any()
    assert gradient[:, :20].all()


def test_a_transparent_photo_is_put_over_the_random_background(views: list[View]):
    alpha = np.random.default_rng(0).integers(0, 256, (48, 48), dtype=np.uint8)
    over_black = torch.from_numpy(views[0].image) * (torch.from_numpy(alpha)[..., None] / 255)
    view = dataclasses.replace(views[0], image=over_black.round().byte().numpy(), alpha=alpha)
    green = torch.tensor([0.2, 0.9, 0.4])
    over_green = torch.from_numpy(view.image) / 255 + (1 - torch.from_numpy(alpha)[..., None] / 255) * green
    for shift, sign in ((0.01, 1), (-0.01, -1)):  # where the render is too bright its gradient is positive
        gradient = _photo_gradient(view, over_green + shift, green)
        assert (gradient.sum(dim=(0, 1)) * sign > 0).all()
        assert (gradient * sign > 0).float().mean() > 0.9
