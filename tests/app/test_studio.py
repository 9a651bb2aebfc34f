import threading
import time
from pathlib import Path

import pytest

from app.compare import Mode
from app.settings import load_settings
from app.state import COMPARE, DISAGREEMENT
from app.studio import FIRST, SECOND, Studio
from gaussians.cli.distill import DEMO
from gaussians.distill.pipeline import plan
from gaussians.distill.presets import recipe
from gaussians.session.events import RunFinished, StageFinished, StepDone
from gaussians.session.messages import (
    CancelLoading,
    Failed,
    Frame,
    HistoryGrew,
    Loading,
    Look,
    MetricsLogged,
    ModelsChanged,
    NotStarted,
    OpenRun,
    OpenScene,
    OpenSplat,
    Progressed,
    Quit,
    QuitFailed,
    RunStateChanged,
    Start,
    TeachersWeighed,
    View,
)
from tests.app.fake_worker import FakeWorker, scene

COUNTS = {"photo": 0, "vanilla": 100, "dropout": 90, "ensemble": 190, "student": 12, "disagreement": 190}


@pytest.fixture
def worker() -> FakeWorker:
    return FakeWorker()


@pytest.fixture
def studio(worker: FakeWorker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Studio:
    monkeypatch.chdir(tmp_path)
    return Studio(worker, remembered=tmp_path / "studio.json")


@pytest.fixture
def opened(studio: Studio, worker: FakeWorker) -> Studio:
    hear(studio, worker, scene(), ModelsChanged(COUNTS))
    return studio


def hear(studio: Studio, worker: FakeWorker, *reports: object) -> None:
    worker.says.extend(reports)  # pyright: ignore[reportArgumentType] - reports, as the caller knows
    studio.take_reports()


def looks(worker: FakeWorker) -> list[Look]:
    return [command for command in worker.sent if isinstance(command, Look)]


def test_a_path_is_opened_as_what_it_is(studio: Studio, worker: FakeWorker, tmp_path: Path) -> None:
    run, splat, folder = tmp_path / "run", tmp_path / "a.ply", tmp_path / "scan"
    for path in (run, folder):
        path.mkdir()
    (run / "recipe.json").write_text("{}")
    splat.touch()
    for path in (run, splat, folder):
        studio.open(path)
    kinds = [type(command) for command in worker.sent]
    assert kinds == [OpenRun, OpenSplat, OpenScene]


def test_a_path_that_is_gone_is_said_and_forgotten(studio: Studio, tmp_path: Path) -> None:
    studio.settings.opened(tmp_path / "gone")
    studio.open(tmp_path / "gone")
    assert "gone" in studio.state.failures[0].what
    assert studio.settings.recent == []


def test_loading_is_shown_and_can_be_cancelled(studio: Studio, worker: FakeWorker) -> None:
    hear(studio, worker, Loading("decoding photos", 3, 64))
    assert studio.state.loading == Loading("decoding photos", 3, 64)
    studio.cancel_loading()
    studio.cancel_loading()
    assert worker.sent == [CancelLoading()]
    hear(studio, worker, Loading("decoding photos", 4, 64))
    assert studio.state.cancelling
    hear(studio, worker, RunStateChanged("idle"))
    assert studio.state.loading is None
    assert not studio.state.is_loading
    assert not studio.state.cancelling


def test_nothing_else_can_begin_from_asking_for_something_until_it_is_there(
    opened: Studio, worker: FakeWorker, tmp_path: Path
) -> None:
    hear(opened, worker, RunStateChanged("training"))
    opened.open(tmp_path)
    for report in (RunStateChanged("stopping"), RunStateChanged("idle"), Loading("opening", 0, 1)):
        assert opened.state.is_loading
        hear(opened, worker, report)
    hear(opened, worker, scene(tmp_path))
    assert not opened.state.is_loading
    opened.start()
    assert opened.state.is_loading
    hear(opened, worker, RunStateChanged("training"))
    assert not opened.state.is_loading


def test_an_opened_scene_is_looked_at_from_a_held_out_view(opened: Studio, worker: FakeWorker) -> None:
    opened.look(800, 600, False)
    look = looks(worker)[-1]
    assert look.dataset == "0.jpg"
    assert [view.cell for view in look.views] == ["photo", "vanilla", "dropout", "ensemble", "student"]
    assert look.camera.width / look.camera.height == pytest.approx(4 / 3, rel=0.02)


def test_nothing_is_asked_twice(opened: Studio, worker: FakeWorker) -> None:
    for _ in range(3):
        opened.look(800, 600, False)
    assert len(looks(worker)) == 1
    opened.look(820, 600, False)
    assert len(looks(worker)) == 2


def test_a_free_camera_asks_for_no_photo(opened: Studio, worker: FakeWorker) -> None:
    assert opened.control is not None
    opened.control.orbit(10, 0)
    opened.look(800, 600, True)
    assert looks(worker)[-1].dataset is None
    assert looks(worker)[-1].moving
    assert View("photo", "photo") not in looks(worker)[-1].views


def test_the_comparison_asks_for_two_models(opened: Studio, worker: FakeWorker) -> None:
    opened.layout.enlarge(COMPARE)
    opened.comparison.choose("second", "dropout")
    opened.look(800, 600, False)
    assert looks(worker)[-1].views == (View(FIRST, "photo"), View(SECOND, "dropout"))


def test_the_comparison_follows_the_student_until_another_is_chosen(
    studio: Studio, worker: FakeWorker
) -> None:
    hear(studio, worker, scene(), ModelsChanged({"photo": 0, "vanilla": 5}))
    assert (studio.comparison.first, studio.comparison.second) == ("photo", "vanilla")
    hear(studio, worker, ModelsChanged(COUNTS))
    assert studio.comparison.second == "student"
    studio.comparison.choose("second", "ensemble")
    hear(studio, worker, ModelsChanged(COUNTS))
    assert studio.comparison.second == "ensemble"
    assert studio.comparison.mode is Mode.DIVIDER


def test_the_past_is_asked_of_the_student_only(opened: Studio, worker: FakeWorker) -> None:
    hear(opened, worker, HistoryGrew((0, 50, 100)))
    opened.past = 50
    opened.look(800, 600, False)
    assert View("student", "history:50") in looks(worker)[-1].views
    assert View("vanilla", "vanilla") in looks(worker)[-1].views


def test_cells_are_those_that_can_be_shown(studio: Studio, worker: FakeWorker) -> None:
    hear(studio, worker, scene())
    assert studio.layout.there == ("photo",)
    hear(studio, worker, ModelsChanged({"photo": 0, "vanilla": 5, "ensemble": 5}))
    assert studio.layout.there == ("photo", "vanilla", COMPARE)
    hear(studio, worker, ModelsChanged(COUNTS))
    assert studio.layout.there == (
        "photo",
        "vanilla",
        "dropout",
        "ensemble",
        "student",
        COMPARE,
        DISAGREEMENT,
    )


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
    assert studio.state.psnr == {"vanilla": 20.5}
    assert studio.state.curves is curves
    assert studio.settings.recent == recent
    studio.start(anew=True)
    assert worker.sent[-1] == Start(tmp_path / "asked", recipe("preview")), "it is still to go there"
    hear(studio, worker, RunStateChanged("training"))
    assert studio.settings.recent[0] == tmp_path / "asked"
    hear(studio, worker, RunStateChanged("idle"), NotStarted())
    assert studio.state.run == (tmp_path / "asked", recipe("preview")), "it has begun"


def test_a_folder_asked_for_that_holds_another_run_is_asked_for_once(
    worker: FakeWorker, tmp_path: Path
) -> None:
    studio = Studio(worker, tmp_path, tmp_path / "studio.json")
    hear(studio, worker, scene())
    (tmp_path / "recipe.json").write_text("{}")
    studio.start()
    assert worker.sent[-1].directory == tmp_path  # pyright: ignore[reportAttributeAccessIssue] - a Start
    hear(studio, worker, RunStateChanged("idle"), NotStarted())
    studio.start()
    assert worker.sent[-1].directory != tmp_path  # pyright: ignore[reportAttributeAccessIssue]


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


def test_a_path_that_can_not_be_looked_at_is_said(
    opened: Studio, worker: FakeWorker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object, **__: object) -> bool:
        raise OSError(107, "Transport endpoint is not connected")

    sent = list(worker.sent)
    monkeypatch.setattr(Path, "is_dir", gone)
    opened.open(tmp_path / "share")
    assert worker.sent == sent
    assert not opened.state.is_loading
    assert "Transport endpoint is not connected" in opened.state.failures[0].what
    monkeypatch.undo()
    opened.open(Path("~nobody-of-that-name/scene"))
    assert "no such file" in opened.state.failures[1].what


def test_a_splat_file_by_the_students_name_has_ellipsoids(studio: Studio, worker: FakeWorker) -> None:
    hear(studio, worker, scene(cameras={}, test=(), models=("student",)), ModelsChanged({"student": 12}))
    assert studio.has_ellipsoids
    assert studio.state.models == ("student",)


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
    assert studio.state.psnr == {"vanilla": 20.5}


def test_a_reopened_run_says_what_was_measured_of_finished_models(
    studio: Studio, worker: FakeWorker, tmp_path: Path
) -> None:
    lines = ({"stage": "student", "model": "student", "step": 10, "psnr": 23.0},)
    worker.says = [scene(tmp_path, metrics=lines, measured={"student": 24.5})]
    studio.take_reports()
    assert studio.state.psnr == {"student": 24.5}


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
    assert opened.state.psnr["vanilla"] == 22.0


def test_weights_make_shares_and_marks(opened: Studio, worker: FakeWorker) -> None:
    assert opened.state.shares == {"vanilla": 0.5, "dropout": 0.5}
    hear(opened, worker, TeachersWeighed({"vanilla": 1.0, "dropout": 1.0}, 0))
    assert opened.state.marks == []
    hear(opened, worker, TeachersWeighed({"vanilla": 3.0, "dropout": 1.0}, 40))
    assert opened.state.shares == {"vanilla": 0.75, "dropout": 0.25}
    assert opened.state.marks == [40]


def test_failures_wait_to_be_shown_and_end_loading(opened: Studio, worker: FakeWorker) -> None:
    hear(opened, worker, Loading("x", 0, 1), Failed("the disk is full", "free some space"))
    assert opened.state.failures == [Failed("the disk is full", "free some space")]
    assert opened.state.loading is None


def test_only_new_frames_are_told_of(opened: Studio, worker: FakeWorker) -> None:
    image = scene().thumbnails["0.jpg"]
    worker.frames["student"] = Frame("student", "student", image, scene().cameras["0.jpg"], 12)
    assert opened.take_frames() == {"student"}
    assert opened.take_frames() == set()
    assert opened.frames["student"].count == 12


def test_next_and_previous_view_go_round(opened: Studio) -> None:
    assert opened.control is not None
    opened.go_by(-1)
    assert opened.control.target == "3.jpg"
    opened.go_by(1)
    opened.go_by(1)
    assert opened.control.target == "1.jpg"


def test_the_demo_is_previewed_and_not_listed_as_recent(studio: Studio, worker: FakeWorker) -> None:
    hear(studio, worker, scene(DEMO))
    assert studio.form.name == "preview"
    assert studio.settings.recent == []
    hear(studio, worker, scene())
    assert studio.form.name == "fast"
    assert studio.settings.recent == [Path("/scenes/garden")]


def test_a_splat_without_cameras_is_seen_whole(studio: Studio, worker: FakeWorker) -> None:
    hear(
        studio,
        worker,
        scene(cameras={}, test=(), thumbnails={}, models=("bear",)),
        ModelsChanged({"bear": 9}),
    )
    assert studio.state.models == ("bear",)
    studio.look(800, 600, False)
    camera = looks(worker)[-1].camera
    centre = camera.viewmat[:3, 3]
    assert centre[2] == pytest.approx(6.0)
    assert abs(centre[:2]).max() < 1e-9


def test_leaving_asks_the_worker_to_save(studio: Studio, worker: FakeWorker) -> None:
    assert not studio.has_left
    studio.leave()
    studio.leave()
    assert worker.sent.count(Quit()) == 1


def test_what_is_set_is_remembered(opened: Studio, tmp_path: Path) -> None:
    opened.layout.toggle("vanilla")
    opened.set_preview_share(0.3)
    opened.remember()
    settings = load_settings(tmp_path / "studio.json")
    assert settings.preview_share == 0.3
    assert settings.recent == [Path("/scenes/garden")]
    again = Studio(FakeWorker(), remembered=tmp_path / "studio.json")
    again.layout.offer(opened.layout.there)
    assert again.layout.shown == opened.layout.shown


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"scale": "big", "window": [1], "recent": 3, "preview_share": 9}']
)
def test_broken_settings_are_as_at_first(tmp_path: Path, text: str) -> None:
    (tmp_path / "studio.json").write_text(text)
    settings = load_settings(tmp_path / "studio.json")
    assert settings.scale is None
    assert settings.recent == []
    assert settings.preview_share == 0.5


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
