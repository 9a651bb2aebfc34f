"""Loading gsplat: what is said where it can't be, and that only one process compiles it."""

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import filelock
import platformdirs
import pytest
import torch

from gaussians.errors import BackendUnavailableError
from gaussians.raster import cuda_gsplat, rasterize

from . import stand_in_kernels
from .scenes import random_scene


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """A machine with a GPU and nothing to compile with, to take away from."""
    from torch.utils import cpp_extension

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(cpp_extension, "CUDA_HOME", "/toolkit")
    monkeypatch.setattr(cpp_extension, "is_ninja_available", lambda: True)
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda name: str(tmp_path / name))
    cuda_gsplat._load.cache_clear()
    yield cpp_extension
    cuda_gsplat._load.cache_clear()


def refusal() -> str:
    with pytest.raises(BackendUnavailableError) as caught:
        rasterize(*random_scene(0, n=3).arguments(), backend="cuda")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_refusal_without_a_device(machine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert refusal() == "cuda: no device; available: cpu"
    monkeypatch.setattr(torch.version, "cuda", None)
    assert refusal() == "cuda: no device (this torch is built without CUDA); available: cpu"
    assert cuda_gsplat.unavailable_reason() == "no device (this torch is built without CUDA)"


def test_refusal_without_a_toolkit(machine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "CUDA_HOME", None)
    assert "no CUDA toolkit (nvcc)" in refusal()
    assert "CUDA 13.0" in refusal()


def test_refusal_without_ninja(machine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "is_ninja_available", lambda: False)
    assert "pip install ninja" in refusal()


def test_refusal_when_compiling_fails(machine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cuda_gsplat.unavailable_reason() is None
    backend = ModuleType("gsplat.cuda._backend")
    vars(backend)["_C"] = None
    monkeypatch.setitem(sys.modules, backend.__name__, backend)
    assert "found no CUDA toolkit" in refusal()
    monkeypatch.setitem(sys.modules, backend.__name__, None)
    message = refusal()
    assert "do not compile or load" in message
    assert "available: cpu" in message


def test_refusal_of_tensors_on_the_cpu(machine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = ModuleType("gsplat.cuda._backend")
    vars(backend)["_C"] = stand_in_kernels
    monkeypatch.setitem(sys.modules, backend.__name__, backend)
    assert "the Gaussians are on the cpu" in refusal()


def test_only_one_process_at_a_time_compiles(
    machine: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    beside = filelock.FileLock(tmp_path / "splat-distillery" / "gsplat.lock", timeout=0)
    import_module, met = importlib.import_module, []

    def watched(name: str) -> Any:
        if name == "gsplat.cuda._backend":
            with pytest.raises(filelock.Timeout):
                beside.acquire()
            met.append(name)
            return ModuleType(name, "of an interrupted compilation, without _C")
        return import_module(name)

    monkeypatch.setattr(importlib, "import_module", watched)
    assert "do not compile or load" in refusal()
    assert met
    with beside:
        assert beside.is_locked, "it was let go of"


def test_where_nothing_can_be_locked_it_compiles_all_the_same(
    machine: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "splat-distillery").write_text("a file where the folder would be")
    backend = ModuleType("gsplat.cuda._backend")
    vars(backend)["_C"] = stand_in_kernels
    monkeypatch.setitem(sys.modules, backend.__name__, backend)
    assert "the Gaussians are on the cpu" in refusal()
