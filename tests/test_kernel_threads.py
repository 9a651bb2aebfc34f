"""What runs the kernels' threads."""

import importlib.metadata
import os
import subprocess
import sys

import pytest

from gaussians.session.equipment import threading_layer

_ASK = "from gaussians.session.equipment import threading_layer; print(threading_layer())"


def _has_tbb() -> bool:
    try:
        return bool(importlib.metadata.files("tbb"))
    except importlib.metadata.PackageNotFoundError:
        return False


@pytest.mark.skipif(not _has_tbb(), reason="there is no TBB for this platform")
def test_the_tbb_that_pip_installed_runs_the_kernels() -> None:
    assert threading_layer() == "tbb"


def test_the_environment_may_choose_another_layer() -> None:
    environment = {**os.environ, "NUMBA_THREADING_LAYER": "workqueue"}
    said = subprocess.run([sys.executable, "-c", _ASK], env=environment, check=True, capture_output=True)
    assert said.stdout.decode().strip() == "workqueue"
