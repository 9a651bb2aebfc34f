"""transforms.json as the programs write it: layouts, intrinsics, poses, points and splits."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gaussians.errors import SceneError
from gaussians.scene import SceneOptions, load_scene
from tests.scene.disk import FOCAL, HEIGHT, SHARED, WIDTH, distorted_camera, worst_error, write_transforms
from tests.scene.frames import ALL, ANGLE_X, frame


def test_nerf_synthetic_with_train_and_test_files(tmp_path: Path) -> None:
    for split, seeds in (("train", range(3)), ("test", range(3, 5)), ("val", range(5, 6))):
        frames = [frame(tmp_path, f"./{split}/r_{seed}", seed) for seed in seeds]
        write_transforms(tmp_path, frames, f"transforms_{split}.json", camera_angle_x=ANGLE_X)
    scene = load_scene(tmp_path)
    assert [view.name for view in scene.train] == ["train/r_0.png", "train/r_1.png", "train/r_2.png"]
    assert [view.name for view in scene.test] == ["test/r_3.png", "test/r_4.png"]
    for seed, view in enumerate((*scene.train, *scene.test)):
        np.testing.assert_allclose(view.camera.centre, [seed, 0, 1], atol=1e-12)
        assert worst_error(view) <= 0.51
    assert "transforms_val.json is not used" in scene.notes
    assert scene.points.source == "random, in front of each camera" or "common view" in scene.points.source
    by_name = load_scene(tmp_path, SceneOptions(test_names=("r_0",)))
    assert [view.name for view in by_name.test] == ["train/r_0.png"]
    assert len(by_name.train) == 4


def test_instant_ngp_distortion_and_both_angles(tmp_path: Path) -> None:
    camera = distorted_camera("OPENCV")
    fx, fy, cx, cy, k1, k2, p1, p2 = camera.params
    shared = {"w": WIDTH, "h": HEIGHT, "cx": cx, "cy": cy, "k1": k1, "k2": k2, "p1": p1, "p2": p2}
    angles = {
        "camera_angle_x": 2 * np.arctan(WIDTH / 2 / fx),
        "camera_angle_y": 2 * np.arctan(HEIGHT / 2 / fy),
    }
    focals = {"fl_x": fx, "fl_y": fy, "camera_angle_x": 0.1}
    frames = [frame(tmp_path, f"images/{i:04d}.png", i, camera, sharpness=30.0) for i in range(2)]
    for name, focal in (("angles", angles), ("focals", focals)):
        write_transforms(tmp_path, frames, aabb_scale=4, **shared, **focal)
        scene = load_scene(tmp_path, ALL)
        assert [view.name for view in scene.train] == ["0000.png", "0001.png"], name
        assert max(map(worst_error, scene.train)) < 2
        assert "undistorted 2 photos (OPENCV)" in scene.notes


def test_nerfstudio_intrinsics_of_each_frame(tmp_path: Path) -> None:
    frames = []
    for index, model in enumerate(("OPENCV", "OPENCV_FISHEYE", "PINHOLE", "FULL_OPENCV")):
        camera = distorted_camera(model)
        names = [name.strip() for name in camera.params_info.split(",")]
        keys = {
            {"fx": "fl_x", "fy": "fl_y"}.get(name, name): value
            for name, value in zip(names, camera.params, strict=True)
        }
        frames.append(
            frame(
                tmp_path, f"images/{index}.png", index, camera, w=WIDTH, h=HEIGHT, camera_model=model, **keys
            )
        )
    # The frames' own keys go before the file's; applied_transform is in the poses already.
    frames[2]["k1"] = 0.0
    turned = [[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, -1, 0]]
    write_transforms(tmp_path, frames, fl_x=1.0, k1=9.0, applied_transform=turned)
    scene = load_scene(tmp_path, ALL)
    assert max(map(worst_error, scene.train)) < 2
    for index, view in enumerate(scene.train):
        np.testing.assert_allclose(view.camera.centre, [index, 0, 1], atol=1e-12)


def test_nerfstudio_points_masks_and_split(tmp_path: Path) -> None:
    frames = [frame(tmp_path, f"images/{i}.png", i, mask_path=f"m/{i}.png") for i in range(4)]
    (tmp_path / "m").mkdir()
    for index in range(4):
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        mask[:, : WIDTH // 2] = 255
        Image.fromarray(mask).save(tmp_path / f"m/{index}.png")
    (tmp_path / "sparse_pc.ply").write_text(
        "ply\nformat ascii 1.0\nelement vertex 2\nproperty float x\nproperty float y\nproperty float z\n"
        "property uint8 red\nproperty uint8 green\nproperty uint8 blue\nend_header\n"
        "1 2 3 10 20 30\n4 5 6 40 50 60\n"
    )
    write_transforms(
        tmp_path,
        frames,
        camera_angle_x=ANGLE_X,
        ply_file_path="sparse_pc.ply",
        train_filenames=["images/0.png", "images/1.png"],
        test_filenames=["images/2.png", "./images/3.png"],
    )
    scene = load_scene(tmp_path, SceneOptions(resolution="1/2"))
    assert scene.points.xyz.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert scene.points.rgb.tolist() == [[10, 20, 30], [40, 50, 60]]
    assert scene.points.source == "sparse_pc.ply"
    assert [view.name for view in scene.test] == ["2.png", "3.png"]
    mask = scene.train[0].mask
    assert mask is not None
    assert mask[:, : WIDTH // 4].all()
    assert not mask[:, WIDTH // 4 :].any()


def reduce(scene: Path, divisor: int) -> None:
    """Write images_2 or so beside images."""
    folder = scene / f"images_{divisor}"
    folder.mkdir()
    for path in (scene / "images").iterdir():
        with Image.open(path) as image:
            image.resize((WIDTH // divisor, HEIGHT // divisor), Image.Resampling.BOX).save(folder / path.name)


@pytest.mark.parametrize("resolution", [None, "1/2", "1/4"])
def test_a_focal_length_without_a_size_is_of_full_size(tmp_path: Path, resolution: str | None) -> None:
    frames = [frame(tmp_path, f"images/{i}.png", i) for i in range(2)]
    for divisor in (2, 4):
        reduce(tmp_path, divisor)
    write_transforms(tmp_path, frames, fl_x=FOCAL, fl_y=FOCAL, cx=70.0, cy=50.0)
    camera = load_scene(tmp_path, SceneOptions(resolution=resolution, test_every=0)).train[0].camera
    scale = camera.width / WIDTH
    assert scale == {None: 1, "1/2": 0.5, "1/4": 0.25}[resolution]
    expected = np.diag([scale, scale, 1]) @ [[FOCAL, 0, 70], [0, FOCAL, 50], [0, 0, 1]]
    np.testing.assert_allclose(camera.K, expected)


def test_a_focal_length_of_an_unknown_full_size_is_refused(tmp_path: Path) -> None:
    frames = [frame(tmp_path, f"images/{i}.png", i) for i in range(2)]
    reduce(tmp_path, 2)
    shutil.rmtree(tmp_path / "images")
    write_transforms(tmp_path, frames, fl_x=FOCAL)
    with pytest.raises(
        SceneError, match=r"frame images/0\.png: only reduced images .* add w and h"
    ) as caught:
        load_scene(tmp_path, ALL)
    assert "\n" not in str(caught.value)
    write_transforms(tmp_path, frames, fl_x=FOCAL, w=WIDTH, h=HEIGHT)
    assert load_scene(tmp_path, ALL).train[0].camera.K[0, 0] == FOCAL / 2
    write_transforms(tmp_path, frames, camera_angle_x=ANGLE_X)  # an angle is of any size
    assert load_scene(tmp_path, ALL).train[0].camera.K[0, 0] == pytest.approx(FOCAL / 2)


@pytest.mark.parametrize("name", ["points3d.ply", "points3D.ply"])
def test_a_lone_point_cloud_beside_the_file_is_used(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(
        "ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty float y\nproperty float z\n"
        "end_header\n1 2 3\n"
    )
    write_transforms(tmp_path, [frame(tmp_path, f"{i}.png", i) for i in range(2)], camera_angle_x=ANGLE_X)
    scene = load_scene(tmp_path, ALL)
    assert scene.points.source == name
    assert scene.points.rgb.tolist() == [[128, 128, 128]]


def test_a_uniform_scale_in_a_pose_is_dropped_and_a_mirrored_pose_refused(tmp_path: Path) -> None:
    frames = [frame(tmp_path, f"{i}.png", i) for i in range(2)]
    scaled = np.array(frames[0]["transform_matrix"])
    scaled[:3, :3] *= 0.25
    frames[0]["transform_matrix"] = scaled.tolist()
    write_transforms(tmp_path, frames, camera_angle_x=ANGLE_X)
    view = load_scene(tmp_path, ALL).train[0]
    np.testing.assert_allclose(
        view.camera.viewmat[:3, :3] @ view.camera.viewmat[:3, :3].T, np.eye(3), atol=1e-12
    )
    np.testing.assert_allclose(view.camera.centre, [0, 0, 1], atol=1e-12)
    assert worst_error(view) <= 0.51
    for spoil in (lambda m: m * np.array([-1, 1, 1, 1]), lambda m: m * np.nan, lambda m: m + np.eye(4)):
        spoilt = [{**frames[1], "transform_matrix": spoil(np.array(frames[1]["transform_matrix"])).tolist()}]
        write_transforms(tmp_path, spoilt, camera_angle_x=ANGLE_X)
        with pytest.raises(SceneError, match=r"frame 1\.png: its camera pose is"):
            load_scene(tmp_path, ALL)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [np.inf, 1e300])
@pytest.mark.parametrize("place", [(0, 0), (1, 2), (0, 3)])
def test_poses_of_impossible_numbers_are_one_error_and_no_warning(
    tmp_path: Path, place: tuple[int, int], value: float
) -> None:
    frames = [frame(tmp_path, f"{i}.png", i) for i in range(2)]
    frames[1]["transform_matrix"][place[0]][place[1]] = value
    write_transforms(tmp_path, frames, camera_angle_x=ANGLE_X)
    with pytest.raises(SceneError, match=r"frame 1\.png: its camera"):
        load_scene(tmp_path, ALL)


@pytest.mark.parametrize("far", [1e30, 1e300])
def test_a_camera_beyond_all_numbers_is_refused(tmp_path: Path, far: float) -> None:
    frames = [frame(tmp_path, f"{i}.png", i) for i in range(2)]
    frames[1]["transform_matrix"][1][3] = -far
    write_transforms(tmp_path, frames, camera_angle_x=ANGLE_X)
    with pytest.raises(SceneError, match=r"transforms\.json: frame 1\.png: its camera is 1e\+\d+ units away"):
        load_scene(tmp_path, ALL)


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason="no ../shared/scenes")
def test_fox_is_the_same_scene_from_transforms_and_from_colmap() -> None:
    options = SceneOptions(resolution="1/4")
    file, model = load_scene(SHARED / "fox/transforms.json", options), load_scene(SHARED / "fox", options)
    assert any("transforms.json is passed over" in note for note in model.notes)
    assert [view.name for view in file.test] == [view.name for view in model.test]
    for one, other in zip(file.train, model.train, strict=True):
        assert one.name == other.name
        np.testing.assert_allclose(one.camera.viewmat, other.camera.viewmat, atol=1e-12)  # seen 9e-16
        np.testing.assert_allclose(one.camera.K, other.camera.K, rtol=1e-9)
        assert np.array_equal(one.image, other.image)


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason="no ../shared/scenes")
def test_exact_points_fall_on_their_colours() -> None:
    """synth_primitives is traced exactly: its surface points show their colour wherever they are seen."""
    scene = load_scene(SHARED / "synth_primitives")
    document = json.loads((SHARED / "synth_primitives/transforms_test.json").read_text())
    assert len(scene.test) == len(document["frames"]) == 15
    assert len(scene.points.xyz) == 6010
    solid = []
    for view in scene.train:
        camera = view.camera
        x, y, z = camera.K @ (camera.viewmat[:3, :3] @ scene.points.xyz.T + camera.viewmat[:3, 3:])
        columns, rows = (x / z).astype(int), (y / z).astype(int)
        inside = (columns >= 1) & (columns < 399) & (rows >= 1) & (rows < 399)
        assert view.alpha is not None
        near = [view.alpha[rows[inside] + i, columns[inside] + j] for i in (-1, 0, 1) for j in (-1, 0, 1)]
        solid.append(np.max(near, axis=0) > 0)
    assert np.concatenate(solid).mean() > 0.999
