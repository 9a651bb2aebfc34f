"""The worker opens scenes, runs and splat files."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from gaussians.io import read_splat
from gaussians.scene import SceneOptions
from gaussians.scene.cameras_json import read_cameras
from gaussians.session.messages.commands import CancelLoading, OpenRun, OpenScene, OpenSplat, Quit, Start
from gaussians.session.messages.reports import Failed, HistoryGrew, Loading, RunStateChanged, SceneOpened
from gaussians.session.opening import open_run
from tests.session import tiny
from tests.session.studio import OPTIONS, PATIENCE, in_stage, look, studio

TEACHERS = ("vanilla", "perturbed", "dropout")


def test_opens_a_finished_run_with_its_history(finished_run: Path):
    with studio() as desk:
        desk.send(OpenRun(finished_run))
        opened = desk.wait(SceneOpened)
        assert desk.state("finished")
        assert opened.run == (finished_run, tiny.recipe())
        report = json.loads((finished_run / "report.json").read_text())
        assert opened.measured == {name: model["psnr"] for name, model in report["models"].items()}
        steps = desk.wait(HistoryGrew).steps
        assert steps[-1] == 30
        camera = next(iter(opened.cameras.values()))
        desk.send(look(camera, "student", f"history:{steps[-1]}", f"history:{steps[0]}"))
        last, first = desk.frame(f"history:{steps[-1]}"), desk.frame(f"history:{steps[0]}")
        student = desk.frame("student").image.astype(int)
        # float16 parameters: worst seen 1 of 255.
        assert np.abs(student - last.image).max() <= 2
        assert first.count > last.count


def test_run_without_its_photos_shows_its_models(finished_run: Path, scene_folder: Path, tmp_path: Path):
    run = tmp_path / "run"
    shutil.copytree(finished_run, run)
    document = json.loads((run / "recipe.json").read_text())
    (run / "recipe.json").write_text(json.dumps(document | {"scene": str(tmp_path / "vanished")}))
    with studio() as desk:
        desk.send(OpenRun(run))
        opened = desk.wait(SceneOpened)
        assert opened.models == (*TEACHERS, "ensemble", "student", "disagreement")
        assert "vanished" in desk.wait(Failed).advice
        desk.send(Start(run, tiny.recipe()))
        assert "vanished" in desk.wait(Failed).advice


def test_views_a_splat_file(finished_run: Path):
    path = finished_run / "student.ply"
    with studio() as desk:
        desk.send(OpenSplat(path))
        opened = desk.wait(SceneOpened)
        assert opened.models == ("student",)
        camera = tiny.cameras(1)[0]
        desk.send(look(camera, "student"))
        assert desk.frame("student").count == len(read_splat(path))
        desk.send(Start(path.parent / "new", tiny.recipe()))
        assert "no photos" in desk.wait(Failed).advice


def test_the_ensembles_quality_is_told_of_the_weights_that_hold(finished_run: Path, tmp_path: Path):
    run = tmp_path / "run"
    shutil.copytree(finished_run, run)
    facts = run / "checkpoints" / "ensemble.json"
    document = json.loads(facts.read_text())
    other = document["weights"] | {"vanilla": 0.5}
    facts.write_text(json.dumps(document | {"weights": other}))
    measured = open_run(run, torch.device("cpu"), lambda *_: None).message.measured
    assert set(measured) == {*TEACHERS, "student"}


def test_a_splat_is_shown_on_what_it_was_trained_on(finished_run: Path, tmp_path: Path):
    # Seen from afar, the pixel at the corner shows nothing but that.
    camera = tiny.cameras(1)[0]
    viewmat = camera.viewmat.copy()
    viewmat[2, 3] += 50
    corners = []
    for background in ("#ff0000", None):
        cameras = json.loads((finished_run / "cameras.json").read_text())
        (tmp_path / "cameras.json").write_text(
            json.dumps([entry | {"background": background} for entry in cameras])
        )
        shutil.copy(finished_run / "student.ply", tmp_path)
        with studio() as desk:
            desk.send(OpenSplat(tmp_path / "student.ply"))
            desk.wait(SceneOpened)
            desk.send(look(dataclasses.replace(camera, viewmat=viewmat), "student"))
            corners.append(desk.frame("student").image[0, 0].tolist())
    assert corners == [[255, 0, 0], [0, 0, 0]]


def test_a_splat_is_looked_at_from_where_it_was_trained_from(finished_run: Path, tmp_path: Path):
    cameras = read_cameras(finished_run / "cameras.json")
    splat = tmp_path / "student.ply"
    shutil.copy(finished_run / "student.ply", splat)
    with studio() as desk:
        desk.send(OpenSplat(finished_run / "student.ply"))
        known = desk.wait(SceneOpened)
        desk.send(OpenSplat(splat))
        unknown = desk.wait(SceneOpened)
        (tmp_path / "cameras.json").write_text("[{}]")
        desk.send(OpenSplat(splat))
        unreadable = desk.wait(SceneOpened)
    assert known.home is not None
    assert np.allclose(known.home.viewmat, cameras[0].viewmat)
    assert known.up @ np.mean([camera.up for camera in cameras], axis=0) > 0.9
    for opened in (unknown, unreadable):
        assert opened.home is None
        assert opened.up.tolist() == [0, -1, 0]
    assert (known.notes, unknown.notes) == ((), ())
    assert "not readable as cameras" in unreadable.notes[0]


def test_a_splat_file_by_a_name_that_means_something_else_is_shown(finished_run: Path, tmp_path: Path):
    path = tmp_path / "photo.ply"
    shutil.copy(finished_run / "student.ply", path)
    with studio() as desk:
        desk.send(OpenSplat(path))
        assert desk.wait(SceneOpened).models == ("photo.ply",)
        desk.send(look(tiny.cameras(1)[0], "photo.ply"))
        assert desk.frame("photo.ply").count > 0


def test_cancelled_loading_keeps_what_was_open(
    scene_folder: Path, finished_run: Path, monkeypatch: pytest.MonkeyPatch
):
    with studio() as desk:
        desk.send(OpenSplat(finished_run / "student.ply"))
        desk.wait(SceneOpened)
        desk.state("idle")

        def endless(path: Path, options: SceneOptions, progress) -> None:
            while True:
                progress("matching photos", 1, 2)

        monkeypatch.setattr("gaussians.session.opening.load_scene", endless)
        desk.send(OpenScene(scene_folder, OPTIONS))
        desk.wait(Loading, lambda report: report.what == "matching photos")
        desk.send(CancelLoading())
        desk.state("idle")
        desk.send(look(tiny.cameras(1)[0], "student"))
        assert desk.frame("student").count > 0
        # Another thing to open takes the place of what is being loaded.
        desk.send(OpenScene(scene_folder, OPTIONS))
        desk.wait(Loading, lambda report: report.what == "matching photos")
        desk.send(OpenSplat(finished_run / "teachers/dropout.ply"))
        assert desk.wait(SceneOpened).name == "dropout"
        assert not desk.failures()


def test_quit_ends_loading(scene_folder: Path, monkeypatch: pytest.MonkeyPatch):
    with studio() as desk:

        def endless(path: Path, options: SceneOptions, progress) -> None:
            while True:
                progress("matching photos", 1, 2)

        monkeypatch.setattr("gaussians.session.opening.load_scene", endless)
        desk.send(OpenScene(scene_folder, OPTIONS))
        desk.wait(Loading, lambda report: report.what == "matching photos")
        desk.send(Quit())
        desk.worker.join(PATIENCE)
        assert not desk.worker.is_alive


@pytest.mark.parametrize("kind", [OpenScene, OpenRun, OpenSplat])
def test_what_cannot_be_opened_is_told_with_advice(kind: type, tmp_path: Path, scene_folder: Path):
    with studio() as desk:
        path = tmp_path / "nothing.ply"
        desk.send(OpenScene(path, OPTIONS) if kind is OpenScene else kind(path))
        failed = desk.wait(Failed)
        assert "not opened" in failed.what
        assert "nothing" in failed.advice
        assert desk.open(scene_folder)


def test_opening_while_training_saves_the_run_first(scene_folder: Path, tmp_path: Path, finished_run: Path):
    with studio() as desk:
        desk.begin(scene_folder, tmp_path / "run")
        in_stage(desk, "vanilla")
        desk.send(OpenRun(finished_run))
        desk.wait(SceneOpened)
        states = [r.state for r in desk.reports if isinstance(r, RunStateChanged)]
        assert states[:4] == ["idle", "training", "stopping", "idle"]
        assert (tmp_path / "run/checkpoints/vanilla.safetensors").exists()
