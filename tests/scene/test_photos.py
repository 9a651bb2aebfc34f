import shutil
from pathlib import Path

import numpy as np
import pycolmap
import pytest
from PIL import Image

from gaussians.errors import SceneError
from gaussians.scene import Scene, SceneOptions, load_scene, photos
from tests.scene.disk import SHARED, model_of, photo, pinholes, worst_error

ROTATE = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90}
"""How an upright photo is stored under an EXIF orientation."""


@pytest.mark.parametrize("count", [1, 2])
def test_too_few_photos(tmp_path: Path, count: int) -> None:
    for index in range(count):
        Image.new("RGB", (32, 24)).save(tmp_path / f"{index}.jpg")
    with pytest.raises(SceneError, match=rf"{count} photos? without cameras; .* at least 3"):
        load_scene(tmp_path)


def test_a_broken_photo_is_named_before_any_work(tmp_path: Path) -> None:
    for index in range(3):
        Image.new("RGB", (32, 24)).save(tmp_path / f"{index}.jpg")
    (tmp_path / "1.jpg").write_bytes(b"")
    with pytest.raises(SceneError, match=r"1\.jpg: .*0 bytes"):
        load_scene(tmp_path, SceneOptions(cache=tmp_path / "cache"))


def test_photos_that_show_nothing_fail_with_advice(tmp_path: Path) -> None:
    for index in range(3):
        Image.new("RGB", (64, 48), (index, 0, 0)).save(tmp_path / f"{index}.jpg")
    with pytest.raises(SceneError, match="structure from motion") as caught:
        load_scene(tmp_path, SceneOptions(cache=tmp_path / "cache"))
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "cache").glob("*")), "nothing half-done is kept"


