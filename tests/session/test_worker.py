"""The worker carries out every command, and outlives whatever goes wrong."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gaussians.errors import TrainingError
from gaussians.io import read_splat
from gaussians.scene import SceneOptions
from gaussians.session.directory import RunDirectory
from gaussians.session.events import RunFinished, StageStarted, StepDone
from gaussians.session.messages import (
    CancelLoading,
    Continue,
    Export,
    Exported,
    Failed,
    HistoryGrew,
    Loading,
    Look,
    MetricsLogged,
    ModelsChanged,
    OpenRun,
    OpenScene,
    OpenSplat,
    Pause,
    Progressed,
    Quit,
    RunStateChanged,
    SceneOpened,
    SetPreviewShare,
    SetTeacherWeight,
    Start,
    Step,
    Stop,
    TeachersWeighed,
    View,
)
from gaussians.train.optimisation import Optimisation
from tests.session import tiny
from tests.session.studio import OPTIONS, PATIENCE, Studio, look, studio

TEACHERS = ("vanilla", "perturbed", "dropout")


def in_stage(desk: Studio, name: str, step: int = 1) -> None:
    """Wait until this stage has come to the step."""
    desk.wait(
        Progressed,
        lambda report: (
            isinstance(report.event, StepDone)
            and report.event.stage.name == name
            and report.event.step >= step
        ),
    )


def test_opens_a_scene_and_describes_it(scene_folder: Path):
    with studio() as desk:
        opened = desk.open(scene_folder)
        assert list(opened.cameras) == [f"{index:03}.png" for index in range(9)]
        assert opened.test == ("000.png", "004.png", "008.png")
        assert opened.up == pytest.approx([0, 0, 1], abs=0.1)
        assert opened.centre == pytest.approx([0, 0, 0], abs=1e-6)
        assert opened.extent == pytest.approx(np.sqrt(17), rel=1e-6)
        assert opened.models == ("photo",)
        assert all(thumbnail.dtype == np.uint8 for thumbnail in opened.thumbnails.values())
        assert any(isinstance(report, Loading) for report in desk.reports)


def test_trains_to_the_end_and_shows_every_model(scene_folder: Path, tmp_path: Path):
    with studio() as desk:
        opened = desk.begin(scene_folder, tmp_path / "run")
        assert desk.state("finished")
        lines = [line for r in desk.reports if isinstance(r, MetricsLogged) for line in r.lines]
        written = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
        assert lines == written
        started = [
            r.event.stage.name
            for r in desk.reports
            if isinstance(r, Progressed) and isinstance(r.event, StageStarted)
        ]
        assert started == ["trunk", *TEACHERS, "labels", "student"]
        counts = [r for r in desk.reports if isinstance(r, ModelsChanged)][-1].counts
        assert list(counts) == ["photo", *TEACHERS, "ensemble", "student", "disagreement"]
        assert counts["ensemble"] == sum(counts[name] for name in TEACHERS)
        view = opened.test[0]
        desk.send(look(opened.cameras[view], *counts, dataset=view))
        report = [r.event for r in desk.reports if isinstance(r, Progressed)][-1]
        assert isinstance(report, RunFinished)
        for model in (*TEACHERS, "ensemble", "student"):
            frame = desk.frame(model)
            # The frame's PSNR is the report's: same model, same size, same photo.
            measured = report.report["models"][model]["per_view"][view]["psnr"]
            assert frame.psnr == pytest.approx(measured, abs=1e-3)
            assert frame.count == counts[model]
        assert desk.frame("photo").image.std() > 1
        heat = desk.frame("disagreement")
        assert 0 < heat.extra["mean"] <= heat.extra["scale"]
        assert not desk.failures()


def test_pauses_steps_and_goes_on(scene_folder: Path, tmp_path: Path):
    with studio() as desk:
        desk.begin(scene_folder, tmp_path / "run")
        in_stage(desk, "vanilla")
        desk.send(Pause())
        desk.state("paused")
        last = [r.event for r in desk.reports if isinstance(r, Progressed)][-1]
        assert isinstance(last, StepDone)
        desk.send(Step(), Step(), Export("vanilla", tmp_path / "now.ply"))
        desk.wait(Exported)
        newest = [r.event for r in desk.reports if isinstance(r, Progressed)][-1]
        assert isinstance(newest, StepDone)
        assert newest.step == last.step + 2
        desk.send(Continue())
        assert desk.state("training")
        in_stage(desk, "perturbed", 30)


def test_stop_saves_and_start_goes_on_from_there(scene_folder: Path, tmp_path: Path):
    with studio() as desk:
        opened = desk.begin(scene_folder, tmp_path / "run")
        in_stage(desk, "vanilla", 25)
        desk.send(Stop())
        desk.state("stopping")
        desk.state("idle")
        stopped = [r.event for r in desk.reports if isinstance(r, Progressed)][-1]
        assert isinstance(stopped, StepDone)
        # What was trained is still there to be looked at.
        desk.send(look(next(iter(opened.cameras.values())), "vanilla"))
        assert desk.frame("vanilla").count == stopped.count
        desk.send(Start(tmp_path / "run", tiny.recipe()))
        started = desk.wait(Progressed, lambda report: isinstance(report.event, StageStarted)).event
        assert isinstance(started, StageStarted)
        assert (started.stage.name, started.step) == ("vanilla", stopped.step)


def test_closing_while_training_saves_and_a_reopened_run_is_resumed(
    scene_folder: Path, tmp_path: Path, finished_run: Path
):
    with studio() as desk:
        desk.begin(scene_folder, tmp_path / "run")
        in_stage(desk, "student", 10)
    with studio() as desk:
        desk.send(OpenRun(tmp_path / "run"))
        opened = desk.wait(SceneOpened)
        assert opened.run is not None
        assert {line["stage"] for line in opened.metrics} == {"trunk", *TEACHERS, "student"}
        assert opened.models == ("photo", *TEACHERS, "ensemble", "student", "disagreement")
        assert max(desk.wait(HistoryGrew).steps) >= 10
        desk.send(Start(*opened.run))
        started = desk.wait(Progressed, lambda report: isinstance(report.event, StageStarted))
        assert desk.state("finished")
        assert isinstance(started.event, StageStarted)
        assert not desk.failures()
    # Paused, looked at, closed and resumed: to the bit what a headless run makes.
    assert (tmp_path / "run/student.ply").read_bytes() == (finished_run / "student.ply").read_bytes()


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


def test_vanished_image_names_the_file(scene_folder: Path, tmp_path: Path):
    broken = tmp_path / "scene"
    shutil.copytree(scene_folder, broken)
    (broken / "images/003.png").unlink()
    with studio() as desk:
        desk.send(OpenScene(broken, OPTIONS))
        assert "003.png" in desk.wait(Failed).advice


def test_failing_step_ends_the_run_and_not_the_worker(
    scene_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with studio() as desk:
        desk.begin(scene_folder, tmp_path / "run")
        in_stage(desk, "vanilla")

        def diverge(*args: object) -> None:
            raise TrainingError("vanilla, step 25: the loss is not finite; lower the learning rates")

        with monkeypatch.context() as patch:
            patch.setattr("gaussians.train.optimisation.Optimisation._render", diverge)
            assert "lower the learning rates" in desk.wait(Failed).advice
            desk.state("idle")
        desk.send(Start(tmp_path / "run", tiny.recipe()))
        assert desk.state("finished", "idle") == "finished"


def test_want_of_memory_is_told_and_the_run_goes_on(
    scene_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("gaussians.session.memory_plan.available_memory", lambda device: 0)
    render, full = Optimisation._render, [True]

    def full_once(self: Optimisation, *args: Any) -> Any:
        if self.step == 12 and full:
            full.clear()
            raise MemoryError
        return render(self, *args)

    monkeypatch.setattr(Optimisation, "_render", full_once)
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

        def broken(*args: object) -> None:
            raise ZeroDivisionError("seven by nothing")

        monkeypatch.setattr("gaussians.train.optimisation.Optimisation._render", broken)
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


def test_exports_what_reads_back_the_same(finished_run: Path, tmp_path: Path):
    with studio() as desk:
        desk.send(OpenRun(finished_run), Export("student", tmp_path / "mine.ply"))
        exported = desk.wait(Exported)
        assert exported.bytes == (tmp_path / "mine.ply").stat().st_size
        assert exported.gaussians == len(read_splat(tmp_path / "mine.ply"))
        assert (tmp_path / "mine.ply").read_bytes() == (finished_run / "student.ply").read_bytes()
        desk.send(Export("history:30", tmp_path / "then.ply"))
        assert desk.wait(Exported).gaussians == exported.gaussians


@pytest.mark.parametrize(
    ("model", "name", "why"),
    [
        ("student", "file.txt", "cannot be written in this format"),
        ("student", "occupied/mine.ply", "could not be written"),
        ("ensemble", "mine.ply", "can't be exported"),
        ("history:7777", "mine.ply", "can't be exported"),
    ],
)
def test_export_that_fails_says_why(model: str, name: str, why: str, finished_run: Path, tmp_path: Path):
    (tmp_path / "occupied").write_text("a file where a folder should be: also root can't write there")
    with studio() as desk:
        desk.send(OpenRun(finished_run), Export(model, tmp_path / name))
        failed = desk.wait(Failed)
        assert failed.what == "The model was not exported"
        assert why in failed.advice
        assert desk.worker.is_alive


def test_weighing_a_teacher_changes_ensemble_and_labels_at_once(
    scene_folder: Path, tmp_path: Path, finished_run: Path
):
    with studio() as desk:
        opened = desk.begin(scene_folder, tmp_path / "run")
        in_stage(desk, "student", 5)
        desk.send(Pause())
        desk.state("paused")
        camera = next(iter(opened.cameras.values()))
        desk.send(look(camera, "vanilla", "ensemble"))
        vanilla = desk.frame("vanilla").image
        before = desk.frame("ensemble").image
        desk.send(SetTeacherWeight("perturbed", 0.0), SetTeacherWeight("dropout", 0.0))
        weighed = desk.wait(TeachersWeighed, lambda report: report.weights["dropout"] == 0)
        assert weighed.shares == {"vanilla": 1.0}
        assert weighed.step >= 5
        alone = desk.frame("ensemble", lambda frame: np.array_equal(frame.image, vanilla))
        assert alone is not None
        assert not np.array_equal(before, vanilla)
        desk.send(Continue())
        assert desk.state("finished")
        marks = [
            line
            for r in desk.reports
            if isinstance(r, MetricsLogged)
            for line in r.lines
            if line.get("event") == "weights"
        ]
        assert marks[-1]["weights"] == {"vanilla": 1.0, "perturbed": 0.0, "dropout": 0.0}
        assert (marks[-1]["stage"], marks[-1]["step"]) == ("student", weighed.step)
    assert (tmp_path / "run/student.ply").read_bytes() != (finished_run / "student.ply").read_bytes()


def test_last_teacher_cannot_be_switched_off(finished_run: Path):
    with studio() as desk:
        desk.send(OpenRun(finished_run), *(SetTeacherWeight(name, 0.0) for name in TEACHERS))
        assert "every teacher" in desk.wait(Failed).advice
        weighed = [r for r in desk.reports if isinstance(r, TeachersWeighed)][-1]
        assert weighed.shares == {"dropout": 1.0}
        desk.send(SetTeacherWeight("nobody", 1.0))
        assert "no such teacher" in desk.wait(Failed).advice


def test_a_comparison_gets_two_frames(finished_run: Path):
    with studio() as desk:
        desk.send(OpenRun(finished_run), SetPreviewShare(1.0))
        opened = desk.wait(SceneOpened)
        name, camera = next(iter(opened.cameras.items()))
        desk.send(Look(camera.resized(33, 27), (View("a", "photo"), View("b", "student")), name))
        one, other = desk.frame("a"), desk.frame("b")
        assert (one.model, other.model) == ("photo", "student")
        assert one.image.shape == other.image.shape == (27, 33, 3)
        assert other.psnr is not None


def test_second_run_needs_another_folder(scene_folder: Path, tmp_path: Path, finished_run: Path):
    with studio() as desk:
        desk.open(scene_folder)
        desk.send(Start(finished_run, tiny.recipe(2.0)))
        assert "another recipe" in desk.wait(Failed).advice
        with RunDirectory(finished_run).locked():
            desk.send(Start(finished_run, tiny.recipe()))
            assert "another process" in desk.wait(Failed).advice
        desk.send(Start(tmp_path / "run", tiny.recipe()), Start(tmp_path / "other", tiny.recipe()))
        assert "stop it first" in desk.wait(Failed).advice
        assert not (tmp_path / "other").exists()


def test_opening_while_training_saves_the_run_first(scene_folder: Path, tmp_path: Path, finished_run: Path):
    with studio() as desk:
        desk.begin(scene_folder, tmp_path / "run")
        in_stage(desk, "vanilla")
        desk.send(OpenRun(finished_run))
        desk.wait(SceneOpened)
        states = [r.state for r in desk.reports if isinstance(r, RunStateChanged)]
        assert states[:4] == ["idle", "training", "stopping", "idle"]
        assert (tmp_path / "run/checkpoints/vanilla.safetensors").exists()
