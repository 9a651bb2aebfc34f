"""A worker on the tiny scene, and a patient window that notes all it says."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import torch

from gaussians.camera import Camera
from gaussians.distill.recipe import Recipe
from gaussians.scene import SceneOptions
from gaussians.session.events import StepDone
from gaussians.session.messages.commands import Command, Look, OpenScene, Quit, Start, View
from gaussians.session.messages.frame import Frame
from gaussians.session.messages.reports import Failed, Progressed, Report, RunStateChanged, SceneOpened
from gaussians.session.worker import Worker
from tests.session import tiny

PATIENCE = 60.0  # seconds until a test gives up: far more than anything takes
OPTIONS = SceneOptions(test_every=4)
R = TypeVar("R", bound=Report)


class Studio:
    """Sends commands and keeps every report."""

    def __init__(self) -> None:
        self.worker = Worker(torch.device("cpu"))
        self.reports: list[Report] = []
        self._seen = 0

    def send(self, *commands: Command) -> None:
        for command in commands:
            self.worker.send(command)

    def wait(self, kind: type[R], wanted: Callable[[R], bool] = lambda _: True) -> R:
        """The next report of this kind that is wanted, after the one waited for before."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            self.reports += self.worker.reports()
            while self._seen < len(self.reports):
                report = self.reports[self._seen]
                self._seen += 1
                if isinstance(report, kind) and wanted(report):
                    return report
            time.sleep(0.002)
        raise AssertionError(f"no such {kind.__name__}; the last reports: {self.reports[-5:]}")

    def state(self, *names: str) -> str:
        return self.wait(RunStateChanged, lambda report: report.state in names).state

    def frame(self, cell: str, wanted: Callable[[Frame], bool] = lambda frame: frame.sharp) -> Frame:
        """The next wanted frame of a cell."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            frame = self.worker.frame(cell)
            if frame is not None and wanted(frame):
                return frame
            time.sleep(0.002)
        raise AssertionError(f"no such frame of {cell}; the last reports: {self.worker.reports()[-5:]}")

    def failures(self) -> list[Failed]:
        self.reports += self.worker.reports()
        return [report for report in self.reports if isinstance(report, Failed)]

    def open(self, folder: Path) -> SceneOpened:
        self.send(OpenScene(folder, OPTIONS))
        return self.wait(SceneOpened)

    def begin(self, folder: Path, run: Path, recipe: Recipe | None = None) -> SceneOpened:
        """Open the scene and start a run."""
        opened = self.open(folder)
        self.send(Start(run, recipe or tiny.recipe()))
        self.state("training")
        return opened


@contextmanager
def studio() -> Iterator[Studio]:
    """A worker that is ended when the test is."""
    made = Studio()
    made.worker.start()
    try:
        yield made
    finally:
        made.send(Quit())
        made.worker.join(PATIENCE)
        assert not made.worker.is_alive


def look(camera: Camera, *models: str, dataset: str | None = None) -> Look:
    """A Look with one cell a model, named after it."""
    return Look(camera, tuple(View(model, model) for model in models), dataset)


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
