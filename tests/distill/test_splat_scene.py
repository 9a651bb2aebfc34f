import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from gaussians.distill.splat_scene import splat_scene
from gaussians.distill.splat_views import opaque_mass, splat_cameras
from gaussians.errors import SplatError
from gaussians.io import write_splat
from gaussians.model import Gaussians
from gaussians.scene.cameras_json import read_background, read_cameras, write_cameras
from gaussians.scene.types import SceneOptions, View
from gaussians.session.directory import RunDirectory, RunPlan
from gaussians.session.run import Run
from gaussians.train.evaluate import render_view
from gaussians.train.metrics import psnr
from tests.session import tiny

from .scenes import orbit, random_gaussians


def room(count: int = 4000) -> Gaussians:
    """The walls of a ball of radius 5."""
    draw = torch.Generator().manual_seed(0)
    directions = torch.nn.functional.normalize(torch.randn(count, 3, generator=draw), dim=-1)
    walls = random_gaussians(count, scale=0.4)
    return dataclasses.replace(walls, means=5 * directions, logit_opacities=torch.full((count,), 4.0))


def test_an_object_is_looked_at_from_outside() -> None:
    thing = random_gaussians(200)
    thing = dataclasses.replace(thing, means=thing.means + torch.tensor([7.0, 0, -2]))
    centre, radius = opaque_mass(thing)
    assert np.linalg.norm(centre - [7, 0, -2]) < 0.3
    assert 0.5 < radius < 2
    cameras, note = splat_cameras(Path("thing.ply"), thing, 0)
    assert "sphere" in note
    for camera in cameras:
        toward = centre - camera.centre
        assert np.linalg.norm(toward) > 1.3 * radius
        assert camera.forward @ toward / np.linalg.norm(toward) > 0.9
        assert camera.up @ [0, -1, 0] > 0.3


def test_floaters_do_not_move_the_cameras_away() -> None:
    thing = random_gaussians(400)
    means = thing.means.clone()
    means[:8] *= 1e4
    centre, radius = opaque_mass(dataclasses.replace(thing, means=means))
    assert np.linalg.norm(centre) < 0.3
    assert radius < 2


def test_a_room_is_looked_at_from_within() -> None:
    cameras, note = splat_cameras(Path("room.ply"), room(), 0)
    assert "within" in note
    assert max(np.linalg.norm(camera.centre) for camera in cameras) < 2.5


def test_cameras_beside_the_file_win(tmp_path: Path) -> None:
    truth = orbit(5)
    entries = [
        {
            "img_name": f"{index:03}", "width": camera.width, "height": camera.height,
            "position": camera.centre.tolist(), "rotation": camera.viewmat[:3, :3].T.tolist(),
            "fx": camera.K[0, 0], "fy": camera.K[1, 1],
        }
        for index, camera in enumerate(truth)
    ]  # fmt: skip
    file = tmp_path / "cameras.json"
    file.write_text(json.dumps(entries[::-1]))
    splat = tmp_path / "point_cloud" / "iteration_7" / "point_cloud.ply"
    cameras, note = splat_cameras(splat, random_gaussians(), 0)
    assert "cameras.json" in note
    for read, camera in zip(cameras, truth, strict=True):
        assert np.allclose(read.viewmat, camera.viewmat)
        assert np.allclose(read.K, camera.K)
    file.write_text("{}")
    with pytest.raises(SplatError, match="holds no cameras"):
        read_cameras(file)
    file.write_text('[{"img_name": 1}]')
    with pytest.raises(SplatError, match="not readable as cameras"):
        read_cameras(file)


def test_cameras_elsewhere_do_not(tmp_path: Path) -> None:
    views = [View("", camera, np.zeros((32, 40, 3), np.uint8)) for camera in orbit(3)]
    write_cameras(tmp_path / "cameras.json", views, (0.0, 0.0, 0.0))
    places = {"x.ply": True, "teachers/x.ply": True, "other/x.ply": False, "a/b/x.ply": False}
    for inside, found in places.items():
        _, note = splat_cameras(tmp_path / inside, random_gaussians(), 0)
        assert ("cameras.json" in note) == found, inside


