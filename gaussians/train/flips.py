"""FLIP of many pairs of images, by several processes: the evaluator holds Python's lock while it computes."""

import multiprocessing
import os
import signal
import threading
from collections import deque
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType
from typing import Any

import flip_evaluator
import numpy as np

from gaussians.kernels import workers

_WORTH = 2_000_000  # pixels, some seconds: processes take half of one to start
_MOST = 16  # processes
_AHEAD = 2  # pairs a process that may wait for it, as they take memory


def flip_errors(reference: np.ndarray, test: np.ndarray) -> np.ndarray:
    """[H, W] float32 in [0, 1]: FLIP (Andersson et al. 2020), the difference seen when flipping the images.

    For low dynamic range, at the authors' 67 pixels per degree: a 0.7 m wide 4K monitor at 0.7 m.

    Args:
        reference, test: [H, W, 3] float32 in [0, 1], contiguous.
    """
    # A dictionary of our own: the evaluator writes into the one it is given, by default a shared one.
    error, _, _ = flip_evaluator.evaluate(
        reference, test, "LDR", applyMagma=False, computeMeanError=False, parameters={}
    )
    return error[..., 0]


def mean_flip(reference: np.ndarray, test: np.ndarray, counted: np.ndarray | None) -> float:
    """Mean of `flip_errors` over the pixels that count, [H, W] bool; 0 when none does."""
    error = flip_errors(reference, test)
    if counted is None:
        return float(error.mean(dtype=np.float64))
    return float(error[counted].mean(dtype=np.float64)) if counted.any() else 0.0


class Flips:
    """`mean_flip` of pair after pair, in the order in which they are added; a context.

    Args:
        pixels: of all pairs that will come, together: processes are started for many only.
    """

    def __init__(self, pixels: int) -> None:
        self._pool: ProcessPoolExecutor | None = None
        self._processes = min(workers(), _MOST)
        if pixels >= _WORTH and self._processes > 1:
            self._pool = ProcessPoolExecutor(
                self._processes, multiprocessing.get_context("spawn"), initializer=_follow_parent
            )
        self._waiting: deque[tuple[tuple[Any, ...], Future[float]]] = deque()
        self._means: list[float] = []

    def __enter__(self) -> "Flips":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def add(self, reference: np.ndarray, test: np.ndarray, counted: np.ndarray | None) -> None:
        """Begin with another pair, given as `mean_flip` takes it; waits where many wait."""
        pair = (reference, test, counted)
        if self._pool is None:
            self._means.append(mean_flip(*pair))
            return
        while len(self._waiting) >= _AHEAD * self._processes:
            self._take()
        try:
            self._waiting.append((pair, self._pool.submit(mean_flip, *pair)))
        except BrokenProcessPool:
            self._do_without()
            self._means.append(mean_flip(*pair))

    def means(self) -> list[float]:
        """Of all pairs, once they are done."""
        while self._waiting:
            self._take()
        return self._means

    def _take(self) -> None:
        """The next one's outcome; by this process, where another one has died."""
        pair, future = self._waiting.popleft()
        try:
            self._means.append(future.result())
        except BrokenProcessPool:
            self._means.append(mean_flip(*pair))

    def _do_without(self) -> None:
        while self._waiting:
            self._take()
        self._pool = None


def _follow_parent() -> None:
    """End with the process that asked, however that one ends. Ctrl-C is for it: it tells these to end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    # One that is killed tells nobody, and its pool would wait for more work for ever.
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
