"""Pictures beside training: in what order streams wait, on a stand-in of CUDA's; and on a GPU."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from gaussians.model import Gaussians
from gaussians.session import aside
from gaussians.session.aside import Aside
from gaussians.session.gallery import Gallery
from gaussians.session.live import Live
from gaussians.train import recorded
from tests.train.synthetic import random_gaussians, ring_cameras

GPU = torch.device("cuda")


class Stream:
    """Notes who waits for whom."""

    log: list[tuple[str, ...]]

    def __init__(self, device: torch.device, priority: int = 0) -> None:
        self.name = {-1: "training", 0: "aside"}[priority]
        self.priority = priority

    def wait_stream(self, other: "Stream") -> None:
        self.log.append((self.name, "waits for", other.name))


class Event:
    """Records nothing: what is on the CPU is there."""

    def __init__(self, enable_timing: bool = False) -> None:
        assert enable_timing

    def record(self, stream: Stream | None = None) -> None:
        pass


class Streams:
    def __init__(self) -> None:
        Stream.log = []
        self.current = Stream(GPU, 0)

    @contextmanager
    def stream(self, stream: Stream) -> Iterator[None]:
        before, self.current = self.current, stream
        yield
        self.current = before


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Who waited for whom, what was copied on which stream, and whose memory was kept for whom."""
    streams = Streams()
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: streams.current)
    monkeypatch.setattr(torch.cuda, "set_stream", lambda stream: setattr(streams, "current", stream))
    monkeypatch.setattr(torch.cuda, "stream", streams.stream)
    detached = Gaussians.detached

    def copied(gaussians: Gaussians) -> Gaussians:
        Stream.log.append(("copied on", streams.current.name))
        return detached(gaussians)

    def kept(tensor: torch.Tensor, stream: Stream) -> None:
        Stream.log.append(("kept for", stream.name))

    monkeypatch.setattr(Gaussians, "detached", copied)
    monkeypatch.setattr(torch.Tensor, "record_stream", kept)
    return Stream.log


def test_what_training_changes_is_copied_first_and_training_waits_for_nothing(log: list[tuple[str, ...]]):
    aside.go_first(GPU)
    gaussians = random_gaussians(5, sh_degree=1)
    with Aside(GPU).rendering(gaussians) as sitting:
        shown = sitting.sheltered(Gaussians(**gaussians.tensors()))
    kept = [("kept for", "aside")] * len(gaussians.tensors())
    assert log == [("copied on", "training"), ("aside", "waits for", "training"), *kept]
    assert torch.equal(shown.means, gaussians.means)
    gaussians.means.data.zero_()
    assert bool(shown.means.any())


def test_what_stays_is_not_copied_but_kept(log: list[tuple[str, ...]]):
    aside.go_first(GPU)
    live, finished = random_gaussians(5, sh_degree=1), random_gaussians(7, seed=1, sh_degree=1)
    with Aside(GPU).rendering(live) as sitting:
        del log[:]
        assert sitting.sheltered(finished) is finished
    assert log == [("kept for", "aside")] * len(finished.tensors())
    with Aside(GPU).rendering(None) as sitting:
        assert sitting.sheltered(finished) is finished


def test_on_the_cpu_there_is_nothing_to_wait_for(log: list[tuple[str, ...]]):
    gaussians = random_gaussians(5, sh_degree=1)
    aside.go_first(torch.device("cpu"))
    with Aside(torch.device("cpu")).rendering(gaussians) as sitting:
        assert sitting.sheltered(gaussians) is gaussians
        arriving = sitting.arriving(gaussians.means.detach())
    assert arriving.is_here()
    assert arriving.seconds() is None
    assert arriving.pixels().tolist() == gaussians.means.tolist()
    assert log == []


def test_what_is_recorded_keeps_the_priority_that_it_is_asked_for_with(log: list[tuple[str, ...]]):
    before = recorded._recording_stream(GPU)
    aside.go_first(GPU)
    after = recorded._recording_stream(GPU)
    assert before is not None
    assert after is not None
    assert (before.priority, after.priority) == (0, -1)
    assert recorded._recording_stream(torch.device("cpu")) is None


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU")
def test_training_may_change_what_is_still_to_be_looked_at():
    gaussians = random_gaussians(2000, sh_degree=1).to(GPU)
    wanted = gaussians.means.cpu()
    before = torch.cuda.current_stream(GPU)
    try:
        aside.go_first(GPU)
        torch.empty_like(wanted, pin_memory=True)  # to pin the first memory waits for the GPU
        with Aside(GPU).rendering(gaussians) as sitting:
            torch.cuda._sleep(200_000_000)  # cycles: a tenth of a second, of this stream
            arriving = sitting.arriving(sitting.sheltered(gaussians).means)
        gaussians.means.zero_()
        assert not arriving.is_here()
        assert arriving.pixels().tolist() == wanted.tolist()
        assert arriving.is_here()
        assert (arriving.seconds() or 0) > 0.01
    finally:
        torch.cuda.set_stream(before)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU")
def test_a_picture_shows_what_was_there_when_it_was_asked_for():
    device = torch.device("cuda")
    gaussians = random_gaussians(2000, sh_degree=1).to(device)
    live = Live("student", Gaussians(**gaussians.tensors()), 3)
    camera = ring_cameras(1, 256)[0]
    wanted = Gallery(device, (), {}, live=lambda: live).begin("student", camera, None).picture()
    before = torch.cuda.current_stream(device)
    try:
        aside.go_first(device)
        gallery = Gallery(device, (), {}, live=lambda: live)
        developing = gallery.begin("student", camera, None)
        with torch.no_grad():
            for tensor in gaussians.tensors().values():
                tensor.zero_()
        found = developing.picture()
        torch.cuda.synchronize(device)
    finally:
        torch.cuda.set_stream(before)
    assert found.image.any()
    assert (found.image == wanted.image).all()
    assert developing.is_done()
