"""Out of memory in mid-run: the stage goes back to its checkpoint and on with fewer Gaussians."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from gaussians.errors import TrainingError, is_out_of_memory
from gaussians.memory import available_memory
from gaussians.scene import SceneOptions
from gaussians.session import backing_off
from gaussians.session.checkpoints import Checkpoints
from gaussians.session.directory import RunDirectory, RunPlan
from gaussians.session.events import BackedOff, Event, RunFinished, StageStarted
from gaussians.session.run import Run
from gaussians.train.optimisation import Optimisation
from tests.session import tiny

SCENE = tiny.scene()
Fails = Callable[[str, int, int], bool]


def begin(path: Path) -> Run:
    directory = RunDirectory(path)
    if not directory.exists:
        directory.create(RunPlan(Path("tiny"), SceneOptions(), tiny.recipe(), "cpu"))
    return Run(directory, SCENE, tiny.recipe(), torch.device("cpu"))


def failing(monkeypatch: pytest.MonkeyPatch, fails: Fails, error: Exception) -> None:
    """Let steps fail where `fails(stream, step, count)` says so."""
    step = Optimisation._step

    def limited(self: Optimisation, logs: bool):
        if fails(self._stream, self.step, len(self)):
            raise error
        return step(self, logs)

    monkeypatch.setattr(Optimisation, "_step", limited)


def until(run: Run, done: Callable[[Event], bool]) -> list[Event]:
    events = []
    for event in run.events():
        events.append(event)
        if done(event):
            break
    return events


def counts(path: Path, stage: str) -> list[int]:
    lines = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    return [line["count"] for line in lines if line["stage"] == stage and "count" in line]


@pytest.fixture(scope="module")
def vanilla(tmp_path_factory: pytest.TempPathFactory) -> int:
    """How far the trunk grows where nothing is in the way."""
    path = tmp_path_factory.mktemp("free")
    until(begin(path), lambda event: isinstance(event, StageStarted) and event.stage.name == "vanilla")
    return max(counts(path, "trunk"))


def test_growth_that_does_not_fit_ends_and_the_run_goes_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, vanilla: int
):
    most = int(0.8 * vanilla)
    failing(monkeypatch, lambda stream, step, count: count > most, MemoryError())
    events = list(begin(tmp_path).events())
    assert isinstance(events[-1], RunFinished)
    told = [event for event in events if isinstance(event, BackedOff)]
    assert told
    assert all("memory is full: " in event.text for event in told)
    report = json.loads((tmp_path / "report.json").read_text())
    for name in ("vanilla", "perturbed", "dropout"):
        assert max(counts(tmp_path, name)) <= most, name
    assert report["totals"]["held"].keys() <= {"trunk", "vanilla", "perturbed", "dropout"}
    noted = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["text"] for line in noted if line.get("event") == "backed off"]


def test_a_run_held_once_stays_held_when_it_is_resumed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, vanilla: int
):
    most = int(0.8 * vanilla)
    with monkeypatch.context() as full:
        failing(full, lambda stream, step, count: count > most, MemoryError())
        run = begin(tmp_path)
        until(run, lambda event: isinstance(event, BackedOff))
        run.save()
    facts = Checkpoints(tmp_path / "checkpoints").load("trunk")
    assert facts is not None
    cap = facts[1]["cap"]
    assert cap < vanilla
    run = begin(tmp_path)
    until(run, lambda event: isinstance(event, StageStarted) and event.stage.name == "vanilla")
    assert max(counts(tmp_path, "trunk")) <= cap


def test_what_can_not_do_with_less_ends_with_one_line_and_keeps_its_checkpoint(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    with monkeypatch.context() as full:
        failing(full, lambda stream, step, count: stream == "student" and step == 20, MemoryError())
        with pytest.raises(
            TrainingError, match=r"student, step 20: memory is full at [\d,]+ Gaussians; close"
        ):
            list(begin(tmp_path).events())
    assert isinstance(list(begin(tmp_path).events())[-1], RunFinished)


def test_little_memory_ends_growth_before_the_system_ends_the_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, vanilla: int
):
    monkeypatch.setattr(backing_off, "is_low", lambda device: True)
    events = list(begin(tmp_path).events())
    assert isinstance(events[-1], RunFinished)
    told = [event.stage.name for event in events if isinstance(event, BackedOff)]
    assert told == ["trunk", "vanilla", "perturbed", "dropout"]  # once each; the student does not grow
    assert max(counts(tmp_path, "vanilla")) < vanilla


def test_where_memory_can_be_given_back_growth_goes_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, vanilla: int
):
    looks = itertools.cycle([True, False])
    monkeypatch.setattr(backing_off, "is_low", lambda device: next(looks))
    freed: list[torch.device] = []
    monkeypatch.setattr(backing_off, "free_memory", freed.append)
    run = begin(tmp_path)
    events = until(run, lambda event: isinstance(event, StageStarted) and event.stage.name == "vanilla")
    assert freed
    assert not any(isinstance(event, BackedOff) for event in events)
    assert max(counts(tmp_path, "trunk")) == vanilla


def test_other_errors_pass(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    failing(monkeypatch, lambda stream, step, count: step == 3, RuntimeError("of another kind"))
    with pytest.raises(RuntimeError, match="of another kind"):
        list(begin(tmp_path).events())


@pytest.mark.parametrize(
    "make", [lambda: torch.empty(1 << 60), lambda: np.empty(1 << 55), lambda: bytearray(1 << 60)]
)
def test_a_real_failure_to_allocate_is_recognised(make: Callable[[], object]):
    with pytest.raises((MemoryError, RuntimeError)) as caught:
        make()
    assert is_out_of_memory(caught.value)


@pytest.mark.parametrize(
    "words",
    [
        "CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported",
        "Triton Error [CUDA]: out of memory",
    ],
)
def test_a_full_gpu_is_recognised_by_whatever_tells(words: str):
    assert is_out_of_memory(RuntimeError(words))
    assert not is_out_of_memory(RuntimeError("CUDA error: an illegal memory access was encountered"))


def test_what_is_available_is_less_than_all_there_is():
    free = available_memory(torch.device("cpu"))
    assert free is None or 0 < free < 1 << 50
