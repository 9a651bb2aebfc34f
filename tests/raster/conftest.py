"""The backends under test: the float64 reference is the oracle of each."""

import sys
from collections.abc import Iterator
from types import ModuleType

import gsplat
import pytest
import torch

from gaussians.raster import cuda_gsplat

from . import stand_in_kernels

BACKENDS = [pytest.param("reference", id="reference-float32"), pytest.param("cpu")]
if torch.cuda.is_available():
    BACKENDS.append(pytest.param("cuda", marks=pytest.mark.cuda))


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(autouse=True)
def one_torch_thread() -> Iterator[None]:
    """The oracle's arrays are small: waking threads takes longer than the work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """gsplat's own Python over kernels that need no GPU."""
    kernels = ModuleType("gsplat.cuda._backend")
    vars(kernels)["_C"] = stand_in_kernels
    monkeypatch.setitem(sys.modules, kernels.__name__, kernels)
    monkeypatch.setattr(cuda_gsplat, "loaded", lambda device: gsplat)
