"""What a run directory refuses: other photos, other processes, folders that can't be used."""

import dataclasses
from pathlib import Path

import filelock
import pytest

from gaussians.errors import RunError
from gaussians.scene import SceneOptions
from gaussians.session.directory import RunDirectory, RunPlan
from tests.session import tiny

SCENE = tiny.scene()


def test_a_run_does_not_go_on_on_other_photos(tmp_path: Path):
    """With one missing, others would be held out: some that it has trained on."""
    directory = RunDirectory(tmp_path)
    directory.create(RunPlan(Path("tiny"), SceneOptions(), tiny.recipe(), "cpu"))
    for _ in range(2):
        directory.note_cameras(SCENE)
    first, *others = SCENE.train
    with pytest.raises(RunError, match=f"{first.name} was trained on, and isn't now"):
        directory.note_cameras(dataclasses.replace(SCENE, train=tuple(others)))
    more = dataclasses.replace(SCENE.test[0], name="new.png")
    with pytest.raises(RunError, match=r"new\.png was not trained on, and is now"):
        directory.note_cameras(dataclasses.replace(SCENE, train=(*SCENE.train, more)))


def test_a_drive_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Path, "exists", lambda path: False)
    with pytest.raises(RunError, match="its drive or share isn't there"):
        RunDirectory(tmp_path / "run").check_unused()


def test_two_processes_cannot_train_one_run(tmp_path: Path):
    directory = RunDirectory(tmp_path)
    directory.create(RunPlan(Path("tiny"), SceneOptions(), tiny.recipe(), "cpu"))
    with (
        directory.locked(),
        pytest.raises(RunError, match="another process"),
        RunDirectory(tmp_path).locked(),
    ):
        pass


def test_a_folder_that_can_not_be_locked_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(lock: filelock.BaseFileLock) -> None:
        raise PermissionError(13, "Permission denied", lock.lock_file)

    monkeypatch.setattr(filelock.FileLock, "acquire", refuse)
    with pytest.raises(RunError, match=r"can't be written \(Permission denied\)"):
        RunDirectory(tmp_path).locked().__enter__()
