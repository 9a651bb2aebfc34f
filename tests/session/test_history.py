"""The student's history is compact, bounded, and survives what runs survive."""

import itertools
from pathlib import Path

import pytest
import torch

from gaussians.errors import RunError
from gaussians.model import Gaussians
from gaussians.session.history import MOST, History, history_step
from tests.session import tiny


def student(count: int = 50) -> Gaussians:
    return tiny.true_gaussians(count)


def trained(history: History, steps: int, count: int = 50, first: int = 1) -> None:
    for step in range(first, steps + 1):
        if history.wants(step):
            history.add(step, student(count))


@pytest.mark.parametrize("steps", [1, 30, 47, 48, 1000, 29_999, 30_000])
def test_snapshots_are_spread_over_the_training_and_few(steps: int, tmp_path: Path):
    history = History(tmp_path / "history", steps)
    wanted = [step for step in range(1, steps + 1) if history.wants(step)]
    assert wanted[-1] == steps
    assert min(steps, MOST // 2) <= len(wanted) <= MOST
    gaps = {later - earlier for earlier, later in itertools.pairwise(wanted[:-1])}
    assert len(gaps) <= 1


def test_snapshot_comes_back_as_it_was_but_for_float16(tmp_path: Path):
    history = History(tmp_path / "history", 10)
    gaussians = student()
    gaussians.means[0] = 1e6  # a world of kilometres in millimetres
    history.add(10, gaussians)
    back = history.load(10)
    assert torch.equal(back.means, gaussians.means)
    for name, tensor in gaussians.tensors().items():
        assert back.tensors()[name].dtype == torch.float32
        assert torch.allclose(back.tensors()[name], tensor, rtol=1e-3, atol=1e-6)


def test_snapshots_are_compact(tmp_path: Path):
    history = History(tmp_path / "history", 10)
    history.add(10, student(1000))
    size = sum(path.stat().st_size for path in (tmp_path / "history").iterdir())
    full = sum(tensor.numel() * 4 for tensor in student(1000).tensors().values())
    assert size < 0.7 * full


def test_bytes_are_bounded_by_thinning_evenly(tmp_path: Path):
    folder = tmp_path / "history"
    history = History(folder, 40, most_bytes=60_000)
    trained(history, 40)
    files = sorted(int(path.stem) for path in folder.iterdir())
    assert tuple(files) == history.steps
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 60_000
    assert history.steps[-1] == 40
    gaps = {later - earlier for earlier, later in itertools.pairwise(files)}
    assert len(files) >= 4
    assert max(gaps) <= 2 * min(gaps)


def test_reopened_history_goes_on_as_thinned(tmp_path: Path):
    whole = History(tmp_path / "whole", 40, most_bytes=60_000)
    trained(whole, 40)
    first = History(tmp_path / "parts", 40, most_bytes=60_000)
    trained(first, 30)
    again = History(tmp_path / "parts", 40, most_bytes=60_000)
    assert again.steps == first.steps
    again.cut(24)
    assert max(again.steps) <= 24
    trained(again, 40, first=25)
    assert again.steps == whole.steps


def test_full_disk_leaves_the_snapshot_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    history = History(tmp_path / "history", 10)
    history.add(1, student())

    def full(*args: object, **kwargs: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    history.add(2, student())
    assert history.steps == (1,)
    assert len(list((tmp_path / "history").iterdir())) == 1


def test_broken_snapshot_is_named(tmp_path: Path):
    history = History(tmp_path / "history", 10)
    history.add(3, student())
    path = next((tmp_path / "history").iterdir())
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(RunError, match=r"000003.*choose another step"):
        history.load(3)
    path.unlink()
    with pytest.raises(RunError, match="000003"):
        history.load(3)


def test_step_of_a_name():
    assert history_step("history:120") == 120
    assert history_step("history:") == history_step("history:x") == -1


def test_finished_run_has_its_history(finished_run: Path):
    assert History(finished_run / "history", 30).steps == tuple(range(1, 31))
