"""The worker outlives whatever goes wrong, and says what it was."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from gaussians.errors import TrainingError
from gaussians.session.events import StageStarted
from gaussians.session.messages.commands import Export, OpenRun, OpenScene, Start, Stop
from gaussians.session.messages.reports import ExportFailed, Failed, NotStarted, Progressed, SceneOpened
from gaussians.train import direct
from tests.session import tiny
from tests.session.studio import OPTIONS, in_stage, look, studio

TEACHERS = ("vanilla", "perturbed", "dropout")


def out_of_memory(*args: object, **kwargs: object) -> None:
    raise MemoryError


def test_vanished_images_are_named(scene_folder: Path, tmp_path: Path):
    broken = tmp_path / "scene"
    shutil.copytree(scene_folder, broken)
    (broken / "images/003.png").unlink()
    with studio() as desk:
        desk.send(OpenScene(broken, OPTIONS))
        assert any("003.png" in note for note in desk.wait(SceneOpened).notes)
        shutil.rmtree(broken / "images")
        desk.send(OpenScene(broken, OPTIONS))
        assert "000.png" in desk.wait(Failed).advice


def test_failing_step_ends_the_run_and_not_the_worker(
    scene_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with studio() as desk:
        desk.begin(scene_folder, tmp_path / "run")
        in_stage(desk, "vanilla")

        def diverge(*args: object, **settings: object) -> None:
            raise TrainingError("vanilla, step 25: the loss is not finite; lower the learning rates")

        with monkeypatch.context() as patch:
            patch.setattr("gaussians.train.optimisation.Optimisation._step", diverge)
            assert "lower the learning rates" in desk.wait(Failed).advice
            desk.state("idle")
        desk.send(Start(tmp_path / "run", tiny.recipe()))
        assert desk.state("finished", "idle") == "finished"


def test_want_of_memory_is_told_and_the_run_goes_on(
    scene_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("gaussians.session.memory_plan.available_memory", lambda device: 0)
    unblend, taken = direct.unblend, []

    def full_once(*args: Any) -> Any:
        taken.append(args)
        if len(taken) == 13:
            raise MemoryError
        return unblend(*args)

    monkeypatch.setattr(direct, "unblend", full_once)
    with studio() as desk:
        desk.open(scene_folder)
        desk.send(Start(tmp_path / "run", tiny.recipe()))
        before = desk.wait(Failed)
        assert before.goes_on
        assert before.advice.startswith("Would need up to ")
        during = desk.wait(Failed)
        assert (during.what, during.goes_on) == ("Memory is full", True)
        assert desk.state("finished", "idle") == "finished"
        # Whoever asks for the same again goes on with the run as it was made to fit.
        desk.send(Start(tmp_path / "run", tiny.recipe()))
        assert desk.state("finished", "idle") == "finished"


def test_unexpected_error_comes_with_its_traceback(
    scene_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with studio() as desk:
        desk.begin(scene_folder, tmp_path / "run")

        def broken(*args: object, **settings: object) -> None:
            raise ZeroDivisionError("seven by nothing")

        monkeypatch.setattr("gaussians.train.optimisation.Optimisation._step", broken)
        failed = desk.wait(Failed)
        assert "seven by nothing" in failed.advice
        assert "Traceback" in failed.details
        assert desk.state("idle")


def test_full_disk_ends_the_run_with_advice_and_keeps_it(
    scene_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The metrics can't be written; then there is room again, and no step is lost."""
    with studio() as desk:
        desk.begin(scene_folder, tmp_path / "run")
        in_stage(desk, "vanilla")
        from gaussians.errors import StorageError

        def full(*args: object) -> None:
            raise StorageError("metrics.jsonl: No space left on device; free some space")

        with monkeypatch.context() as patch:
            patch.setattr("gaussians.session.metrics.MetricsLog.append", full)
            assert "free some space" in desk.wait(Failed).advice
            desk.state("idle")
        desk.send(Start(tmp_path / "run", tiny.recipe()))
        started = desk.wait(Progressed, lambda report: isinstance(report.event, StageStarted)).event
        assert isinstance(started, StageStarted)
        assert started.step > 20
        assert desk.state("finished", "idle") == "finished"


def test_stop_that_cannot_save_stays_paused(
    scene_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with studio() as desk:
        desk.begin(scene_folder, tmp_path / "run")
        in_stage(desk, "vanilla")

        def full(*args: object, **kwargs: object) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr("safetensors.torch.save_file", full)
            desk.send(Stop())
            assert desk.state("paused")
            assert "No space left" in desk.wait(Failed).advice
        desk.send(Stop())
        assert desk.state("idle", "paused") == "idle"


def test_a_run_that_is_saved_is_let_go_even_if_its_model_can_not_be_kept(
    scene_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with studio() as desk:
        desk.begin(scene_folder, tmp_path / "run")
        in_stage(desk, "vanilla")

        with monkeypatch.context() as patch:
            patch.setattr("gaussians.model.Gaussians.detached", out_of_memory)
            desk.send(Stop())
            assert "can't be shown" in desk.wait(Failed).what
            assert desk.state("idle", "paused") == "idle"
        desk.send(Start(tmp_path / "run", tiny.recipe()))
        assert desk.state("training")


def test_a_start_that_fails_is_told_and_the_worker_hears_what_follows(
    finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with studio() as desk:
        desk.send(OpenRun(finished_run))
        desk.wait(SceneOpened)
        desk.state("finished")

        with monkeypatch.context() as patch:
            patch.setattr("gaussians.session.training.Gallery", out_of_memory)
            desk.send(Start(tmp_path / "new", tiny.recipe()))
            desk.wait(NotStarted)
            assert "Memory is full" in desk.wait(Failed).advice
        desk.send(Start(tmp_path / "new", tiny.recipe()))
        assert desk.state("training"), "it hears, and nobody holds the run"


def test_failing_render_is_told_once_and_training_goes_on(
    scene_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def broken(*args: object, **kwargs: object) -> None:
        raise RuntimeError("no picture")

    monkeypatch.setattr("gaussians.session.gallery.render_view", broken)
    with studio() as desk:
        opened = desk.begin(scene_folder, tmp_path / "run")
        desk.send(look(next(iter(opened.cameras.values())), "vanilla"))
        assert desk.state("finished")
        assert [failed.what for failed in desk.failures()] == ["vanilla can't be shown"]


@pytest.mark.parametrize(
    ("model", "name", "why"),
    [
        ("student", "file.txt", "cannot be written in this format"),
        ("student", "occupied/mine.ply", "occupied is no folder"),
        ("ensemble", "mine.ply", "can't be exported"),
        ("history:7777", "mine.ply", "can't be exported"),
    ],
)
def test_export_that_fails_says_why(model: str, name: str, why: str, finished_run: Path, tmp_path: Path):
    (tmp_path / "occupied").write_text("a file where a folder should be: also root can't write there")
    with studio() as desk:
        desk.send(OpenRun(finished_run), Export(model, tmp_path / name))
        failed = desk.wait(ExportFailed).failed
        assert failed.what == "The model was not exported"
        assert why in failed.advice
        assert desk.worker.is_alive
