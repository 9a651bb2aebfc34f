"""Recording a CUDA graph, and clearing up where that fails, so that all else can go on."""

import contextlib
import gc
from collections.abc import Iterator
from typing import Any

import torch


@contextlib.contextmanager
def capturing(graph: torch.cuda.CUDAGraph, pool: Any, device: torch.device) -> Iterator[None]:
    """Within: what this thread asks of the GPU on its current stream is recorded in the graph, and not done.

    Args:
        graph: an empty one.
        pool: of memory, see `torch.cuda.graph_pool_handle`.
        device: the GPU, with its number.

    Raises:
        What went wrong first: the recording's own end then only says that something did.
    """
    collects = gc.isenabled()
    gc.disable()  # what is collected may call CUDA for what can't be recorded
    try:
        graph.capture_begin(pool, capture_error_mode="thread_local")
        try:
            yield
        except BaseException:
            with contextlib.suppress(Exception):
                _end(graph, pool, device)
            raise
        _end(graph, pool, device)
    finally:
        if collects:
            gc.enable()


def _end(graph: torch.cuda.CUDAGraph, pool: Any, device: torch.device) -> None:
    try:
        graph.capture_end()
    except Exception:
        _clear_up(pool, device)
        raise


def _clear_up(pool: Any, device: torch.device) -> None:
    """Do what PyTorch before 2.13 leaves undone at the end of a recording that CUDA has given up.

    Allocations would go to the pool for ever and the cache could not be emptied (pytorch/pytorch#180395);
    nor could the GPU's generator draw again, which still stands as in the recording.
    """
    with contextlib.suppress(Exception):  # there is nothing to end, from 2.13 on
        torch._C._cuda_endAllocateToPool(device.index, pool)
    with contextlib.suppress(Exception):
        fresh = torch.Generator(device)
        fresh.manual_seed(torch.cuda.initial_seed())
        torch.cuda.default_generators[device.index].graphsafe_set_state(fresh.graphsafe_get_state())
