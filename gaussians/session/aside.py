"""Pictures for the window beside training on a GPU: on a stream that yields to training's.

The host still waits where gsplat asks how many intersections there are; sorting, blending and the pixels'
way to the CPU go on beside training. On the CPU all this is nothing: a picture is there when asked for.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from gaussians.model import Gaussians

_FIRST, _LAST = -1, 0  # CUDA's priorities: the lower goes first


def go_first(device: torch.device) -> None:
    """Let what this thread asks of a GPU from now on go before what is asked for `Aside`."""
    if device.type == "cuda":
        torch.cuda.set_stream(torch.cuda.Stream(device, priority=_FIRST))


class Arriving:
    """An image on its way to the CPU, as of the stream that is current.

    Args:
        image: on any device.
        began: what was recorded when rendering it began; None: it is there.
    """

    def __init__(self, image: Tensor, began: torch.cuda.Event | None = None) -> None:
        self._host, self._began, self._ended = image, began, None
        if began is not None:
            self._host = torch.empty(image.shape, dtype=image.dtype, pin_memory=True)
            self._host.copy_(image, non_blocking=True)
            self._ended = torch.cuda.Event(enable_timing=True)
            self._ended.record()

    def is_here(self) -> bool:
        """Whether `pixels` need not wait."""
        return self._ended is None or self._ended.query()

    def pixels(self) -> np.ndarray:
        """The image, once it has arrived."""
        if self._ended is not None:
            self._ended.synchronize()
        return self._host.numpy()

    def seconds(self) -> float | None:
        """What it took the GPU, once it has arrived; None: no GPU took part."""
        if self._began is None or self._ended is None:
            return None
        return self._began.elapsed_time(self._ended) / 1000


class Sitting:
    """What pictures need while they are rendered.

    Args:
        aside: the stream they are rendered on; None: on the CPU.
        changing: Gaussians that training is about to change, and a copy of them.
    """

    def __init__(
        self, aside: torch.cuda.Stream | None, changing: tuple[Gaussians, Gaussians] | None = None
    ) -> None:
        self._aside, self._changing = aside, changing
        self._began: torch.cuda.Event | None = None
        if aside is not None:
            self._began = torch.cuda.Event(enable_timing=True)
            self._began.record(aside)

    def sheltered(self, gaussians: Gaussians) -> Gaussians:
        """The same Gaussians, such as stay as they are while they are looked at."""
        if self._aside is None:
            return gaussians
        if self._changing is not None and gaussians.means is self._changing[0].means:
            gaussians = self._changing[1]
        for tensor in gaussians.tensors().values():
            tensor.record_stream(self._aside)  # nobody gets its memory before that is done
        return gaussians

    def arriving(self, image: Tensor) -> Arriving:
        """An image, sent on its way."""
        return Arriving(image, self._began)


class Aside:
    """Where pictures are rendered.

    Args:
        device: of the models.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream: torch.cuda.Stream | None = None

    @contextmanager
    def rendering(self, changing: Gaussians | None) -> Iterator[Sitting]:
        """What is asked of the GPU within comes after all that was asked before, and beside what follows.

        Args:
            changing: to be looked at, but about to be changed by training, which does not wait; None: none.
        """
        if self._device.type != "cuda":
            yield Sitting(None)
            return
        if self._stream is None:
            self._stream = torch.cuda.Stream(self._device, priority=_LAST)
        pair = None if changing is None else (changing, changing.detached())
        self._stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(self._stream):
            yield Sitting(self._stream, pair)
