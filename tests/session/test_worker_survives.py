"""Whatever goes wrong in the worker's thread, it is told once, and the thread and the run go on."""

import time
from pathlib import Path

import pytest

from gaussians.session.messages.commands import Look, Quit, SetPreviewShare, Start
from gaussians.session.messages.reports import Failed, QuitFailed
from tests.session import tiny
from tests.session.studio import PATIENCE, look, studio


class Panic(BaseException):
    """As a library in Rust raises: not an Exception."""


@pytest.mark.parametrize("error", [MemoryError("no room for 3 GB"), KeyError("photo")])
def test_images_that_cannot_even_be_chosen_are_told_once_and_training_goes_on(
    error: Exception, scene_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def broken(*args: object) -> None:
        raise error

    with studio() as desk:
        opened = desk.open(scene_folder)
        monkeypatch.setattr("gaussians.session.preview.Previews.next", broken)
        desk.send(look(next(iter(opened.cameras.values())), "photo"))
        assert desk.wait(Failed).what == "The images can't be shown"
        desk.send(Start(tmp_path / "run", tiny.recipe()))
        assert desk.state("training")
        assert desk.state("finished", "idle") == "finished"
        assert len(desk.failures()) == 1


@pytest.mark.parametrize("error", [MemoryError("no room for 3 GB"), Panic("index out of bounds")])
def test_what_nothing_catches_is_told_once_and_the_thread_goes_on(
    error: BaseException, scene_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    def broken(*args: object) -> None:
        raise error

    with studio() as desk:
        opened = desk.open(scene_folder)
        with monkeypatch.context() as patch:
            patch.setattr("gaussians.session.painter.Painter.share", broken)
            patch.setattr("gaussians.session.state_machine.failed_command", broken)  # the net below the net
            desk.send(SetPreviewShare(0.2))
            told = desk.wait(Failed)
            assert str(error) in told.details
            desk.send(SetPreviewShare(0.3))
            time.sleep(0.3)
        name, camera = next(iter(opened.cameras.items()))
        desk.send(Look(camera, look(camera, "photo").views, name))
        assert desk.frame("photo").sharp
        assert len(desk.failures()) == 1


def test_closing_that_cannot_save_keeps_the_run_until_told_otherwise(
    scene_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    with studio() as desk:
        desk.begin(scene_folder, tmp_path / "run", tiny.recipe(10.0))
        with monkeypatch.context() as patch:
            patch.setattr("safetensors.torch.save_file", full)
            desk.send(Quit())
            refused = desk.wait(QuitFailed).failed
            assert refused.what == "The run could not be saved"
            assert "No space left" in refused.advice
            assert desk.worker.is_alive
            desk.send(Quit(unsaved=True))
            desk.worker.join(PATIENCE)
            assert not desk.worker.is_alive
