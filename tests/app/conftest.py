"""A studio whose worker only notes what it is asked, and the toolkit without a screen."""

from collections.abc import Iterator
from pathlib import Path

import dearpygui.dearpygui as dpg
import pytest

from app.studio import Studio
from app.theme import Look
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


@pytest.fixture
def look() -> Iterator[Look]:
    """The toolkit's items can be made and asked, and none is drawn."""
    dpg.create_context()
    try:
        dpg.create_viewport(width=1280, height=720)
        look = Look()
        look.apply(1.0)
        yield look
    finally:
        dpg.destroy_context()
