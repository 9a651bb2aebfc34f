"""Pictures for the window beside training on a GPU: on a stream that yields to training's.

The host asks for a picture and goes on with training; the pixels arrive when the GPU has had time for them.
On the CPU all this is nothing: a picture is there when it was asked for.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from gaussians.model import Gaussians

_FIRST, _LAST = -1, 0  # CUDA's priorities: the lower goes first

Sheltered = Callable[[Gaussians, bool], Gaussians]
"""From Gaussians to such as stay as they are now while they are looked at. The second argument: whether
training is about to change them."""


def go_first(device: torch.device) -> None:
    """Let what this thread asks of a GPU from now on go before what is asked for `Aside`."""
    if device.type == "cuda":
        torch.cuda.set_stream(torch.cuda.Stream(device, priority=_FIRST))


class Arriving:
    """An image on its way to the CPU, as of the stream that is current.

    Args:
        image: on any device.
    """

    def __init__(self, image: Tensor) -> None:
        self._host, self._event = image, None
        if image.device.type == "cuda":
            self._host = torch.empty(image.shape, dtype=image.dtype, pin_memory=True)
            self._host.copy_(image, non_blocking=True)
            self._event = torch.cuda.Event()
            self._event.record()

    def is_here(self) -> bool:
        """Whether `pixels` need not wait."""
        return self._event is None or self._event.query()

    def pixels(self) -> np.ndarray:
        """The image, once it has arrived."""
        if self._event is not None:
            self._event.synchronize()
        return self._host.numpy()


class Aside:
    """Where pictures are rendered.

    Args:
        device: of the models.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream: torch.cuda.Stream | None = None

    @contextmanager
    def rendering(self) -> Iterator[Sheltered]:
        """What is asked of the GPU within comes after all that was asked before, and beside what follows."""
        if self._device.type != "cuda":
            yield lambda gaussians, changes: gaussians
            return
        if self._stream is None:
            self._stream = torch.cuda.Stream(self._device, priority=_LAST)
        aside, training = self._stream, torch.cuda.current_stream(self._device)

        def sheltered(gaussians: Gaussians, changes: bool) -> Gaussians:
            if changes:
                gaussians = gaussians.detached()
                training.wait_stream(aside)  # for all before and the copy, and no longer
                return gaussians
            for tensor in gaussians.tensors().values():
                tensor.record_stream(aside)  # so that nobody gets its memory while it is looked at
            return gaussians

        aside.wait_stream(training)
        with torch.cuda.stream(aside):
            yield sheltered
