"""What this machine could do at best: copy memory, and multiply and add. Benchmarks are put against it."""

# pyright: reportIndexIssue=false, reportCallIssue=false
# (Numba types are called to build signatures, and an intrinsic's first parameter is not passed.)

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numba
import numpy as np
import torch
from numba.core import cgutils, types
from numba.extending import intrinsic

from gaussians.kernels import workers
from gaussians.raster.cpu.lanes import INT, INT64, LANES, splat, totals
from gaussians.raster.cpu.registers import Sums
from gaussians.session.equipment import vector_units

RUNS, WARM_UPS = 15, 3
PEAK_RUNS = 7
_COPIED = 1 << 26  # floats: 256 MiB, far beyond any cache
_TURNS = 1 << 21
_CPU = torch.device("cpu")
# Independent sums of 16 floats that hide the latency of two FMA units and fit the registers.
_CHAINS = {"AVX-512": 10, "AVX2": 5, "AVX": 5, "NEON": 5, "SVE": 5}.get(vector_units(), 3)


def median_ms(function: Callable[[], Any], runs: int = RUNS) -> float:
    """Median of the milliseconds that a call takes, after a few to warm up."""
    return 1e3 * median(_seconds(function, runs))


def waiting(device: torch.device) -> Callable[[], None]:
    """What returns once the device has done all that was asked of it."""
    return torch.cuda.synchronize if device.type == "cuda" else lambda: None


def copy_bandwidth(device: torch.device = _CPU) -> float:
    """Bytes a second that all cores, or a GPU, read and write (both counted) when they copy memory."""
    source = torch.ones(_COPIED, device=device)
    target, wait = torch.empty_like(source), waiting(device)

    def copy() -> None:
        target.copy_(source)
        wait()

    return 2 * 4 * _COPIED / min(_seconds(copy, PEAK_RUNS))


PARAMETER_BYTES = 59 * 4  # of a Gaussian with harmonics of degree 3


def copy_ms(size: float, bandwidth: float) -> float:
    """Milliseconds that copying so many bytes takes, at such a `copy_bandwidth`."""
    return 1e3 * 2 * size / bandwidth


def fma_rate() -> float:
    """Float32 multiply-adds a second of all kernel threads together, on full vectors."""
    out = np.empty(workers(), np.float32)
    one, tiny = np.float32(1), np.float32(1e-9)
    seconds = min(_seconds(lambda: _burn(len(out), _TURNS, one, tiny, out), PEAK_RUNS))
    return len(out) * _TURNS * _CHAINS * LANES / seconds


def _seconds(function: Callable[[], Any], runs: int) -> list[float]:
    """Of each of `runs` calls, after a few to warm up."""
    for _ in range(WARM_UPS):
        function()
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        function()
        times.append(time.perf_counter() - began)
    return times


@intrinsic
def _turns(typingctx: Any, turns: Any, factor: Any, term: Any) -> Any:
    """`turns` times s = s * factor + term, on _CHAINS vectors; returns the sum of all."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        sums, factors, terms = Sums(builder, _CHAINS), splat(builder, args[1]), splat(builder, args[2])
        with cgutils.for_range_slice(builder, INT64(0), args[0], INT64(1), INT64):
            for chain, slot in enumerate(sums.slots):
                builder.store(sums[chain].times_plus(factors, terms).value, slot)
        by_chain = totals([sums[chain] for chain in range(_CHAINS)])
        return builder.extract_element(totals([by_chain]).value, INT(0))

    return types.float32(types.int64, types.float32, types.float32), codegen


@numba.njit(parallel=True, nogil=True)
def _burn(n_workers, turns, factor, term, out):
    for worker in numba.prange(n_workers):
        out[worker] = _turns(turns, factor, term)