@pytest.fixture
def solved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Photos of the known world, and a solver that knows their cameras and counts its calls."""
    cameras = pinholes(4)
    reconstruction, rotations = model_of(cameras)
    scene = tmp_path / "scene"
    scene.mkdir()
    for name, camera in cameras.items():
        photo(camera, rotations[name]).save(scene / name)

    def solve(folder: Path, names: object, headers: object, model: Path, progress: object) -> None:
        with (tmp_path / "calls").open("a") as calls:
            calls.write("x")
        model.mkdir(parents=True)
        reconstruction.write_binary(model)

    monkeypatch.setattr(photos, "_reconstruct", solve)
    return scene


def test_the_solution_is_kept_until_the_photos_change(solved: Path) -> None:
    options = SceneOptions(cache=solved.parent / "cache", test_every=0)

    def calls() -> int:
        return len((solved.parent / "calls").read_text())

    first = load_scene(solved, options)
    assert max(map(worst_error, first.train)) <= 0.51
    again = load_scene(solved, options)
    assert calls() == 1
    assert any("done before" in note for note in again.notes)
    moved = solved.rename(solved.with_name("moved"))
    load_scene(moved, options)
    assert calls() == 1, "the same photos elsewhere are the same photos"
    Image.new("RGB", (160, 120)).save(moved / "photo_09.png")
    load_scene(moved, options)
    assert calls() == 2


def test_photos_are_trained_on_upright(solved: Path) -> None:
    for name, orientation in (("photo_00.png", 3), ("photo_02.png", 6)):
        upright = Image.open(solved / name)
        upright.load()
        exif = Image.Exif()
        exif[0x0112] = orientation
        upright.transpose(ROTATE[orientation]).save(solved / name, exif=exif)
    scene = load_scene(solved, SceneOptions(cache=solved.parent / "cache", test_every=0))
    assert len(scene.train) == 4
    assert max(map(worst_error, scene.train)) <= 0.51


@pytest.mark.parametrize("folder", ["images", "."])
def test_hidden_files_are_not_photos_and_unreadable_ones_are_told(solved: Path, folder: str) -> None:
    (solved / folder).mkdir(exist_ok=True)
    for path in list(solved.glob("*.png")):
        path.rename(solved / folder / path.name)
    for name in ("._photo_00.png", "photo_00.heic", "photo_10.HEIC", "photo_11.heic", "walk.mov"):
        (solved / folder / name).write_bytes(b"no image that we read")
    scene = load_scene(solved, SceneOptions(cache=solved.parent / "cache", test_every=0))
    assert len(scene.train) == 4
    # photo_00 is there as PNG too, and the video is where the photos come from.
    assert [note for note in scene.notes if "passed over" in note] == [
        "passed over 2 .heic files: convert to JPEG first"
    ]


@pytest.mark.parametrize("folder", [".", "images"])
def test_the_picture_of_a_run_among_them_is_no_photo(tmp_path: Path, folder: str) -> None:
    for name in (f"{folder}/a.png", f"{folder}/report.png", f"{folder}/run/report.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert "report.png" in photos.find_photos(tmp_path)[1], "unless it lies in a run, it may be one"
    for run in (tmp_path / folder, tmp_path / folder / "run"):
        (run / "recipe.json").touch()
    assert photos.find_photos(tmp_path)[1] == ("a.png",)


def test_too_few_photos_beside_unreadable_ones(tmp_path: Path) -> None:
    Image.new("RGB", (32, 24)).save(tmp_path / "0.jpg")
    (tmp_path / "1.heic").touch()
    with pytest.raises(
        SceneError, match=r"1 photo without cameras \(1 \.heic file: convert to JPEG first\);"
    ):
        load_scene(tmp_path)


CASTLE = SHARED / "sceaux_castle_11"
PHOTOS = 6  # of eleven, at 600 px: what is to be shown here takes no more


@pytest.fixture(scope="module")
def castle(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Scene, list[str]]:
    """Photos of the castle alone, one turned by EXIF, all with a space in their names; what came of them."""
    folder = tmp_path_factory.mktemp("castle") / "photos only"
    folder.mkdir()
    for index, path in enumerate(sorted((CASTLE / "images").glob("*.jpg"))[:PHOTOS]):
        small = Image.open(path).resize((600, 442), Image.Resampling.BOX)
        exif = Image.Exif()
        if index == 2:
            exif[0x0112] = 6
            small = small.transpose(ROTATE[6])
        small.save(folder / path.name.replace("100_", "100 "), quality=95, exif=exif)
    told: list[str] = []
    options = SceneOptions(cache=folder.parent / "cache", test_every=0)
    scene = load_scene(folder, options, lambda what, done, total: told.append(what))
    return folder, scene, told


@pytest.mark.shared
@pytest.mark.skipif(not CASTLE.is_dir(), reason="no ../shared/scenes")
def test_structure_from_motion_agrees_with_the_given_model(castle: tuple[Path, Scene, list[str]]) -> None:
    _, scene, told = castle
    assert list(dict.fromkeys(told)) == [
        "finding features",
        "matching photos",
        "placing photos",
        "decoding photos",
    ]
    assert len(scene.train) == PHOTOS
    assert len(scene.points.xyz) > 300
    assert scene.points.source == "structure from motion"
    assert all(view.image.shape[1] > view.image.shape[0] for view in scene.train)
    reference = pycolmap.Reconstruction(CASTLE / "sparse/0")
    given = [reference.find_image_with_name(view.name.replace("100 ", "100_")) for view in scene.train]
    there = np.array([image.projection_center() for image in given if image])
    here = np.array([view.camera.centre for view in scene.train])
    # The similarity between both worlds (Umeyama 1991).
    a, b = here - here.mean(axis=0), there - there.mean(axis=0)
    u, s, vt = np.linalg.svd(b.T @ a)
    flip = np.diag([1, 1, np.linalg.det(u @ vt)])
    rotation, scale = u @ flip @ vt, (s * np.diag(flip)).sum() / (a**2).sum()
    distance = np.linalg.norm(scale * a @ rotation.T - b, axis=1).max() / np.linalg.norm(b, axis=1).max()
    angles = []
    for view, image in zip(scene.train, given, strict=True):
        assert image is not None
        turn = view.camera.viewmat[:3, :3] @ rotation.T @ image.cam_from_world().rotation.matrix().T
        angles.append(np.degrees(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1))))
    # Against a model of all eleven photos at 1000 px. Seen: 0.25 % of the cameras' spread and 0.37°.
    assert distance < 0.02
    assert max(angles) < 1.0


@pytest.mark.shared
@pytest.mark.skipif(not CASTLE.is_dir(), reason="no ../shared/scenes")
def test_a_second_load_takes_the_kept_solution(castle: tuple[Path, Scene, list[str]]) -> None:
    folder, scene, _ = castle
    copy = folder.parent / "copy"
    shutil.copytree(folder, copy)
    told: list[str] = []
    options = SceneOptions(cache=folder.parent / "cache", test_every=0)
    again = load_scene(copy, options, lambda what, done, total: told.append(what))
    assert set(told) == {"decoding photos"}
    for one, other in zip(scene.train, again.train, strict=True):
        assert np.array_equal(one.camera.viewmat, other.camera.viewmat)
        assert np.array_equal(one.image, other.image)
