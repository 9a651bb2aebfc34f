"""A studio whose worker only notes what it is asked."""

from pathlib import Path

import pytest

from app.studio import Studio
from gaussians.session.messages.reports import ModelsChanged
from tests.app.fake_worker import COUNTS, FakeWorker, hear, scene


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
