import dataclasses

import numpy as np
import pytest
import torch

from gaussians.camera import Camera
from gaussians.raster import rasterize
from gaussians.train import coarse
from gaussians.train.coarse import Cameras, binned, binned_mask, binning
from gaussians.train.objective import PhotoObjective, Rendered
from gaussians.train.recipe import Coarse, Densify, Optimise

from .synthetic import BLACK, optimisation, photos, random_gaussians, ring_cameras, sparse_points

TRUTH = random_gaussians(200)


def test_an_image_starts_at_a_quarter_goes_to_a_half_and_then_to_full_size() -> None:
    coarse = Coarse(stop=100, pixels=1)
    assert [binning(coarse, 40, 25, step) for step in (0, 49, 50, 99, 100, 5000)] == [4, 4, 2, 2, 1, 1]


def test_no_image_gets_smaller_than_it_may() -> None:
    coarse = Coarse(stop=100, pixels=100)
    assert [binning(coarse, 40, height, 0) for height in (40, 39, 10, 9)] == [4, 2, 2, 1]
    assert binning(Coarse(stop=100, pixels=1), 1000, 3, 0) == 1


def test_no_image_gets_smaller_than_asked_for() -> None:
    coarse = Coarse(stop=100, pixels=1, most=2)
    assert [binning(coarse, 40, 25, step) for step in (0, 49, 50, 99, 100)] == [2, 2, 2, 2, 1]
    assert binning(Coarse(stop=100, pixels=1, most=1), 40, 25, 0) == 1


def test_without_a_schedule_all_steps_see_full_images() -> None:
    assert binning(Coarse(pixels=1), 4000, 3000, 0) == 1


@pytest.mark.parametrize("factor", [2, 4])
def test_a_pixel_is_the_mean_of_those_that_became_one(factor: int) -> None:
    image = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (23, 18, 3), np.uint8))
    means = binned(image, factor)
    height, width = 23 // factor, 18 // factor
    assert means.shape == (height, width, 3)
    for i, j in ((0, 0), (height - 1, width - 1)):
        block = image[i * factor : (i + 1) * factor, j * factor : (j + 1) * factor].double() / 255
        torch.testing.assert_close(means[i, j].double(), block.mean(dim=(0, 1)), rtol=0, atol=1e-6)
    torch.testing.assert_close(means, binned(image.float() / 255, factor), rtol=0, atol=1e-6)


def test_at_full_size_nothing_is_copied() -> None:
    image = torch.zeros(4, 4, 3, dtype=torch.uint8)
    assert binned(image, 1) is image
    assert binned_mask(None, 2) is None


def test_a_pixel_counts_where_all_that_became_it_do() -> None:
    mask = torch.ones(5, 4, dtype=torch.bool)
    mask[1, 3] = False
    assert binned_mask(mask, 2).tolist() == [[True, False], [True, True]]  # pyright: ignore[reportOptionalMemberAccess]


def test_a_binned_camera_sees_what_binning_the_image_leaves() -> None:
    """Of Gaussians that are large against a pixel: the rasterizer widens all by a third of one."""
    camera = ring_cameras(1)[0]
    K = np.diag([4.0, 4.0, 1.0]) @ camera.K
    camera = Camera(camera.viewmat, K, 4 * camera.width + 3, 4 * camera.height)
    broad = dataclasses.replace(TRUTH, log_scales=TRUTH.log_scales + 0.7)

    def render(seen: Camera) -> torch.Tensor:
        return rasterize(**broad.render_args(), **seen.tensors())[0][0]

    small, whole = render(camera.binned(4)), render(camera)
    assert small.shape[:2] == (camera.height // 4, camera.width // 4)
    moved = dataclasses.replace(camera, K=camera.K + np.array([[0, 0, 4.0], [0, 0, 0], [0, 0, 0]]))
    error = (small - binned(whole, 4)).abs().mean()
    assert error < 0.01
    assert error < 0.25 * (render(moved.binned(4)) - binned(whole, 4)).abs().mean()


def test_a_coarse_photo_loss_is_that_of_the_binned_photo_within_the_binned_mask() -> None:
    view = photos(TRUTH, ring_cameras(1))[0]
    mask = np.ones(view.image.shape[:2], bool)
    mask[:20] = False
    image = torch.rand(24, 24, 3, generator=torch.Generator().manual_seed(0))
    rendered = Rendered(image, torch.ones(24, 24), None, {}, binning=2)
    loss = PhotoObjective([dataclasses.replace(view, mask=mask)], 0.2, BLACK, "cpu")(rendered, 0, 0, TRUTH)
    small = np.rint(255 * binned(torch.from_numpy(view.image), 2).numpy()).astype(np.uint8)
    by_hand = dataclasses.replace(view, image=small, mask=mask[::2, ::2])
    plain = Rendered(image, torch.ones(24, 24), None, {})
    expected = PhotoObjective([by_hand], 0.2, BLACK, "cpu")(plain, 0, 0, TRUTH)
    torch.testing.assert_close(loss["photo"], expected["photo"], rtol=0.01, atol=0)


def test_a_run_that_begins_coarse_resumes_with_the_same_numbers_and_learns_what_a_full_one_does() -> None:
    views = photos(TRUTH, ring_cameras(5))
    recipe = Optimise(
        steps=120, sh_degree=1, log_every=20, coarse=Coarse(stop=16, pixels=1),
        densify=Densify(start=4, stop=20, every=4, cap=260),
    )  # fmt: skip
    full = optimisation(views, dataclasses.replace(recipe, coarse=Coarse()), sparse_points(TRUTH, 100))
    whole = optimisation(views, recipe, sparse_points(TRUTH, 100))
    fine, coarse = ([stats.terms["photo"] for stats in run.steps() if stats.terms] for run in (full, whole))
    assert coarse[0] != fine[0]
    assert coarse[-1] < 1.1 * fine[-1] < fine[0]
    first = optimisation(views, recipe, sparse_points(TRUTH, 100))
    list(first.steps(until=10))
    second = optimisation(views, recipe, sparse_points(TRUTH, 100))
    second.load_state_dict(first.state_dict())
    list(second.steps())
    assert all(torch.equal(value, second.state_dict()[name]) for name, value in whole.state_dict().items())


def test_cameras_are_made_once() -> None:
    cameras = Cameras(ring_cameras(2), Coarse(stop=10, pixels=1), 20, torch.device("cpu"))
    assert cameras.factor(1, 0) == 4
    assert cameras.tensors(1, 4) is cameras.tensors(1, 4)
    assert cameras.tensors(1, 4)["width"] == cameras.tensors(1, 1)["width"] // 4


def test_at_least_half_of_the_steps_are_at_full_size() -> None:
    cameras = Cameras(ring_cameras(1), Coarse(stop=1000, pixels=1), 30, torch.device("cpu"))
    assert [cameras.factor(0, step) for step in (0, 14, 15, 29)] == [4, 2, 1, 1]


def test_a_gpu_bins_8_bits_as_the_kernels_do() -> None:
    image = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8))
    plain = coarse._plainly_binned(image, 2)
    torch.testing.assert_close(plain, binned(image, 2), rtol=0, atol=1e-6)
