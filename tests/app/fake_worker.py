"""A worker that only notes what it is asked, and says what a test lets it say."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from app.studio import Studio
from gaussians.camera import Camera
from gaussians.session.messages.commands import Command
from gaussians.session.messages.frame import Frame
from gaussians.session.messages.reports import Report, SceneOpened

COUNTS = {"photo": 0, "vanilla": 100, "dropout": 90, "ensemble": 190, "student": 12, "disagreement": 190}


class FakeWorker:
    def __init__(self) -> None:
        self.started = False
        self.is_alive = True
        self.sent: list[Command] = []
        self.says: list[Report] = []
        self.frames: dict[str, Frame] = {}

    def start(self) -> None:
        self.started = True

    def send(self, command: Command) -> None:
        self.sent.append(command)

    def reports(self) -> list[Report]:
        reports, self.says = self.says, []
        return reports

    def frame(self, cell: str) -> Frame | None:
        return self.frames.pop(cell, None)

    def wait_for_frame(self, cell: str, wanted: Callable[[Frame], bool], seconds: float) -> None:
        pass

    def join(self) -> None:
        pass


def camera(x: float = 0.0, width: int = 480, height: int = 360) -> Camera:
    viewmat = np.eye(4)
    viewmat[:3, 3] = (-x, 0.0, 3.0)
    return Camera(viewmat, np.array([[400.0, 0, width / 2], [0, 400, height / 2], [0, 0, 1]]), width, height)


def scene(path: Path = Path("/scenes/garden"), **more: object) -> SceneOpened:
    cameras = {f"{index}.jpg": camera(index) for index in range(4)}
    given: dict = {
        "name": path.name,
        "path": path,
        "cameras": cameras,
        "test": ("0.jpg",),
        "thumbnails": {name: np.zeros((6, 8, 3), np.uint8) for name in cameras},
        "up": np.array([0.0, -1.0, 0.0]),
        "centre": np.zeros(3),
        "extent": 2.0,
        "models": ("photo",),
    }
    return SceneOpened(**{**given, **more})


def hear(studio: Studio, worker: FakeWorker, *reports: object) -> None:
    worker.says.extend(reports)  # pyright: ignore[reportArgumentType] - reports, as the caller knows
    studio.take_reports()
