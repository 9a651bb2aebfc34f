"""Runs in the studio: begun, followed, reopened, and left."""

import threading
import time
from pathlib import Path

import pytest

from app.studio import Studio
from gaussians.distill.pipeline import plan
from gaussians.distill.presets import recipe
from gaussians.session.events import RunFinished, StageFinished, StepDone
from gaussians.session.messages.commands import Quit, Start
from gaussians.session.messages.reports import (
    Failed,
    MetricsLogged,
    ModelsChanged,
    NotStarted,
    Progressed,
    QuitFailed,
    RunStateChanged,
    TeachersWeighed,
)
from tests.app.fake_worker import COUNTS, FakeWorker, hear, scene


def test_starting_takes_the_form_and_a_free_folder(
    opened: Studio, worker: FakeWorker, tmp_path: Path
) -> None:
    opened.form.choose("preview")
    opened.form.edit("student.budget", "20%")
    (tmp_path / "runs" / "garden").mkdir(parents=True)
    opened.start()
    start = worker.sent[-1]
    assert isinstance(start, Start)
    assert start.recipe.student.budget == "20%"
    assert start.directory == tmp_path / "runs" / "garden-2"
    hear(opened, worker, RunStateChanged("training"))
    assert opened.settings.recent[0] == start.directory


def test_a_start_that_comes_to_nothing_leaves_all_as_it_was(worker: FakeWorker, tmp_path: Path) -> None:
    studio = Studio(worker, tmp_path / "asked", tmp_path / "studio.json")
    line = {"time": 1.0, "stage": "vanilla", "model": "vanilla", "step": 10, "count": 7, "psnr": 20.5}
    run = (tmp_path / "old", recipe("paper"))
    hear(studio, worker, scene(run=run, metrics=(line,)), ModelsChanged(COUNTS), RunStateChanged("finished"))
    recent, curves = list(studio.settings.recent), studio.state.curves
    studio.form.choose("preview")
    studio.start(anew=True)
    assert studio.state.is_loading
    hear(studio, worker, Failed("Memory is short", "It does with less.", goes_on=True))
    assert studio.state.run is not None
    assert studio.state.run[0] == tmp_path / "asked"
    hear(studio, worker, RunStateChanged("finished"), NotStarted())
    assert not studio.state.is_loading
    assert studio.state.run == run
    assert studio.state.probed == {"vanilla": 20.5}
    assert studio.state.curves is curves
    assert studio.settings.recent == recent
    studio.start(anew=True)
    assert worker.sent[-1] == Start(tmp_path / "asked", recipe("preview")), "it is still to go there"
    hear(studio, worker, RunStateChanged("training"))
    assert studio.settings.recent[0] == tmp_path / "asked"
    hear(studio, worker, RunStateChanged("idle"), NotStarted())
    assert studio.state.run == (tmp_path / "asked", recipe("preview")), "it has begun"


