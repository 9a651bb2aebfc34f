"""Which images a COLMAP model's photos are read from: folders, reduced copies, names, and what is missing."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gaussians.errors import SceneError
from gaussians.scene import SceneOptions, load_scene
from tests.scene.disk import HEIGHT, WIDTH, model_of, pinholes, worst_error, write_colmap


@pytest.mark.parametrize("images", ["images", ".", "images_2"])
def test_images_lie_in_their_folder_or_beside_the_model(tmp_path: Path, images: str) -> None:
    cameras = {f"{side}/{name}": camera for name, camera in pinholes(2).items() for side in ("left", "right")}
    write_colmap(tmp_path, cameras, images=images)
    scene = load_scene(tmp_path, SceneOptions(test_every=0))
    assert [view.name for view in scene.train] == sorted(cameras)


def test_images_of_another_suffix_serve(tmp_path: Path) -> None:
    write_colmap(tmp_path, pinholes(2))
    for path in (tmp_path / "images").iterdir():
        Image.open(path).save(path.with_suffix(".JPG"), quality=95)
        path.unlink()
    scene = load_scene(tmp_path, SceneOptions(test_every=0))
    assert [view.name for view in scene.train] == ["photo_00.png", "photo_01.png"]


@pytest.fixture
def reduced(tmp_path: Path) -> Path:
    """A scene with images, and copies of a half, a quarter and an eighth, each of its own grey."""
    write_colmap(tmp_path, pinholes(2))
    for divisor in (1, 2, 4, 8):
        folder = tmp_path / ("images" if divisor == 1 else f"images_{divisor}")
        folder.mkdir(exist_ok=True)
        for name in pinholes(2):
            grey = Image.new("RGB", (WIDTH // divisor, HEIGHT // divisor), (divisor, divisor, divisor))
            grey.save(folder / name)
    return tmp_path


@pytest.mark.parametrize(
    ("resolution", "divisor", "width"),
    [
        (None, 1, 160),
        ("1/2", 2, 80),
        ("0.4", 2, 64),
        ("1/4", 4, 40),
        ("81", 1, 81),
        ("79", 2, 79),
        ("1/10", 8, 16),
    ],
)
def test_the_smallest_copy_not_smaller_than_asked_is_read(
    reduced: Path, resolution: str | None, divisor: int, width: int
) -> None:
    view = load_scene(reduced, SceneOptions(resolution=resolution, test_every=0)).train[0]
    assert int(view.image[0, 0, 0]) == divisor
    assert view.image.shape == (round(width * 3 / 4), width, 3)
    full = pinholes(1)["photo_00.png"].calibration_matrix()
    scale = [width / WIDTH, round(width * 3 / 4) / HEIGHT, 1]
    np.testing.assert_allclose(view.camera.K, np.diag(scale) @ full)


@pytest.mark.parametrize(("resolution", "width"), [(None, 20), ("1/2", 20), ("1/16", 10)])
def test_a_fraction_is_of_full_size_even_where_only_a_small_copy_is_left(
    reduced: Path, resolution: str | None, width: int
) -> None:
    for name in ("images", "images_2", "images_4"):
        shutil.rmtree(reduced / name)
    scene = load_scene(reduced, SceneOptions(resolution=resolution, test_every=0))
    assert scene.train[0].camera.width == width
    enlarged = resolution != "1/16"
    assert any("photos are not enlarged" in note for note in scene.notes) == enlarged


@pytest.mark.parametrize("text", [False, True])
def test_images_that_are_missing_are_left_out_and_told(tmp_path: Path, text: bool) -> None:
    rotations = write_colmap(tmp_path, pinholes(6), text=text)
    for name in ("photo_00.png", "photo_02.png", "photo_05.png"):
        (tmp_path / "images" / name).unlink()
    scene = load_scene(tmp_path, SceneOptions(test_every=0))
    assert [view.name for view in scene.train] == ["photo_01.png", "photo_03.png", "photo_04.png"]
    for view in scene.train:
        np.testing.assert_allclose(view.camera.viewmat[:3, :3], rotations[view.name], atol=1e-12)
    assert "left out 3 photos without an image in images (the first: photo_00.png)" in scene.notes


def test_the_folder_that_lacks_the_fewest_is_read(reduced: Path) -> None:
    write_colmap(reduced, pinholes(5))
    for name in list(pinholes(5))[2:]:
        for divisor in (2, 4):
            Image.new("RGB", (WIDTH // divisor, HEIGHT // divisor)).save(reduced / f"images_{divisor}" / name)
    (reduced / "images_4/photo_04.png").unlink()
    scene = load_scene(reduced, SceneOptions(resolution="1/4", test_every=0))
    assert len(scene.train) == 5
    assert any("images in images_2" in note for note in scene.notes)
    assert scene.train[0].camera.width == WIDTH // 4


def test_half_of_the_images_must_be_there(tmp_path: Path) -> None:
    write_colmap(tmp_path, pinholes(7))
    for name in list(pinholes(7))[3:]:
        (tmp_path / "images" / name).unlink()
    with pytest.raises(
        SceneError, match=r"4 of its 7 images are missing in .*photo_03\.png\); put"
    ) as caught:
        load_scene(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize(
    ("named", "there"),
    [
        ("{} a.png", "{} a.png"),
        ("IMG_{}.PNG", "img_{}.png"),
        ("caf\u00e9{}.png", "cafe\u0301{}.png"),
        ("cafe\u0301{}.jpg", "Caf\u00e9{}.PNG"),
        ("left\\{}.png", "left/{}.png"),
    ],
    ids=["space", "case", "composed", "decomposed", "backslash"],
)
def test_names_are_found_however_they_are_spelt(tmp_path: Path, named: str, there: str, text: bool) -> None:
    camera = pinholes(1)["photo_00.png"]
    rotations = write_colmap(tmp_path, {there.format(i): camera for i in range(3)}, text=text)
    model, _ = model_of({named.format(i): camera for i in range(3)})
    (model.write_text if text else model.write_binary)(tmp_path / "sparse/0")
    scene = load_scene(tmp_path, SceneOptions(test_every=0))
    assert [view.name for view in scene.train] == [named.format(i).replace("\\", "/") for i in range(3)]
    for index, view in enumerate(scene.train):
        np.testing.assert_allclose(view.camera.viewmat[:3, :3], rotations[there.format(index)], atol=1e-12)
        assert worst_error(view) <= 0.51


def test_missing_images_are_counted_and_the_first_is_named(tmp_path: Path) -> None:
    write_colmap(tmp_path, pinholes(4))
    for name in ("photo_01.png", "photo_03.png"):
        (tmp_path / "images" / name).unlink()
    with pytest.raises(SceneError, match=r"images\.bin: 2 of its 4 images are missing in .*photo_01\.png"):
        load_scene(tmp_path)
    shutil.rmtree(tmp_path / "images")
    with pytest.raises(SceneError, match=r"4 of its 4 images are missing"):
        load_scene(tmp_path)


def test_a_photo_of_another_shape_than_its_camera_is_refused(tmp_path: Path) -> None:
    write_colmap(tmp_path, pinholes(2))
    Image.new("RGB", (100, 100)).save(tmp_path / "images" / "photo_01.png")
    with pytest.raises(SceneError, match=r"photo_01\.png: the photo is 100x100, its camera is for 160x120"):
        load_scene(tmp_path)


def test_exif_orientation_counts_only_if_the_camera_was_made_with_it(tmp_path: Path) -> None:
    rotations = write_colmap(tmp_path, pinholes(2))
    exif = Image.Exif()
    exif[0x0112] = 6
    for name in rotations:
        path = tmp_path / "images" / name
        upright = Image.open(path)
        upright.load()
        upright.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif)
    turned = load_scene(tmp_path, SceneOptions(test_every=0))
    assert max(map(worst_error, turned.train)) <= 0.51
    for name in rotations:
        path = tmp_path / "images" / name
        with Image.open(path) as stored:
            stored.transpose(Image.Transpose.ROTATE_270).save(path, exif=exif)
    as_stored = load_scene(tmp_path, SceneOptions(test_every=0))
    assert max(map(worst_error, as_stored.train)) <= 0.51
