"""What the window is told when something goes wrong: what, what to do, and for a report all of it."""

import traceback

from gaussians.errors import DistilleryError, is_out_of_memory
from gaussians.session.messages.commands import (
    Command,
    Export,
    OpenRun,
    OpenScene,
    OpenSplat,
    Quit,
    SetTeacherWeight,
    Start,
    Stop,
)
from gaussians.session.messages.reports import Failed

_OUTCOMES: dict[type[Command], str] = {
    OpenScene: "The scene was not opened",
    OpenRun: "The run was not opened",
    OpenSplat: "The file was not opened",
    Start: "The run was not started",
    Stop: "The run was not saved, and is paused",
    SetTeacherWeight: "The teacher was not weighed",
    Export: "The model was not exported",
    Quit: "The run could not be saved",
}


def failed_command(command: Command, error: BaseException) -> Failed:
    """The report of an error that a command ran into."""
    return failure(_OUTCOMES.get(type(command), f"{type(command).__name__} failed"), error)


def failure(what: str, error: BaseException) -> Failed:
    """The report of an error. Our own errors say what to do themselves.

    Args:
        what: could not be done, for people: "The scene was not opened".
        error: why.
    """
    if isinstance(error, DistilleryError):
        return Failed(what, str(error))
    details = "".join(traceback.format_exception(error))
    if is_out_of_memory(error):
        advice = (
            "Memory is full. Close other programs, or read the scene at a lower resolution and lower "
            "densify.cap in the recipe."
        )
        return Failed(what, advice, details)
    advice = (
        f"An error that should not happen ({type(error).__name__}: {error}). What was saved is safe; try "
        "again, and if it comes back, copy the details into a report."
    )
    return Failed(what, advice, details)