@pytest.mark.parametrize("is_open", [True, False])
def test_a_new_run_does_not_go_where_there_is_one(
    worker: FakeWorker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_open: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    studio = Studio(worker, tmp_path / "asked", tmp_path / "studio.json")
    (tmp_path / "asked").mkdir()
    (tmp_path / "asked" / "recipe.json").write_text("{}")
    hear(studio, worker, scene(run=(tmp_path / "asked", recipe("preview")) if is_open else None))
    studio.start(anew=True)
    start = worker.sent[-1]
    assert isinstance(start, Start)
    assert start.directory.parent == tmp_path / "runs"


def test_what_is_measured_on_nothing_is_not_shown(opened: Studio, worker: FakeWorker) -> None:
    stage = plan(recipe("preview"), 3)[0]
    hear(opened, worker, Progressed(StageFinished(stage, {"psnr": None}, False)))
    hear(opened, worker, Progressed(RunFinished(Path("run"), {"models": {"student": {"psnr": None}}})))
    assert opened.state.psnr == {}
    hear(opened, worker, Progressed(RunFinished(Path("run"), {"models": {"student": {"psnr": 21.5}}})))
    assert opened.state.psnr == {"student": 21.5}


def test_the_teachers_that_a_run_was_given_are_its_stages(
    studio: Studio, worker: FakeWorker, tmp_path: Path
) -> None:
    hear(studio, worker, scene(run=(tmp_path, recipe("fast")), given=("mine",)))
    studio.start()
    assert studio.state.progress is not None
    assert [stage.name for stage in studio.state.progress.plan] == ["mine", "labels", "student"]
    hear(studio, worker, RunStateChanged("training"), RunStateChanged("idle"))
    studio.start(anew=True)
    assert "vanilla" in [stage.name for stage in studio.state.progress.plan], "a new one trains its own"


def test_a_recipe_that_can_not_be_is_not_started(opened: Studio, worker: FakeWorker) -> None:
    opened.form.edit("student.budget", "much")
    opened.start()
    assert not any(isinstance(command, Start) for command in worker.sent)
    assert "much" in opened.state.failures[0].what


def test_an_opened_run_goes_on_where_it_is(studio: Studio, worker: FakeWorker, tmp_path: Path) -> None:
    hear(studio, worker, scene(run=(tmp_path, recipe("paper"))))
    studio.start()
    assert worker.sent[-1] == Start(tmp_path, recipe("paper"))
    studio.start(anew=True)
    again = worker.sent[-1]
    assert isinstance(again, Start)
    assert again.directory != tmp_path


def test_a_reopened_run_has_its_curves(studio: Studio, worker: FakeWorker, tmp_path: Path) -> None:
    line = {"time": 1.0, "stage": "vanilla", "model": "vanilla", "step": 10, "count": 7, "psnr": 20.5}
    hear(studio, worker, scene(run=(tmp_path, recipe("preview")), metrics=(line,)))
    assert list(studio.state.curves.plots["psnr"]["vanilla"].y) == [20.5]
    assert studio.state.probed == {"vanilla": 20.5}
    assert studio.state.psnr == {}, "that is of a few views"


def test_a_reopened_run_says_what_was_measured_of_finished_models(
    studio: Studio, worker: FakeWorker, tmp_path: Path
) -> None:
    lines = ({"stage": "student", "model": "student", "step": 10, "psnr": 23.0},)
    worker.says = [scene(tmp_path, metrics=lines, measured={"student": 24.5})]
    studio.take_reports()
    assert studio.state.psnr == {"student": 24.5}


def test_the_ensembles_quality_is_that_of_its_weights(studio: Studio, worker: FakeWorker) -> None:
    weights = {"vanilla": 1.0, "dropout": 1.0}
    hear(studio, worker, scene(measured={"ensemble": 24.8, "vanilla": 24.5}), TeachersWeighed(weights, 0))
    assert studio.state.psnr["ensemble"] == 24.8
    hear(studio, worker, TeachersWeighed(weights | {"vanilla": 0.0}, 20))
    assert studio.state.psnr == {"vanilla": 24.5}


def test_views_that_are_looked_at_in_training_are_counted(studio: Studio, worker: FakeWorker) -> None:
    hear(studio, worker, scene())
    assert studio.state.probe == "held-out views", "it is all of them"
    hear(studio, worker, scene(test=tuple(f"{index}.jpg" for index in range(8))))
    assert studio.state.probe == "4 held-out views"


def test_a_reopened_run_has_the_marks_of_changed_weights(
    studio: Studio, worker: FakeWorker, tmp_path: Path
) -> None:
    line = {
        "time": 1.0,
        "stage": "student",
        "model": "student",
        "step": 30,
        "event": "weights",
        "weights": {},
    }
    hear(studio, worker, scene(run=(tmp_path, recipe("preview")), metrics=(line,)))
    assert studio.state.marks == [30]


def test_progress_follows_the_engine(opened: Studio, worker: FakeWorker) -> None:
    opened.form.choose("preview")
    opened.start()
    stages = plan(recipe("preview"), 3)
    hear(
        opened,
        worker,
        RunStateChanged("training"),
        Progressed(StageFinished(stages[0], {}, False)),
        Progressed(StepDone(stages[1], (stages[1].first + stages[1].last) // 2, 120)),
        MetricsLogged(
            ({"time": 1.0, "stage": "vanilla", "model": "vanilla", "step": 520, "count": 7, "psnr": 22.0},)
        ),
    )
    progress = opened.state.progress
    assert progress is not None
    assert opened.state.busy
    assert progress.number == 2
    assert progress.stage_share == 0.5
    total = sum(stage.last - stage.first for stage in stages)
    half = (stages[1].last - stages[1].first) / 2
    assert progress.total_share == pytest.approx((stages[0].last + half) / total)
    assert opened.state.counts["vanilla"] == 120
    assert opened.state.probed["vanilla"] == 22.0


def test_weights_make_shares_and_marks(opened: Studio, worker: FakeWorker) -> None:
    assert opened.state.shares == {"vanilla": 0.5, "dropout": 0.5}
    hear(opened, worker, TeachersWeighed({"vanilla": 1.0, "dropout": 1.0}, 0))
    assert opened.state.marks == []
    hear(opened, worker, TeachersWeighed({"vanilla": 3.0, "dropout": 1.0}, 40))
    assert opened.state.shares == {"vanilla": 0.75, "dropout": 0.25}
    assert opened.state.marks == [40]


def test_leaving_asks_the_worker_to_save(studio: Studio, worker: FakeWorker) -> None:
    assert not studio.has_left
    studio.leave()
    studio.leave()
    assert worker.sent.count(Quit()) == 1


def test_a_worker_that_has_died_is_told_and_the_window_can_be_closed(tmp_path: Path) -> None:
    worker = FakeWorker()
    studio = Studio(worker, None, tmp_path / "settings.json")
    studio.begin(tmp_path)
    worker.says = [scene(), RunStateChanged("training")]
    studio.take_reports()
    worker.is_alive = False
    for _ in range(3):
        studio.take_reports()
    assert [failed.what for failed in studio.state.failures] == ["Training and rendering have stopped"]
    assert not studio.state.busy, "closing need not ask"
    studio.state.failures.clear()
    sent = list(worker.sent)
    studio.start()
    assert worker.sent == sent
    assert len(studio.state.failures) == 1, "said again to who asks for something"
    studio.leave()
    studio.wait(5)
    assert studio.has_left


def test_closing_that_could_not_save_can_be_tried_again(tmp_path: Path) -> None:
    worker = FakeWorker()
    studio = Studio(worker, None, tmp_path / "settings.json")
    studio.begin(tmp_path)
    studio.leave()
    worker.says = [QuitFailed(Failed("The run could not be saved", "Free some space."))]
    studio.take_reports()
    assert not studio.has_left
    assert studio.state.unsaved is not None
    studio.leave(unsaved=True)
    assert worker.sent[-2:] == [Quit(), Quit(unsaved=True)]
    studio.wait(5)
    assert studio.has_left


def test_a_worker_that_does_not_answer_need_not_be_waited_for(tmp_path: Path) -> None:
    class Stuck(FakeWorker):
        def join(self) -> None:
            threading.Event().wait()

    studio = Studio(Stuck(), None, tmp_path / "settings.json")
    studio.begin(tmp_path)
    studio.leave()
    studio.wait(0.05)
    assert not studio.has_left
    studio.abandon()
    assert studio.has_left
    began = time.monotonic()
    studio.wait(60)
    assert time.monotonic() < began + 10


def test_the_rate_begins_anew_after_a_pause_with_single_steps(opened: Studio, worker: FakeWorker) -> None:
    opened.start()
    assert opened.state.progress is not None
    stage = plan(recipe("preview"), 3)[0]
    hear(opened, worker, RunStateChanged("training"))
    for step in (10, 20):
        hear(opened, worker, Progressed(StepDone(stage, step, 120)))
    assert opened.state.progress.rate is not None
    hear(opened, worker, RunStateChanged("paused"), Progressed(StepDone(stage, 21, 120)))
    hear(opened, worker, RunStateChanged("training"), Progressed(StepDone(stage, 22, 120)))
    assert opened.state.progress.rate is None, "the one between the two steps is of no use"
