"""What the window asks for when models are to be seen as ellipsoids, and where they can't be."""

from pathlib import Path

import pytest

from app.compare import Mode
from app.state import COMPARE
from app.studio import FIRST, SECOND, Studio
from gaussians.session.messages.commands import Look
from gaussians.session.messages.frame import ELLIPSOIDS, IMAGE
from gaussians.session.messages.reports import EllipsoidsUnavailable, Failed, ModelsChanged
from tests.app.fake_worker import FakeWorker, scene


@pytest.fixture
def worker() -> FakeWorker:
    return FakeWorker()


@pytest.fixture
def studio(worker: FakeWorker, tmp_path: Path) -> Studio:
    studio = Studio(worker, remembered=tmp_path / "studio.json")
    worker.says.append(scene())
    studio.take_reports()
    return studio


def models_come(studio: Studio, worker: FakeWorker) -> None:
    worker.says.append(ModelsChanged({"photo": 0, "vanilla": 100, "dropout": 90, "student": 12}))
    studio.take_reports()


def styles(studio: Studio, worker: FakeWorker) -> dict[str, str]:
    """Of the views that are asked for now."""
    studio.look(800, 600, moving=False)
    look = [command for command in worker.sent if isinstance(command, Look)][-1]
    return {view.cell: view.style for view in look.views}


def test_models_are_asked_for_as_ellipsoids_and_as_images_again(studio: Studio, worker: FakeWorker) -> None:
    models_come(studio, worker)
    assert set(styles(studio, worker).values()) == {IMAGE}
    studio.toggle_ellipsoids()
    assert styles(studio, worker)["student"] == ELLIPSOIDS
    studio.toggle_ellipsoids()
    assert set(styles(studio, worker).values()) == {IMAGE}


def test_before_there_is_a_model_there_is_nothing_to_toggle(studio: Studio, worker: FakeWorker) -> None:
    studio.toggle_ellipsoids()
    models_come(studio, worker)
    assert set(styles(studio, worker).values()) == {IMAGE}


def test_errors_are_those_of_images(studio: Studio, worker: FakeWorker) -> None:
    models_come(studio, worker)
    studio.layout.toggle(COMPARE)
    studio.toggle_ellipsoids()
    for mode in Mode:
        studio.comparison.mode = mode
        of_cells = styles(studio, worker)
        compared = IMAGE if mode in (Mode.ERROR, Mode.FLIP_MAP) else ELLIPSOIDS
        assert (of_cells[FIRST], of_cells[SECOND], of_cells["vanilla"]) == (compared, compared, ELLIPSOIDS)


def test_where_they_cannot_be_drawn_it_is_said_and_images_stay(studio: Studio, worker: FakeWorker) -> None:
    models_come(studio, worker)
    studio.toggle_ellipsoids()
    worker.says.append(EllipsoidsUnavailable(Failed("Ellipsoids can't be drawn", "Install Mesa")))
    studio.take_reports()
    assert studio.state.failures == [Failed("Ellipsoids can't be drawn", "Install Mesa")]
    for _ in range(2):
        assert not studio.has_ellipsoids
        assert set(styles(studio, worker).values()) == {IMAGE}
        studio.toggle_ellipsoids()
