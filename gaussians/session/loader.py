"""Loading that tells how far it is, and gives up when the user wants something else."""

from collections.abc import Callable

import torch

from gaussians.session.kernel_process import compile_apart
from gaussians.session.messages.commands import OpenRun, OpenScene, OpenSplat
from gaussians.session.messages.reports import Loading
from gaussians.session.opening import Opened, open_run, open_scene, open_splat
from gaussians.session.warmup import compile_rendering

Open = OpenScene | OpenRun | OpenSplat
_COMPILED = {
    "scene": "reading photos",
    "trunk": "training",
    "labels": "soft labels",
    "student": "the student",
}
"""What a stage of compiling is for, in the user's words."""


class LoadingCancelled(Exception):  # noqa: N818 - nothing went wrong
    """Raised through a loader when the user wants something else."""


class Loader:
    """Opens what a command names.

    Args:
        device: where models will be rendered.
        tell: takes the progress.
        is_unwanted: asked at each progress, whether to give up.
    """

    def __init__(
        self, device: torch.device, tell: Callable[[Loading], None], is_unwanted: Callable[[], bool]
    ) -> None:
        self._device, self._tell, self._is_unwanted = device, tell, is_unwanted
        self._renders = False
        self._name = ""  # of what is being opened

    def read(self, command: Open) -> Opened:
        """Open it.

        Raises:
            LoadingCancelled: it became unwanted.
            DistilleryError: it can't be read.
        """
        self._name = command.path.name
        self._progress("opening", 0, 1)
        if isinstance(command, OpenScene):  # photos alone: nothing is rendered before a run starts
            return open_scene(command.path, command.options, self._device, self._progress)
        self._prepare_rendering()
        if isinstance(command, OpenRun):
            return open_run(command.path, self._device, self._progress)
        return open_splat(command.path, self._device, self._progress)

    def prepare_training(self) -> None:
        """Compile all kernels, if that was never done on this machine.

        Raises:
            LoadingCancelled: it became unwanted.
        """
        self._name = ""
        if self._device.type == "cpu":
            compile_apart(lambda stage: self._progress(_compiling(stage), 0, 1))

    def _prepare_rendering(self) -> None:
        """The first picture compiles or reads what rendering takes: said before it takes its time."""
        if self._renders:
            return
        if self._device.type == "cpu":
            compile_apart(lambda _: self._progress("compiling the renderer, once", 0, 1), only_rendering=True)
        self._progress("opening", 0, 1)
        compile_rendering(self._device)
        self._renders = True

    def _progress(self, what: str, done: int, total: int) -> None:
        self._tell(Loading(what, done, total, self._name))
        if self._is_unwanted():
            raise LoadingCancelled


def _compiling(stage: str) -> str:
    """Nearly all of the time goes into one stage, so that a share of them would say little."""
    what = "once, about a minute"
    return f"{what}: {_COMPILED.get(stage, f'teacher {stage}')}" if stage else what
