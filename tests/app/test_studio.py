from pathlib import Path

import pytest

from app.compare import Mode
from app.settings import load_settings
from app.state import COMPARE, DISAGREEMENT
from app.studio import FIRST, SECOND, Studio
from gaussians.cli.distill import DEMO
from gaussians.session.messages.commands import CancelLoading, Look, OpenRun, OpenScene, OpenSplat, View
from gaussians.session.messages.frame import Frame
from gaussians.session.messages.reports import Failed, HistoryGrew, Loading, ModelsChanged, RunStateChanged
from tests.app.fake_worker import COUNTS, FakeWorker, hear, scene


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
