"""What the window's half needs of the worker."""

from collections.abc import Callable, Sequence
from typing import Protocol

from gaussians.session.messages.commands import Command
from gaussians.session.messages.frame import Frame
from gaussians.session.messages.reports import Report


class WorkerLike(Protocol):
    """The thread that owns every tensor; see gaussians.session.worker."""

    def start(self) -> None:
        """Begin to listen."""
        ...

    def send(self, command: Command) -> None:
        """Ask for something; returns at once."""
        ...

    def reports(self) -> Sequence[Report]:
        """What was reported since last asked."""
        ...

    def frame(self, cell: str) -> Frame | None:
        """The newest image of a cell, if there is one that was not taken yet."""
        ...

    def wait_for_frame(self, cell: str, wanted: Callable[[Frame], bool], seconds: float) -> None:
        """Wait until a cell has such an image, but not for longer."""
        ...

    def join(self) -> None:
        """Wait for the thread to end."""
        ...

    @property
    def is_alive(self) -> bool:
        """Whether it has been started and has not ended."""
        ...
