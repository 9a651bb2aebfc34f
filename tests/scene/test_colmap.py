"""COLMAP models: found, read as they are, and refused where they are incomplete or damaged."""

import contextlib
from pathlib import Path

import numpy as np
import pycolmap
import pytest
from PIL import Image

from gaussians.errors import SceneError
from gaussians.scene import SceneOptions, load_scene
from gaussians.scene.colmap_files import check_model
from tests.scene.disk import SHARED, pinholes, worst_error, write_colmap


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("model", ["sparse/0", "sparse", "colmap/sparse/0", ".", "sparse/3"])
def test_a_model_is_found_and_read_as_it_is(tmp_path: Path, model: str, text: bool) -> None:
    rotations = write_colmap(tmp_path, pinholes(3), model=model, text=text)
    scene = load_scene(tmp_path, SceneOptions(test_every=0))
    assert [view.name for view in scene.train] == sorted(rotations)
    for index, view in enumerate(scene.train, start=1):
        np.testing.assert_allclose(view.camera.viewmat[:3, :3], rotations[view.name], atol=1e-12)
        np.testing.assert_allclose(view.camera.viewmat[:3, 3], [index, 2, 3])
        assert worst_error(view) <= 0.51  # rounding to 8 bits, twice: seen 0.50
    reference = pycolmap.Reconstruction(tmp_path / model)
    stored = np.array([point.xyz for point in reference.points3D.values()])
    np.testing.assert_allclose(scene.points.xyz, stored, rtol=1e-6)
    assert scene.points.xyz.dtype == np.float32
    assert scene.points.rgb.dtype == np.uint8
    assert scene.points.source.endswith("points3D.txt" if text else "points3D.bin")


@pytest.mark.parametrize("end", ["", "\n", "\n\n", "\n1 2 -1\n"])
def test_a_text_model_without_its_second_lines_is_refused(tmp_path: Path, end: str) -> None:
    """pycolmap takes every second pose for points, and leaves it out; and the last, if nothing follows it."""
    write_colmap(tmp_path, pinholes(4), text=True)
    path = tmp_path / "sparse/0/images.txt"
    poses = [line for line in path.read_text().splitlines() if line.endswith(".png")]
    path.write_text("\n".join(poses) + end)
    with pytest.raises(SceneError, match=r"images\.txt: line 1: the image is not followed by") as caught:
        load_scene(tmp_path)
    assert "\n" not in str(caught.value)
    path.write_text("\n\n".join(poses) + end)
    if end in ("", "\n"):
        with pytest.raises(SceneError, match=r"images\.txt: line 7: the image is not followed by"):
            load_scene(tmp_path)
    else:
        assert len(load_scene(tmp_path, SceneOptions(test_every=0)).train) == 4


def test_every_truncation_of_every_file_is_told_at_once(tmp_path: Path) -> None:
    write_colmap(tmp_path, pinholes(2))
    model = tmp_path / "sparse/0"
    assert {path.name for path in model.iterdir()} >= {"cameras.bin", "images.bin", "points3D.bin"}
    for path in sorted(model.iterdir()):
        content = path.read_bytes()
        for size in range(0, len(content), 7):
            path.write_bytes(content[:size])
            with pytest.raises(SceneError, match=rf"{path.name}: truncated or damaged"):
                check_model(model)
        path.write_bytes(content + b"\0")
        with pytest.raises(SceneError, match=rf"{path.name}: damaged: 1 bytes too long"):
            check_model(model)
        path.write_bytes(content)
    assert check_model(model) == "bin"


