"""Recording a CUDA graph, over a stand-in: what happens where the recording itself fails."""

import gc
from typing import Any

import pytest
import torch

from gaussians.train.capture import capturing

GPU = torch.device("cuda", 0)
POOL = (0, 7)


class Graph:
    """Of PyTorch's class what is called; CUDA gives a recording up for good where something failed in it."""

    def __init__(self, log: list[Any]) -> None:
        self.log, self.is_given_up = log, False

    def capture_begin(self, pool: Any, capture_error_mode: str) -> None:
        self.log.append(("begin", pool, capture_error_mode, gc.isenabled()))

    def capture_end(self) -> None:
        self.log.append("end")
        if self.is_given_up:
            raise RuntimeError("operation failed due to a previous error during capture")


class Generator:
    """Of the GPU's generator what is called."""

    def __init__(self, log: list[Any]) -> None:
        self.log = log

    def graphsafe_set_state(self, state: Any) -> None:
        self.log.append(("generator", state))


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    calls: list[Any] = []

    def end(device: int, pool: Any) -> None:
        calls.append(("end pool", device, pool))

    class Fresh:
        def __init__(self, device: torch.device) -> None:
            assert device == GPU

        def manual_seed(self, seed: int) -> None:
            assert seed == 5

        def graphsafe_get_state(self) -> str:
            return "fresh"

    monkeypatch.setattr(torch._C, "_cuda_endAllocateToPool", end, raising=False)
    monkeypatch.setattr(torch.cuda, "initial_seed", lambda: 5)
    monkeypatch.setattr(torch.cuda, "default_generators", (Generator(calls),))
    monkeypatch.setattr(torch, "Generator", Fresh)
    return calls


def test_what_is_recorded_ends_as_it_should(log: list[Any]) -> None:
    graph: Any = Graph(log)
    with capturing(graph, POOL, GPU):
        log.append("step")
    assert log == [("begin", POOL, "thread_local", False), "step", "end"]
    assert gc.isenabled()


def test_of_two_errors_the_first_is_told_and_all_is_cleared_up(log: list[Any]) -> None:
    graph: Any = Graph(log)
    graph.is_given_up = True
    with pytest.raises(RuntimeError, match="not permitted"), capturing(graph, POOL, GPU):
        raise RuntimeError("operation not permitted when stream is capturing")
    assert log[1:] == ["end", ("end pool", 0, POOL), ("generator", "fresh")]
    assert gc.isenabled()


def test_an_error_that_cuda_does_not_mind_leaves_nothing_to_clear_up(log: list[Any]) -> None:
    graph: Any = Graph(log)
    with pytest.raises(torch.OutOfMemoryError), capturing(graph, POOL, GPU):
        raise torch.OutOfMemoryError("CUDA out of memory")
    assert log[1:] == ["end"]


def test_an_end_that_fails_is_told_and_cleared_up_even_by_a_pytorch_that_lacks_the_means(
    log: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(torch._C, "_cuda_endAllocateToPool")
    graph: Any = Graph(log)
    graph.is_given_up = True
    with pytest.raises(RuntimeError, match="previous error during capture"), capturing(graph, POOL, GPU):
        log.append("step")
    assert log[1:] == ["step", "end", ("generator", "fresh")]
