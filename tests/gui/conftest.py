import os
from collections.abc import Iterator

import pytest

from tests.gui.person import missing, virtual_display


def need_display() -> None:
    """Where there can be no virtual display, skip the test, but on CI, where it fails."""
    lacking = missing()
    if lacking:
        reason = f"no {', '.join(lacking)} here: apt-get install xvfb xdotool imagemagick libgl1-mesa-dri"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.fixture
def display() -> Iterator[str]:
    """A virtual display of 1280x720."""
    need_display()
    with virtual_display(1280, 720) as name:
        yield name