def test_a_run_beside_its_own_splat_does_not_change_how_that_is_seen(tmp_path: Path) -> None:
    path, options = tmp_path / "thing.ply", SceneOptions(resolution="24", test_every=40)
    write_splat(path, random_gaussians(60))
    before = splat_scene(path, options)
    directory = RunDirectory(tmp_path)
    directory.create(RunPlan(path, options, tiny.recipe(), "cpu", {"thing": path}))
    next(Run(directory, before, tiny.recipe(), torch.device("cpu"), {"thing": path}).events())
    assert not directory.cameras.exists()
    assert [view.name for view in splat_scene(path, options).test] == [view.name for view in before.test]


def test_written_cameras_are_read_back_with_their_principal_points(tmp_path: Path) -> None:
    shift = np.array([[0, 0, 1.5], [0, 0, -2.25], [0, 0, 0]])
    off = [dataclasses.replace(camera, K=camera.K + shift) for camera in orbit(3)]
    views = [View(f"{index}", camera, np.zeros((32, 40, 3), np.uint8)) for index, camera in enumerate(off)]
    write_cameras(tmp_path / "cameras.json", views, (0.0, 0.0, 0.0))
    for read, camera in zip(read_cameras(tmp_path / "cameras.json"), off, strict=True):
        assert np.allclose(read.K, camera.K)
        assert np.allclose(read.viewmat, camera.viewmat)


def test_views_are_the_splats_own_renders(tmp_path: Path) -> None:
    path, told = tmp_path / "thing.ply", []
    write_splat(path, random_gaussians(60))
    options = SceneOptions(resolution="48", test_every=10, background="white")
    scene = splat_scene(path, options, lambda *progress: told.append(progress))
    assert (len(scene.train), len(scene.test), len(told)) == (144, 16, 160)
    assert scene.background == (1, 1, 1)
    assert "thing.ply" in scene.notes[0]
    view = scene.test[3]
    assert view.image.shape == (36, 48, 3)
    assert psnr(render_view(random_gaussians(60), view.camera, scene.background), view.image, None) > 55
    covered = [(view.image < 250).any(axis=-1).mean() for view in scene.train]
    assert 0.1 < min(covered) < max(covered) <= 1
    assert len(scene.points.xyz) == 60


def test_views_are_rendered_where_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_splat(tmp_path / "thing.ply", random_gaussians(60))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    options = SceneOptions(resolution="24")
    assert splat_scene(tmp_path / "thing.ply", options, device=torch.device("cpu")).train


def test_an_empty_splat_is_refused(tmp_path: Path) -> None:
    write_splat(tmp_path / "empty.ply", random_gaussians(0))
    with pytest.raises(SplatError, match="holds no Gaussians"):
        splat_scene(tmp_path / "empty.ply", SceneOptions())


def test_a_splat_is_seen_on_what_it_was_trained_on_unless_asked_otherwise(tmp_path: Path) -> None:
    path, file = tmp_path / "thing.ply", tmp_path / "cameras.json"
    write_splat(path, random_gaussians(60))
    views = [
        View(f"{index}", camera, np.zeros((32, 40, 3), np.uint8)) for index, camera in enumerate(orbit(4))
    ]
    write_cameras(file, views, (1.0, 0.2, 0.0))
    assert read_background(file) == "#ff3300"
    scene = splat_scene(path, SceneOptions(test_every=3))
    assert scene.background == (1.0, 0.2, 0.0)
    rendered = render_view(random_gaussians(60), scene.train[0].camera, scene.background)
    assert psnr(rendered, torch.from_numpy(scene.train[0].image) / 255) > 45
    assert splat_scene(path, SceneOptions(test_every=3, background="white")).background == (1.0, 1.0, 1.0)
    for text in ("[]", "{}", '[{"background": "red"}]', "nothing"):
        file.write_text(text)
        assert read_background(file) is None, text
    file.unlink()
    assert splat_scene(path, SceneOptions(resolution="24")).background == (0.0, 0.0, 0.0)
