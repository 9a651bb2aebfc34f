"""Pictures beside training: in what order streams wait, on a stand-in of CUDA's; and on a GPU."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from gaussians.model import Gaussians
from gaussians.session import aside
from gaussians.session.aside import Arriving, Aside
from gaussians.session.gallery import Gallery
from gaussians.session.live import Live
from tests.train.synthetic import random_gaussians, ring_cameras

GPU = torch.device("cuda")


class Stream:
    """Notes who waits for whom."""

    log: list[tuple[str, ...]]

    def __init__(self, device: torch.device, priority: int = 0) -> None:
        self.name = {-1: "training", 0: "aside"}[priority]

    def wait_stream(self, other: "Stream") -> None:
        self.log.append((self.name, "waits for", other.name))


class Streams:
    def __init__(self) -> None:
        Stream.log = []
        self.current = Stream(GPU, -1)

    @contextmanager
    def stream(self, stream: Stream) -> Iterator[None]:
        before, self.current = self.current, stream
        yield
        self.current = before


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    streams = Streams()
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: streams.current)
    monkeypatch.setattr(torch.cuda, "set_stream", lambda stream: setattr(streams, "current", stream))
    monkeypatch.setattr(torch.cuda, "stream", streams.stream)

    def kept(tensor: torch.Tensor, stream: Stream) -> None:
        Stream.log.append(("memory kept for", stream.name))

    monkeypatch.setattr(torch.Tensor, "record_stream", kept)
    return Stream.log


def test_what_training_changes_is_copied_and_training_waits_for_the_copy_alone(log: list[tuple[str, ...]]):
    aside.go_first(GPU)
    gaussians = random_gaussians(5, sh_degree=1)
    with Aside(GPU).rendering() as sheltered:
        copy = sheltered(gaussians, True)
        log.append(("rendering",))
    assert log == [
        ("aside", "waits for", "training"),
        ("training", "waits for", "aside"),
        ("rendering",),
    ]
    assert torch.equal(copy.means, gaussians.means)
    gaussians.means.data.zero_()
    assert bool(copy.means.any())


def test_what_stays_is_not_copied_but_kept(log: list[tuple[str, ...]]):
    aside.go_first(GPU)
    gaussians = random_gaussians(5, sh_degree=1)
    with Aside(GPU).rendering() as sheltered:
        assert sheltered(gaussians, False) is gaussians
    kept = [("memory kept for", "aside")] * len(gaussians.tensors())
    assert log == [("aside", "waits for", "training"), *kept]


def test_on_the_cpu_there_is_nothing_to_wait_for(log: list[tuple[str, ...]]):
    gaussians = random_gaussians(5, sh_degree=1)
    aside.go_first(torch.device("cpu"))
    with Aside(torch.device("cpu")).rendering() as sheltered:
        assert sheltered(gaussians, True) is gaussians
    arriving = Arriving(gaussians.means.detach())
    assert arriving.is_here()
    assert arriving.pixels().tolist() == gaussians.means.tolist()
    assert log == []


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
