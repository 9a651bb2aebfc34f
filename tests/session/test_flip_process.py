import time
from collections.abc import Callable

import numpy as np
import pytest

from gaussians.session import flip_process
from gaussians.session.flip_process import FlipMaps
from gaussians.train.metrics import flip_map

PATIENCE = 60.0


def images(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    first = rng.integers(0, 256, (30, 40, 3), np.uint8)
    return first, np.clip(first.astype(int) + rng.integers(-40, 40, first.shape), 0, 255).astype(np.uint8)


def waited(done: Callable[[], bool]) -> bool:
    end = time.monotonic() + PATIENCE
    while not done() and time.monotonic() < end:
        time.sleep(0.01)
    return done()


def test_maps_are_those_of_the_metric_and_the_newest_pair_wins():
    maps = FlipMaps()
    for key in range(4):
        maps.ask(key, *images(key))
    assert waited(lambda: maps.newest is not None and maps.newest.key == 3)
    assert maps.newest is not None
    first, second = images(3)
    truth = flip_map(second, first)
    assert maps.newest.mean == pytest.approx(float(truth.mean()), abs=1e-5)
    assert np.abs(maps.newest.error / 255 - truth).max() < 0.5 / 255 + 1e-4
    assert maps.newest.mean > 0.05

    maps.ask(3, first, first)  # the same key: what is shown has changed
    assert waited(lambda: maps.newest is not None and maps.newest.mean < 1e-6)


def test_a_process_that_ends_is_a_problem_and_not_a_wait(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(flip_process.sys, "executable", "/bin/false")
    maps = FlipMaps()
    maps.ask(0, *images(0))
    assert waited(lambda: maps.problem is not None)
    assert maps.newest is None
