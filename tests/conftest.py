"""Settings of the whole test run."""

# Before torch and numba are: sets how waiting kernel threads behave.
import gaussians  # noqa: F401, I001 - imported for that

from collections.abc import Iterator

import pytest
import torch
from hypothesis import settings

from gaussians.session.kernel_process import compile_apart

# Machines are shared, and the first example may compile a kernel: a deadline would test them, not us.
settings.register_profile("shared", deadline=None)
settings.load_profile("shared")


def pytest_sessionstart() -> None:
    """Compile what isn't, apart: a process that compiles gets other last digits than those that load."""
    compile_apart(lambda _: None)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where several processes test, one of them has all windows, from the start; else a file is one's."""
    if not config.pluginmanager.hasplugin("xdist"):
        return
    items.sort(key=lambda item: "gui" not in item.path.parts)
    for item in items:
        group = "windows" if "gui" in item.path.parts else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(autouse=True)
def whole_floats() -> Iterator[None]:
    """Training has the processor flush denormal numbers; the tests after it start without."""
    yield
    torch.set_flush_denormal(False)