def test_a_truncated_point_cloud_is_an_error_of_one_line(tmp_path: Path) -> None:
    write_colmap(tmp_path, pinholes(2))
    path = tmp_path / "sparse/0/points3D.bin"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(
        SceneError, match=r"points3D\.bin: truncated.*export the COLMAP model again"
    ) as caught:
        load_scene(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("seed", range(5))
def test_damage_never_hangs_or_kills(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    write_colmap(tmp_path, pinholes(2), text=bool(seed % 2))
    for path in sorted((tmp_path / "sparse/0").iterdir()):
        content = path.read_bytes()
        for _ in range(10):
            damaged = bytearray(content)
            for at in rng.integers(0, len(content), 4):
                damaged[at] = rng.integers(256)
            path.write_bytes(damaged)
            with contextlib.suppress(SceneError):  # damage that still makes sense goes unnoticed
                load_scene(tmp_path, SceneOptions(test_every=0))
        path.write_bytes(content)


def test_an_incomplete_model_names_what_it_lacks(tmp_path: Path) -> None:
    write_colmap(tmp_path, pinholes(2))
    (tmp_path / "sparse/0/points3D.bin").unlink()
    with pytest.raises(SceneError, match=r"sparse/0: the COLMAP model lacks points3D\.bin"):
        load_scene(tmp_path)


def test_a_model_without_placed_images_is_refused(tmp_path: Path) -> None:
    write_colmap(tmp_path, {})
    with pytest.raises(SceneError, match="places no image"):
        load_scene(tmp_path)


@pytest.mark.parametrize(
    ("name", "was", "is_now", "said"),
    [
        (
            "images.txt",
            "photo_02.png",
            "photo_01.png",
            r"images\.txt: a photo has two cameras \(photo_01\.png\)",
        ),
        (
            "frames.txt",
            " 2 2 3 1 CAMERA",
            " 1e300 2 3 1 CAMERA",
            r"sparse/0: image photo_01\.png: its camera is 1e\+300 units away",
        ),
    ],
)
def test_a_photo_with_two_cameras_or_one_beyond_all_numbers_is_refused(
    tmp_path: Path, name: str, was: str, is_now: str, said: str
) -> None:
    write_colmap(tmp_path, pinholes(4), text=True)
    file = tmp_path / "sparse/0" / name
    assert was in file.read_text()
    file.write_text(file.read_text().replace(was, is_now))
    with pytest.raises(SceneError, match=said):
        load_scene(tmp_path)


def test_rigs_of_several_cameras_are_read(tmp_path: Path) -> None:
    options = pycolmap.SyntheticDatasetOptions()
    options.num_rigs, options.num_cameras_per_rig, options.num_frames_per_rig = 2, 3, 2
    options.camera_width, options.camera_height = 64, 48
    options.camera_params = [60.0, 32.0, 24.0, 0.05]
    reference = pycolmap.synthesize_dataset(options)
    (tmp_path / "sparse/0").mkdir(parents=True)
    (tmp_path / "images").mkdir()
    reference.write_binary(tmp_path / "sparse/0")
    for image in reference.images.values():
        Image.new("RGB", (64, 48)).save(tmp_path / "images" / image.name)
    scene = load_scene(tmp_path, SceneOptions(test_every=0))
    assert len(scene.train) == 12
    for view in scene.train:
        image = reference.find_image_with_name(view.name)
        assert image is not None
        np.testing.assert_allclose(view.camera.viewmat[:3], image.cam_from_world().matrix(), atol=1e-9)


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason="no ../shared/scenes")
@pytest.mark.parametrize("resolution", [None, "1/2"])
def test_points_of_a_distorted_scene_fall_on_their_own_observations(resolution: str | None) -> None:
    """COLMAP's 2-D observations, undistorted, against the views' projection of its points: fox, OPENCV."""
    scene = load_scene(SHARED / "fox", SceneOptions(resolution=resolution))
    reference = pycolmap.Reconstruction(SHARED / "fox/sparse/0")
    errors, colors, elsewhere = [], [], []
    for view in (*scene.train, *scene.test):
        image = reference.find_image_with_name(view.name)
        assert image is not None
        camera, K = reference.cameras[image.camera_id], view.camera.K
        seen = [point for point in image.points2D if point.has_point3D()]
        points = [reference.points3D[point.point3D_id] for point in seen]
        straight = camera.cam_from_img(np.array([point.xy for point in seen]))
        assert straight is not None
        observed = straight * np.diag(K)[:2] + K[:2, 2]
        xyz = np.array([point.xyz for point in points])
        homogeneous = (xyz @ view.camera.viewmat[:3, :3].T + view.camera.viewmat[:3, 3]) @ K.T
        projected = homogeneous[:, :2] / homogeneous[:, 2:]
        size = np.array([view.camera.width, view.camera.height])
        inside = np.all((projected >= 0) & (projected < size - 8), axis=1)
        errors.append(np.linalg.norm(projected - observed, axis=1)[inside] * camera.width / size[0])
        mean = np.array([point.color for point in points], float)[inside]
        for offset, list_ in ((0, colors), (8, elsewhere)):
            at = projected[inside].astype(int) + offset
            list_.append(np.abs(view.image[at[:, 1], at[:, 0]] - mean).mean(axis=1))
    # The poses were not refined: the model's own reprojection error is that large. Seen: 0.49 px.
    assert np.median(np.concatenate(errors)) < 0.6
    # Colours of 255 at the points, seen: 5.3 and 6.7; eight pixels beside, seen: 27 and 30.
    assert np.median(np.concatenate(colors)) < 9
    assert np.median(np.concatenate(elsewhere)) > 20
