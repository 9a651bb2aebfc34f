"""What this machine is: processor, memory, packages, as facts. `doctor` judges them, `bench` records them."""

import os
import platform
from typing import Any

import llvmlite.binding as llvm
import numba
import torch

from gaussians.kernels import workers
from gaussians.memory import total_memory
from gaussians.session.machine import processor_name, versions

# Of each family only the widest is named.
_VECTOR_UNITS = (
    (("avx512f", "avx512vl"), "AVX-512"),
    (("avx2", "fma"), "AVX2"),
    (("avx",), "AVX"),
    (("sve",), "SVE"),
    (("neon",), "NEON"),
    (("sse2",), "SSE2"),
)


def machine_facts() -> dict[str, Any]:
    """The machine as JSON values: system, processor, vector_units, cores, threads, threading_layer,
    memory_bytes, gpu (None without one), gpu_memory_bytes, versions."""
    cuda = torch.cuda.is_available()
    return {
        "system": platform.platform(),
        "processor": processor_name(),
        "vector_units": vector_units(),
        "cores": usable_cores(),
        "threads": workers(),
        "threading_layer": threading_layer(),
        "memory_bytes": total_memory(),
        "gpu": torch.cuda.get_device_name() if cuda else None,
        "gpu_memory_bytes": torch.cuda.get_device_properties(0).total_memory if cuda else None,
        "versions": versions(),
    }


def vector_units() -> str:
    """The widest vector instructions that kernels are compiled for: "AVX-512", "AVX2", "NEON", ..."""
    try:
        features = llvm.get_host_cpu_features()
    except RuntimeError:  # LLVM can't tell on every system
        features = {}
    if platform.machine().lower() in ("arm64", "aarch64"):
        features["neon"] = True  # part of every 64-bit Arm
    for needed, name in _VECTOR_UNITS:
        if all(features.get(feature) for feature in needed):
            return name
    return "unknown"


def usable_cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threading_layer() -> str:
    """What runs the kernels' threads: "omp", "tbb" or "workqueue"."""
    workers()  # starts the threads; before that nothing is chosen
    return numba.threading_layer()  # pyright: ignore[reportPrivateImportUsage] - its documented name
