import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from gaussians.session import kernel_process
from gaussians.session.kernel_process import compile_apart
from gaussians.session.loader import Loader, LoadingCancelled
from gaussians.session.messages.reports import Loading


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen]:
    """As if nothing were compiled; the processes that are started."""
    processes: list[subprocess.Popen] = []
    popen = subprocess.Popen

    def noted(*args: object, **kwargs: object) -> subprocess.Popen:
        processes.append(popen(*args, **kwargs))  # pyright: ignore[reportCallIssue, reportArgumentType] - passed on
        return processes[-1]

    monkeypatch.setattr(kernel_process, "compiled_mark", lambda: tmp_path / "compiled.json")
    monkeypatch.setattr(kernel_process.subprocess, "Popen", noted)
    return processes


def test_all_kernels_are_compiled_in_another_process(started: list[subprocess.Popen]):
    told: list[str] = []
    compile_apart(told.append)
    stages = [stage for index, stage in enumerate(told) if stage and stage not in told[:index]]
    assert stages == ["scene", "trunk", "vanilla", "perturbed", "dropout", "labels", "student"]
    assert [process.returncode for process in started] == [0]


def test_what_is_compiled_is_not_compiled_again(started: list[subprocess.Popen], tmp_path: Path):
    (tmp_path / "compiled.json").touch()
    compile_apart(lambda stage: pytest.fail("nothing to tell of"))
    assert not started


def test_what_is_compiled_is_told_in_the_users_words(monkeypatch: pytest.MonkeyPatch):
    def tell_of_all(tell: Callable[[str], None]) -> None:
        for stage in ("", "scene", "trunk", "dropout"):
            tell(stage)

    monkeypatch.setattr("gaussians.session.loader.compile_apart", tell_of_all)
    told: list[Loading] = []
    Loader(torch.device("cpu"), told.append, lambda: False).prepare_training()
    once = "once, about a minute"
    words = [once, f"{once}: reading photos", f"{once}: training", f"{once}: teacher dropout"]
    assert told == [Loading(what, 0, 1) for what in words]


def test_cancelling_ends_the_process(started: list[subprocess.Popen]):
    told: list[Loading] = []
    loader = Loader(torch.device("cpu"), told.append, lambda: len(told) > 2)
    with pytest.raises(LoadingCancelled):
        loader.prepare_training()
    assert told[0].what == "once, about a minute"
    assert [process.returncode for process in started] not in ([], [0], [None]), "it was killed"
