"""The backends under test: the float64 reference is the oracle of each."""

from collections.abc import Iterator

import pytest
import torch

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
