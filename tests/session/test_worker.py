"""The worker carries out every command of a run."""

import json
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gaussians.io import read_splat
from gaussians.session import worker
from gaussians.session.directory import RunDirectory
from gaussians.session.events import RunFinished, StageStarted, StepDone
from gaussians.session.messages.commands import (
    Continue,
    Export,
    Look,
    OpenRun,
    Pause,
    SetPreviewShare,
    SetTeacherWeight,
    Start,
    Step,
    Stop,
    View,
)
from gaussians.session.messages.reports import (
    Exported,
    Failed,
    HistoryGrew,
    Loading,
    MetricsLogged,
    ModelsChanged,
    Progressed,
    SceneOpened,
    TeachersWeighed,
)
from gaussians.train.optimisation import Optimisation
from tests.session import tiny
from tests.session.studio import in_stage, look, studio

TEACHERS = ("vanilla", "perturbed", "dropout")


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


def test_the_memory_of_a_stopped_run_is_given_back_when_nothing_holds_it(
    scene_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    held: list[weakref.ref[Optimisation]] = []
    made = Optimisation.__init__

    def make(self: Optimisation, *arguments: Any, **settings: Any) -> None:
        made(self, *arguments, **settings)
        held.append(weakref.ref(self))

    alive: list[bool] = []
    with studio() as desk:
        monkeypatch.setattr(Optimisation, "__init__", make)
        monkeypatch.setattr(worker, "give_back_freed_memory", lambda: alive.append(held[-1]() is not None))
        desk.begin(scene_folder, tmp_path / "run")
        in_stage(desk, "vanilla", 25)
        desk.send(Stop())
        desk.state("idle")
    assert alive == [False]


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


def test_exports_what_reads_back_the_same(finished_run: Path, tmp_path: Path):
    with studio() as desk:
        desk.send(OpenRun(finished_run), Export("student", tmp_path / "mine.ply"))
        exported = desk.wait(Exported)
        assert exported.bytes == (tmp_path / "mine.ply").stat().st_size
        assert exported.gaussians == len(read_splat(tmp_path / "mine.ply"))
        assert (tmp_path / "mine.ply").read_bytes() == (finished_run / "student.ply").read_bytes()
        desk.send(Export("history:30", tmp_path / "then.ply"))
        assert desk.wait(Exported).gaussians == exported.gaussians


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
