"""The patches in which the colour loss goes over an image: they change nothing but when it is done."""

import numpy as np
import pytest

from gaussians.train import ssim_kernels
from tests.train.loss_images import images, masks


@pytest.mark.parametrize("mask_name", ["none", "half"])
@pytest.mark.parametrize("count", [1, 2])
def test_results_do_not_depend_on_the_patches(mask_name: str, count: int) -> None:
    height, width = 75, 40
    rendered, *targets = images(height, width, count + 1)
    mask = masks(height, width)[mask_name]
    counted = np.empty((0, 0), np.float32)
    if mask is not None:
        spare = np.ones(3 * height * width + ssim_kernels.BEYOND, np.float32)
        counted = spare[: 3 * height * width].reshape(height, -1)
        counted[:] = mask.repeat_interleave(3, dim=1).numpy()
    stacked = np.stack([target.numpy().reshape(height, -1) for target in targets])
    weights = np.linspace(-1, 1, count, dtype=np.float32)
    outcomes = []
    for rows, columns in [(1, 120), (16, 120), (17, 60), (48, 102), (height, 120), (height, 60)]:
        gradient = np.full((height, 3 * width), np.nan, np.float32)
        distances, sums = np.full((2, -(-120 // columns), count, height), np.nan, np.float32)
        ssim_kernels.color_gradient(
            2, rows, columns, rendered.numpy().reshape(height, -1), stacked, counted, weights, weights,
            gradient, distances, sums,
        )  # fmt: skip
        outcomes.append((gradient, distances.sum(axis=0), sums.sum(axis=0)))
    for outcome in outcomes[1:]:
        np.testing.assert_array_equal(outcome[0], outcomes[0][0])
        for values, first in zip(outcome[1:], outcomes[0][1:], strict=True):
            np.testing.assert_allclose(values, first, rtol=2e-6, atol=1e-5)  # added up in another order


def test_patches_cover_a_row() -> None:
    for width in [*range(6, 1300), *range(115_200, 115_300), 399_999]:
        columns = ssim_kernels.patch_columns(3 * width)
        across = -(-3 * width // columns)
        last = 3 * width - (across - 1) * columns
        assert columns % 3 == 0
        assert ssim_kernels.NARROWEST <= last <= columns


@pytest.mark.parametrize(
    ("height", "across", "workers", "rows"),
    [
        (476, 1, 2, 119),  # two for each
        (119, 1, 2, 60),  # one, as two would cost a quarter more
        (1080, 6, 5, 216),  # as many as the workers divide
        (951, 2, 16, 119),
        (10, 1, 64, 10),
    ],
)
def test_patches_are_dealt_evenly(height: int, across: int, workers: int, rows: int) -> None:
    assert ssim_kernels.patch_rows(height, across, workers) == rows
