import json
import subprocess
import sys
from pathlib import Path, PurePath

import numpy as np
import pytest
from PIL import Image

from gaussians.errors import RecipeError, SceneError
from gaussians.io import readable_suffixes
from gaussians.scene import SceneOptions, load_scene
from gaussians.scene.load import scene_extent
from tests.scene.disk import (
    HEIGHT,
    SHARED,
    WIDTH,
    opengl_pose,
    pinholes,
    rotation,
    write_colmap,
    write_transforms,
)
from tests.scene.frames import ALL, ANGLE_X, frame


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(SceneError, match=r"nowhere: no such folder"):
        load_scene(tmp_path / "nowhere")


def test_an_empty_folder_says_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(
        SceneError, match=r"no cameras and no photos found; expected sparse/0/ .*transforms\.json"
    ):
        load_scene(tmp_path)


def test_a_folder_of_scenes_names_them(tmp_path: Path) -> None:
    write_colmap(tmp_path / "garden", pinholes(2))
    with pytest.raises(SceneError, match=r"did you mean one of its folders \(garden\)"):
        load_scene(tmp_path)


def test_a_file_that_is_no_scene(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("hello")
    with pytest.raises(SceneError, match=r"notes\.txt: a file, but a scene is a folder") as caught:
        load_scene(path)
    assert all(suffix in str(caught.value) for suffix in readable_suffixes())
    video = tmp_path / "walk.MP4"
    video.touch()
    with pytest.raises(SceneError, match=r"walk\.MP4: a video; extract frames"):
        load_scene(video)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (["1.HEIC", "2.heic", "3.heic"], "3 .heic files: convert to JPEG first"),
        (
            ["1.heic", "walk.mov"],
            "1 .heic file: convert to JPEG first; 1 .mov video: extract frames first",
        ),
        (["images/1.dng", "images/2.dng"], "2 .dng files in images: convert to JPEG first"),
        (["input/1.jpg", "input/2.jpg"], r"did you mean one of its folders \(input\)"),
        (["garden/images/1.jpg", "input/1.jpg"], r"did you mean one of its folders \(garden, input\)"),
        (["._1.jpg", ".hidden/2.jpg"], "expected"),
    ],
)
def test_a_folder_without_photos_says_what_is_in_it(tmp_path: Path, files: list[str], said: str) -> None:
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    with pytest.raises(SceneError, match=rf"no cameras and no photos found; {said}") as caught:
        load_scene(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_run_is_no_scene_unless_it_is_its_own(tmp_path: Path) -> None:
    run, scene = tmp_path / "run", tmp_path / "scene"
    run.mkdir()
    (run / "report.png").touch()
    wanted = rf"{run}: is a run; go on with it by --out {run} --resume, or give its scene \({scene}\)"
    (run / "recipe.json").write_text(json.dumps({"scene": str(scene), "recipe": {}}))
    with pytest.raises(SceneError, match=wanted):
        load_scene(run)
    for content in (json.dumps({"scene": str(run)}), json.dumps({"student": {}}), "[1]", "{"):
        (run / "recipe.json").write_text(content)
        with pytest.raises(SceneError, match="no photos found"):
            load_scene(run)


def test_a_zero_byte_image(tmp_path: Path) -> None:
    write_colmap(tmp_path, pinholes(3))
    (tmp_path / "images/photo_01.png").write_bytes(b"")
    with pytest.raises(SceneError, match=r"photo_01\.png: .*empty \(0 bytes\)") as caught:
        load_scene(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_folder_named_as_an_image(tmp_path: Path) -> None:
    write_colmap(tmp_path, pinholes(3))
    path = tmp_path / "images/photo_01.png"
    path.unlink()
    path.mkdir()
    with pytest.raises(SceneError) as caught:
        load_scene(tmp_path)
    assert str(caught.value).startswith(f"{path}: cannot be read as an image: Is a directory; ")


def test_half_an_image(tmp_path: Path) -> None:
    write_colmap(tmp_path, pinholes(3))
    path = tmp_path / "images/photo_01.png"
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(SceneError, match=r"photo_01\.png: cannot be read as an image"):
        load_scene(tmp_path)


def test_bad_options_are_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="background 'pink'"):
        load_scene(tmp_path, SceneOptions(background="pink"))
    with pytest.raises(RecipeError, match="resolution"):
        load_scene(tmp_path, SceneOptions(resolution="big"))


def test_colmap_goes_before_transforms_unless_the_file_is_named(tmp_path: Path) -> None:
    write_colmap(tmp_path, pinholes(2))
    pose = opengl_pose(rotation(1), (7.0, 8.0, 9.0))
    frame = {"file_path": "images/photo_00.png", "transform_matrix": pose}
    write_transforms(tmp_path, [frame], camera_angle_x=1.0)
    options = SceneOptions(test_every=0)
    scene = load_scene(tmp_path, options)
    assert len(scene.train) == 2
    assert any(note.startswith("transforms.json is passed over for the COLMAP model") for note in scene.notes)
    named = load_scene(tmp_path / "transforms.json", options)
    assert len(named.train) == 1
    np.testing.assert_allclose(named.train[0].camera.centre, [7, 8, 9])
    assert named.path == scene.path == tmp_path


def test_train_and_test_are_apart_and_sorted(tmp_path: Path) -> None:
    write_colmap(tmp_path, dict(reversed(pinholes(10).items())))
    scene = load_scene(tmp_path)
    assert [view.name for view in scene.test] == ["photo_00.png", "photo_08.png"]
    assert [view.name for view in scene.train] == sorted(set(pinholes(10)) - {"photo_00.png", "photo_08.png"})
    assert scene.name == tmp_path.name


def test_extent_is_of_all_cameras(tmp_path: Path) -> None:
    write_colmap(tmp_path, pinholes(5))
    scene = load_scene(tmp_path, SceneOptions(test_every=2))
    centres = np.array([view.camera.centre for view in (*scene.train, *scene.test)])
    largest = np.linalg.norm(centres - centres.mean(axis=0), axis=1).max()
    assert scene.extent == pytest.approx(1.1 * largest)


def test_extent_of_cameras_on_one_spot_is_of_the_points(tmp_path: Path) -> None:
    write_colmap(tmp_path, pinholes(1))
    scene = load_scene(tmp_path, SceneOptions(test_every=0))
    away = np.linalg.norm(scene.points.xyz - scene.train[0].camera.centre, axis=1)
    assert scene.extent == pytest.approx(1.1 * np.median(away))
    assert scene_extent(scene.train) == 1e-6, "without points it is not zero"


@pytest.mark.parametrize(
    "name",
    ["{stem}.png", "{stem}.png.png", "{stem}.jpg", "deep/{stem}.png"],
    ids=["stem", "full", "jpg", "folder"],
)
def test_masks_folder(tmp_path: Path, name: str) -> None:
    cameras = pinholes(3)
    if name.startswith("deep/"):
        cameras = {f"deep/{key}": camera for key, camera in cameras.items()}
    write_colmap(tmp_path, cameras)
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[: HEIGHT // 2] = 255
    mask[HEIGHT // 2] = 255  # one row more: at half size that row is half covered, and counts
    for index in range(2):
        path = tmp_path / "masks" / name.format(stem=f"photo_{index:02d}")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(mask).save(path, quality=100)
    scene = load_scene(tmp_path, SceneOptions(resolution="1/2", test_every=0))
    masks = [view.mask for view in scene.train]
    assert masks[2] is None
    for each in masks[:2]:
        assert each is not None
        assert each.dtype == bool
        assert each.all(axis=1).tolist() == [True] * (HEIGHT // 4 + 1) + [False] * (HEIGHT // 4 - 1)
        assert each.any(axis=1).sum() == HEIGHT // 4 + 1
    assert any("masks for 2 photos from masks/; none for 1 photos" in note for note in scene.notes)


def test_photos_that_a_mask_hides_are_left_out_and_told(tmp_path: Path) -> None:
    write_colmap(tmp_path, pinholes(4))
    (tmp_path / "masks").mkdir()
    for index, shade in enumerate((0, 255, 0)):
        path = tmp_path / "masks" / f"photo_{index:02d}.png"
        Image.fromarray(np.full((HEIGHT, WIDTH), shade, np.uint8)).save(path)
    scene = load_scene(tmp_path, SceneOptions(test_names=("photo_02", "photo_03")))
    assert [PurePath(view.name).stem for view in (*scene.train, *scene.test)] == ["photo_01", "photo_03"]
    assert any("all black: 2 photos (the first: photo_00" in note for note in scene.notes)


@pytest.mark.parametrize(("offset", "told"), [((500_000, 5_400_000), True), ((1000, 1000), False)])
def test_coordinates_too_large_for_float32_are_told(
    tmp_path: Path, offset: tuple[int, int], told: bool
) -> None:
    frames = [frame(tmp_path, f"{i}.png", i) for i in range(3)]
    for each in frames:
        for axis in range(2):
            each["transform_matrix"][axis][3] += offset[axis]
    write_transforms(tmp_path, frames, camera_angle_x=ANGLE_X)
    notes = [note for note in load_scene(tmp_path, ALL).notes if "float32" in note]
    wanted = (
        "coordinates of 5,400,000 leave float32 little detail: subtract an offset from cameras and points"
    )
    assert notes == ([wanted] if told else [])


def test_a_scene_without_points_says_how_they_were_drawn(tmp_path: Path) -> None:
    write_colmap(tmp_path, pinholes(3))
    (tmp_path / "sparse/0/points3D.bin").write_bytes(bytes(8))
    scene = load_scene(tmp_path, SceneOptions(random_points=77, test_every=0))
    assert scene.points.xyz.shape == (77, 3)
    assert scene.points.source.startswith("random, ")
    assert any(note.startswith("no point cloud: 77 points, random, ") for note in scene.notes)


def test_progress_is_told_and_may_cancel(tmp_path: Path) -> None:
    write_colmap(tmp_path, pinholes(4))
    told = []
    load_scene(tmp_path, SceneOptions(), lambda what, done, total: told.append((what, done, total)))
    assert told == [("decoding photos", done, 4) for done in (1, 2, 3, 4)]

    def cancel(what: str, done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load_scene(tmp_path, SceneOptions(), cancel)


def test_importing_the_package_loads_neither_pycolmap_nor_numba() -> None:
    code = (
        "import sys, gaussians.camera, gaussians.model; before = set(sys.modules); import gaussians.scene; "
        "print({'pycolmap', 'numba', 'plyfile'} & (set(sys.modules) - before))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"


EXPECTED = {
    "fox": (43, 7, 12_159),
    "mip360_bonsai_800": (255, 37, 87_649),
    "south_building_640": (112, 16, 42_193),
    "gold_cape_masked": (104, 15, 32_870),
    "nerf_lego_400": (100, 40, 50_000),
    "synth_primitives": (60, 15, 6_010),
    "sceaux_castle_11": (9, 2, 4_986),
}


def test_masks_that_leave_nothing_are_refused(tmp_path: Path) -> None:
    """Where nothing counts, nothing is wrong: a report would say 100 dB."""
    write_colmap(tmp_path, pinholes(2))
    (tmp_path / "masks").mkdir()
    for index in range(2):
        Image.fromarray(np.zeros((HEIGHT, WIDTH), np.uint8)).save(tmp_path / f"masks/photo_{index:02d}.png")
    with pytest.raises(SceneError, match="masks leave no pixel"):
        load_scene(tmp_path, SceneOptions(test_every=0))


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason="no ../shared/scenes")
@pytest.mark.parametrize("name", EXPECTED)
def test_shared_scenes(name: str) -> None:
    scene = load_scene(SHARED / name, SceneOptions(resolution="1/4"))
    assert (len(scene.train), len(scene.test), len(scene.points.xyz)) == EXPECTED[name]
    for view in (*scene.train, *scene.test):
        assert view.image.shape == (view.camera.height, view.camera.width, 3)
        assert view.image.dtype == np.uint8
        assert view.image.flags.c_contiguous
        assert (view.mask is not None) == (name == "gold_cape_masked")
        assert (view.alpha is not None) == (name in ("nerf_lego_400", "synth_primitives"))
    seen = np.zeros(len(scene.points.xyz), int)
    for view in scene.train:
        camera = view.camera
        x, y, z = camera.K @ (camera.viewmat[:3, :3] @ scene.points.xyz.T + camera.viewmat[:3, 3:])
        seen += (z > 0) & (x >= 0) & (x < z * camera.width) & (y >= 0) & (y < z * camera.height)
    # Points that hardly a camera sees would mean that axes or units are wrong. Seen: 1.
    assert np.mean(seen >= 2) > 0.99
