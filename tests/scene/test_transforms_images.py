"""The images that transforms files name: backgrounds, masks, links, and views without any."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gaussians.scene import SceneOptions, load_scene
from tests.scene.disk import HEIGHT, WIDTH, opengl_pose, rotation, write_transforms
from tests.scene.frames import ALL, ANGLE_X, frame


@pytest.mark.parametrize(
    ("background", "expected"), [("auto", (255, 255, 255)), ("black", (0, 0, 0)), ("#ff8000", (255, 128, 0))]
)
def test_transparent_images_lie_on_the_background(
    tmp_path: Path, background: str, expected: tuple[int, int, int]
) -> None:
    rgba = np.zeros((8, 8, 4), np.uint8)
    rgba[:, :4] = (10, 20, 30, 255)
    rgba[:, 4:] = (99, 99, 99, 0)
    for index in range(2):
        Image.fromarray(rgba).save(tmp_path / f"{index}.png")
    frames = [
        {"file_path": str(index), "transform_matrix": opengl_pose(rotation(index), (0, index, 0))}
        for index in range(2)
    ]
    write_transforms(tmp_path, frames, camera_angle_x=1.0)
    scene = load_scene(tmp_path, SceneOptions(background=background, test_every=0))
    view = scene.train[0]
    assert view.image[0, 0].tolist() == [10, 20, 30]
    assert view.image[0, 7].tolist() == list(expected)
    assert [round(255 * channel) for channel in scene.background] == list(expected)
    assert view.mask is None
    assert view.alpha is not None
    assert view.alpha[0].tolist() == [255] * 4 + [0] * 4


def test_opaque_photos_have_a_black_background_and_no_alpha(tmp_path: Path) -> None:
    write_transforms(tmp_path, [frame(tmp_path, f"{i}.png", i) for i in range(2)], camera_angle_x=ANGLE_X)
    scene = load_scene(tmp_path, ALL)
    assert scene.background == (0, 0, 0)
    assert scene.train[0].alpha is None


@pytest.mark.parametrize("spelling", ["link/images", "images_by_link"])
def test_absolute_names_through_a_link_are_in_the_scene_and_no_photo_is_its_own_mask(
    tmp_path: Path, spelling: str
) -> None:
    scene = tmp_path / "real" / "scene"
    frames = [frame(scene, f"images/{i}.png", i) for i in range(2)]
    (tmp_path / "link").symlink_to(scene)
    (tmp_path / "images_by_link").symlink_to(scene / "images")
    for index, each in enumerate(frames):
        each["file_path"] = str(tmp_path / spelling / f"{index}.png")
    (scene / "masks").mkdir()
    Image.new("L", (WIDTH, HEIGHT), 255).save(scene / "masks/1.png")
    listed = [frames[1]["file_path"]]
    write_transforms(scene, frames, camera_angle_x=ANGLE_X, test_filenames=listed)
    for path in (scene, tmp_path / "link"):
        read = load_scene(path)
        assert [view.name for view in (*read.train, *read.test)] == ["0.png", "1.png"]
        assert read.train[0].mask is None
        assert read.test[0].mask is not None


def test_photos_outside_of_the_scene_are_not_their_own_masks(tmp_path: Path) -> None:
    scene = tmp_path / "scene"
    frames = [frame(scene, str(tmp_path / f"photos/{i}.png"), i) for i in range(2)]
    (scene / "masks").mkdir(parents=True)
    write_transforms(scene, frames, camera_angle_x=ANGLE_X)
    assert [view.mask for view in load_scene(scene, ALL).train] == [None, None]


def test_a_mask_named_with_backslashes(tmp_path: Path) -> None:
    frames = [frame(tmp_path, f"images/{i}.png", i, mask_path=f"m\\{i}.png") for i in range(2)]
    (tmp_path / "m").mkdir()
    for index in range(2):
        Image.new("L", (WIDTH, HEIGHT), 255).save(tmp_path / f"m/{index}.png")
    write_transforms(tmp_path, frames, camera_angle_x=ANGLE_X)
    assert all(view.mask is not None for view in load_scene(tmp_path, ALL).train)


@pytest.mark.parametrize("there", [[], [4]])
def test_held_out_views_without_images_are_dropped(tmp_path: Path, there: list[int]) -> None:
    for split, seeds in (("train", range(3)), ("test", range(3, 9))):
        frames = [frame(tmp_path, f"./{split}/r_{seed}", seed) for seed in seeds]
        write_transforms(tmp_path, frames, f"transforms_{split}.json", camera_angle_x=ANGLE_X)
    for seed in set(range(3, 9)) - set(there):
        (tmp_path / f"test/r_{seed}.png").unlink()
    scene = load_scene(tmp_path)
    gone = 3 if 3 not in there else 4
    note = f"left out {6 - len(there)} test views without an image"
    assert any(each.startswith(note) and f"test/r_{gone}" in each for each in scene.notes)
    # Without any, one in so many of the others is held out, as in scenes that hold nothing back.
    assert [view.name for view in scene.test] == (
        [f"test/r_{seed}.png" for seed in there] or ["train/r_0.png"]
    )
    assert len(scene.train) + len(scene.test) == 3 + len(there)
