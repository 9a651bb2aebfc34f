"""Photos are shown where the camera sees them, and compared at the size they are shown."""

import dataclasses

import numpy as np
import pytest

from gaussians.camera import Camera
from gaussians.scene import View
from gaussians.session.placed_photo import PlacedPhoto, sees_photo
from gaussians.train.metrics import psnr

BLUE = (0.0, 0.0, 1.0)


def view(width: int = 40, height: int = 30) -> View:
    rng = np.random.default_rng(0)
    K = np.array([[50.0, 0, width / 2], [0, 50, height / 2], [0, 0, 1]])
    return View(
        "a.png", Camera(np.eye(4), K, width, height), rng.integers(0, 256, (height, width, 3), np.uint8)
    )


def test_full_size_is_the_photo_itself_and_its_psnr_exact():
    photo = view()
    placed = PlacedPhoto(photo, photo.camera, BLUE)
    assert np.array_equal(placed.image, photo.image)
    render = np.random.default_rng(1).random((30, 40, 3), np.float32)
    assert placed.psnr(render) == psnr(render, photo.image)


def test_smaller_is_the_mean_over_each_pixels_area():
    photo = view()
    placed = PlacedPhoto(photo, photo.camera.resized(20, 10), BLUE)
    means = photo.image.reshape(10, 3, 20, 2, 3).mean(axis=(1, 3))
    assert np.abs(placed.image - means).max() <= 0.51
    assert (placed.psnr(means.astype(np.float32) / 255) or 0) > 55


def test_wider_camera_has_background_beside_the_photo():
    photo = view()
    K = photo.camera.K.copy()
    K[0, 2] += 10  # ten columns more on the left, and on the right
    placed = PlacedPhoto(photo, Camera(np.eye(4), K, 60, 30), BLUE)
    assert np.array_equal(placed.image[:, 10:50], photo.image)
    assert (placed.image[:, :10] == (0, 0, 255)).all()
    assert (placed.image[:, 50:] == (0, 0, 255)).all()
    render = np.zeros((30, 60, 3), np.float32)
    render[:, 10:50] = photo.image / np.float32(255)
    assert (placed.psnr(render) or 0) > 90


def test_zoomed_camera_sees_the_middle_of_the_photo():
    photo = view()
    K = photo.camera.K @ np.eye(3)
    K[:2, 2] -= (10, 5)
    placed = PlacedPhoto(photo, Camera(np.eye(4), K, 20, 20), BLUE)
    assert np.array_equal(placed.image, photo.image[5:25, 10:30])


def test_larger_is_interpolated():
    photo = view()
    placed = PlacedPhoto(photo, photo.camera.resized(80, 60), BLUE)
    assert placed.image.shape == (60, 80, 3)
    assert abs(placed.image.mean() - photo.image.mean()) < 2


def test_mask_holds_at_every_size():
    mask = np.ones((30, 40), bool)
    mask[:, :20] = False
    photo = dataclasses.replace(view(), mask=mask)
    render = photo.image / np.float32(255)
    render[:, :20] = 0
    assert (PlacedPhoto(photo, photo.camera, BLUE).psnr(render) or 0) > 90
    nothing = dataclasses.replace(photo, mask=np.zeros((30, 40), bool))
    assert PlacedPhoto(nothing, photo.camera, BLUE).psnr(render) is None


def test_photo_out_of_sight_has_no_psnr():
    photo = view()
    K = photo.camera.K.copy()
    K[0, 2] += 500
    placed = PlacedPhoto(photo, Camera(np.eye(4), K, 60, 30), BLUE)
    assert (placed.image == (0, 0, 255)).all()
    assert placed.psnr(np.zeros((30, 60, 3), np.float32)) is None


@pytest.mark.parametrize(("shift", "seen"), [(0.0, True), (1e-3, False)])
def test_only_a_camera_at_its_pose_sees_the_photo(shift: float, seen: bool):
    viewmat = np.eye(4)
    viewmat[0, 3] = shift
    camera = dataclasses.replace(view().camera, viewmat=viewmat)
    assert sees_photo(view(), camera) is seen
