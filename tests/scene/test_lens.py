from pathlib import Path

import numpy as np
import pycolmap
import pytest

from gaussians.errors import SceneError
from gaussians.scene import SceneOptions, load_scene
from gaussians.scene.lens import Lens
from tests.scene.disk import FOCAL, HEIGHT, WIDTH, distorted_camera, worst_error, write_colmap

MODELS = [name for name in pycolmap.CameraModelId.__members__ if name != "INVALID"]


@pytest.fixture(scope="module")
def every_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One scene with a camera of each of COLMAP's models."""
    scene = tmp_path_factory.mktemp("every_model")
    write_colmap(scene, {f"{m}.png": distorted_camera(m, i) for i, m in enumerate(MODELS, start=1)})
    return scene


# Both by interpolation and rounding to 8 bits. Worst seen, of 255: 1.5 at full size, 1.7 at half.
@pytest.mark.parametrize(("resolution", "tolerance"), [(None, 2.0), ("1/2", 3.0)])
def test_every_model_shows_the_world_where_the_pinhole_camera_says(
    every_model: Path, resolution: str | None, tolerance: float
) -> None:
    scene = load_scene(every_model, SceneOptions(resolution=resolution, test_every=0))
    shown = {view.name.split(".")[0] for view in scene.train}
    assert shown == set(MODELS)
    errors = {view.name: worst_error(view) for view in scene.train}
    assert max(errors.values()) < tolerance, errors
    for view in scene.train:
        assert view.image.shape == (view.camera.height, view.camera.width, 3)
        assert view.mask is None or view.mask.mean() > 0.99


def test_undistorted_images_keep_most_of_the_photo(every_model: Path) -> None:
    scene = load_scene(every_model, SceneOptions(test_every=0))
    for view in scene.train:
        if not view.name.startswith("EQUIRECTANGULAR"):
            assert view.camera.width > 0.8 * WIDTH, view.name
            assert view.camera.height > 0.8 * HEIGHT, view.name
            np.testing.assert_allclose(np.diag(view.camera.K)[:2], FOCAL)


def test_a_panorama_becomes_six_views_that_stay_together(tmp_path: Path) -> None:
    camera = pycolmap.Camera(model="EQUIRECTANGULAR", width=200, height=100, params=[200, 100])
    camera.camera_id = 1
    write_colmap(tmp_path, {f"{name}.png": camera for name in "abc"})
    scene = load_scene(tmp_path, SceneOptions(test_every=3))
    assert len(scene.train) == 12
    assert {view.name.split(".")[0] for view in scene.test} == {"a"}
    assert "cut 3 panoramas into cube faces" in scene.notes
    looks = np.array([view.camera.forward for view in scene.test])
    np.testing.assert_allclose(looks @ looks.T + np.abs(looks @ looks.T) - 2 * np.eye(6), 0, atol=1e-12)


def test_fisheye_without_coefficients_is_still_distorted() -> None:
    assert not Lens("OPENCV_FISHEYE", 100, 100, (50, 50, 50, 50, 0, 0, 0, 0)).is_pinhole
    assert Lens("OPENCV", 100, 100, (50, 50, 50, 50, 0, 0, 0, 0)).is_pinhole
    assert not Lens("FOV", 100, 100, (50, 50, 50, 50, 0.1)).is_pinhole


def test_a_field_of_view_beyond_120_degrees_is_cropped_to_it() -> None:
    focal = 400 / (1.1 * np.pi)  # 198° from side to side
    (face,) = Lens("OPENCV_FISHEYE", 400, 400, (focal, focal, 200, 200, 0, 0, 0, 0)).faces(400, 400)
    assert face.valid is None
    angle = 2 * np.arctan(face.width / 2 / face.K[0, 0])
    assert np.degrees(angle) == pytest.approx(120, abs=1)


def test_a_polynomial_that_folds_is_shown_only_up_to_the_fold() -> None:
    # r (1 - 0.3 r²) turns back at r = 1.054; the corner of what is kept must lie before.
    (face,) = Lens("SIMPLE_RADIAL", 1000, 1000, (400, 500, 500, -0.3)).faces(1000, 1000)
    corner = np.hypot(face.width, face.height) / 2 / 400
    assert 0.9 < corner < 1.054
    assert face.valid is None


def test_nonsense_distortion_is_refused() -> None:
    with pytest.raises(SceneError, match=r"SIMPLE_RADIAL 1000x1000.*distortion"):
        Lens("SIMPLE_RADIAL", 1000, 1000, (400, 500, 500, -300.0)).faces(1000, 1000)


@pytest.mark.parametrize("params", [(-1.0, 50, 50), (np.nan, 50, 50), (0, 50, 50)])
def test_impossible_intrinsics_are_refused(params: tuple[float, ...]) -> None:
    with pytest.raises(SceneError, match=r"^cameras\.txt: impossible intrinsics"):
        Lens("SIMPLE_PINHOLE", 100, 100, params).check("cameras.txt")


def test_intrinsics_scale_with_a_photo_of_another_size() -> None:
    lens = Lens("PINHOLE", 400, 300, (200, 210, 190, 160))
    (face,) = lens.faces(200, 75)
    np.testing.assert_allclose(face.K, [[100, 0, 95], [0, 52.5, 40], [0, 0, 1]])
