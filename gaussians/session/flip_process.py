"""FLIP maps of pairs of images, from a process of their own, the newest pair first.

The evaluator holds Python's lock as long as it computes (most of a second for an enlarged cell), in which
neither the window nor training could go on. Its process is given up with its pipe, and runs behind all else.

Run as a program (`python -m gaussians.session.flip_process`) it answers pairs on its standard input: two
uint32 (height, width) and two images [H, W, 3] uint8, by a map [H, W] uint8 and the mean as a float64.
"""

import os
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
SHARE = 0.2  # of the time, for maps of what training changes while nothing else does
_SIZE, _MEAN = struct.Struct("<II"), struct.Struct("<d")


@dataclass(frozen=True, eq=False)
class FlipMap:
    """FLIP (Andersson et al. 2020) of two images.

    Attributes:
        key: as given with them.
        error: [H, W] uint8, 255 times the error.
        mean: of the error, 0 to 1.
    """

    key: Hashable
    error: np.ndarray
    mean: float


@dataclass(frozen=True, eq=False)
class _Pair:
    key: Hashable
    reference: np.ndarray
    test: np.ndarray


class FlipMaps:
    """Asks for maps, and has the newest. No call waits for one.

    Attributes:
        newest: the last one made.
        problem: why there will be none any more.
    """

    def __init__(self) -> None:
        self.newest: FlipMap | None = None
        self.problem: str | None = None
        self._news = threading.Condition()
        self._wanted: _Pair | None = None
        self._asked: _Pair | None = None
        self._thread: threading.Thread | None = None

    def ask(self, key: Hashable, reference: np.ndarray, test: np.ndarray) -> None:
        """Want the map of two images [H, W, 3] uint8 of one size; replaces what is not begun yet.

        Args:
            key: of what they show: while it stays the same, maps follow each other at leisure.
            reference, test: not written to any more.
        """
        asked = self._asked
        if asked is not None and asked.reference is reference and asked.test is test and asked.key == key:
            return
        with self._news:
            self._wanted = self._asked = _Pair(key, reference, test)
            self._news.notify()
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="flip", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        try:
            with subprocess.Popen(
                [sys.executable, "-m", "gaussians.session.flip_process"],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            ) as process:
                assert process.stdin is not None
                assert process.stdout is not None
                while True:
                    began = time.monotonic()
                    self.newest = made = _answered(self._next(), process.stdin, process.stdout)
                    self._rest(made.key, (time.monotonic() - began) * (1 / SHARE - 1))
        except (OSError, EOFError) as error:
            self.problem = f"FLIP can't be computed here ({error})"

    def _next(self) -> _Pair:
        with self._news:
            self._news.wait_for(lambda: self._wanted is not None)
            pair, self._wanted = self._wanted, None
            assert pair is not None
            return pair

    def _rest(self, key: Hashable, seconds: float) -> None:
        """Wait for so long, but not once something else is looked at."""
        with self._news:
            self._news.wait_for(lambda: self._wanted is not None and self._wanted.key != key, seconds)


def _answered(pair: _Pair, into: IO[bytes], out: IO[bytes]) -> FlipMap:
    height, width = pair.reference.shape[:2]
    into.write(_SIZE.pack(height, width))
    for image in (pair.reference, pair.test):
        into.write(np.ascontiguousarray(image).tobytes())
    into.flush()
    error = np.frombuffer(_read(out, height * width), np.uint8).reshape(height, width)
    return FlipMap(pair.key, error, _MEAN.unpack(_read(out, _MEAN.size))[0])


def _read(stream: IO[bytes], size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise EOFError("its process ended")
    return data


def main(source: IO[bytes], sink: IO[bytes]) -> None:
    """Answer pairs until there are no more."""
    import flip_evaluator  # here only: whoever asks for maps doesn't need it

    if hasattr(os, "nice"):
        os.nice(10)
    while head := source.read(_SIZE.size):
        height, width = _SIZE.unpack(head)
        images = [
            np.frombuffer(_read(source, 3 * height * width), np.uint8).reshape(height, width, 3)
            for _ in range(2)
        ]
        reference, test = (image.astype(np.float32) / np.float32(255) for image in images)
        error, _, _ = flip_evaluator.evaluate(
            reference, test, "LDR", applyMagma=False, computeMeanError=False, parameters={}
        )
        sink.write((error[..., 0] * 255).round().astype(np.uint8).tobytes())
        sink.write(_MEAN.pack(float(error.mean(dtype=np.float64))))
        sink.flush()


if __name__ == "__main__":
    main(sys.stdin.buffer, sys.stdout.buffer)
