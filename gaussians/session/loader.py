"""Loading that tells how far it is, and gives up when the user wants something else."""

from collections.abc import Callable

import numpy as np
import torch

from gaussians.camera import Camera
from gaussians.model import Gaussians
from gaussians.session.messages import Loading, OpenRun, OpenScene, OpenSplat
from gaussians.session.opening import Opened, open_run, open_scene, open_splat
from gaussians.session.warmup import compile_kernels, compiled_mark
from gaussians.train.evaluate import render_view

Open = OpenScene | OpenRun | OpenSplat
# A Gaussian before a camera: enough to compile what rendering takes.
_ONE = Gaussians(
    means=torch.tensor([[0.0, 0.0, 2.0]]),
    quats=torch.tensor([[1.0, 0.0, 0.0, 0.0]]),
    log_scales=torch.full((1, 3), -1.0),
    logit_opacities=torch.ones(1),
    sh0=torch.ones(1, 1, 3),
    shN=torch.zeros(1, 3, 3),
)
_CAMERA = Camera(np.eye(4), np.array([[16.0, 0, 8], [0, 16, 8], [0, 0, 1]]), 16, 16)


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

    def read(self, command: Open) -> Opened:
        """Open it.

        Raises:
            LoadingCancelled: it became unwanted.
            DistilleryError: it can't be read.
        """
        self._prepare_rendering()
        self._progress(f"opening {command.path.name}", 0, 1)
        if isinstance(command, OpenScene):
            return open_scene(command.path, command.options, self._device, self._progress)
        if isinstance(command, OpenRun):
            return open_run(command.path, self._device, self._progress)
        return open_splat(command.path, self._device, self._progress)

    def prepare_training(self) -> None:
        """Compile all kernels, if that was never done on this machine.

        Raises:
            LoadingCancelled: it became unwanted.
            StorageError: there is no room for them.
        """
        if self._device.type == "cpu" and not compiled_mark().exists():
            compile_kernels(
                lambda stage: self._progress(f"compiling for this processor, once: {stage}", 0, 1)
            )

    def _prepare_rendering(self) -> None:
        """The first picture compiles or reads what rendering takes: said before it takes its time."""
        if not self._renders:
            self._progress(
                "compiling the renderer, once" if not compiled_mark().exists() else "opening", 0, 1
            )
            render_view(_ONE, _CAMERA, (0.0, 0.0, 0.0), self._device)
            self._renders = True

    def _progress(self, what: str, done: int, total: int) -> None:
        self._tell(Loading(what, done, total))
        if self._is_unwanted():
            raise LoadingCancelled
