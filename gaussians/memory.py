"""How much memory there is, how much of it we use, how much is left, and what it is like when none is."""

import contextlib
import ctypes
import gc
import os
import sys
from pathlib import Path

import torch

from gaussians.allocation import give_back_freed_memory

_NO_LIMIT = 1 << 60  # bytes: what a control group without a limit has
_RESERVE = 0.03  # of all memory: below it a system begins to kill, and to swap before
_LEAST_RESERVE = 200e6  # bytes
# Limit, use and statistics of a container, by version of control groups.
_GROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory.stat"),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
        "/sys/fs/cgroup/memory/memory.stat",
    ),
)


class LowMemoryError(MemoryError):
    """So little is left that the system may soon end the process; nothing has failed yet."""


def total_memory() -> int:
    """Bytes of main memory; a container's limit where that is less. 0: unknown."""
    if sys.platform == "win32":
        return _windows_memory()
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for path, _, _ in _GROUPS:
        with contextlib.suppress(OSError, ValueError):  # absent, or "max"
            limit = int(Path(path).read_text())
            memory = min(memory, limit) if limit < _NO_LIMIT else memory
    return memory


def _windows_memory() -> int:
    """By GlobalMemoryStatusEx: a length, a percentage, and seven 64-bit sizes, the total first."""
    status = (ctypes.c_uint64 * 8)()
    ctypes.cast(status, ctypes.POINTER(ctypes.c_uint32))[0] = ctypes.sizeof(status)
    kernel32 = getattr(ctypes, "windll").kernel32  # noqa: B009 - absent elsewhere
    return int(status[1]) if kernel32.GlobalMemoryStatusEx(ctypes.byref(status)) else 0


def peak_memory() -> int:
    """Bytes of main memory this process had in use at most; 0: unknown, as on Windows."""
    status = Path("/proc/self/status")
    if status.exists():
        # Not getrusage: there the parent's memory at the start counts as the child's own.
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    if sys.platform == "win32":
        return 0
    import resource  # not on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def available_memory(device: torch.device) -> int | None:
    """Bytes that this process may still take, of the GPU or of main memory; None: unknown."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return free + kept  # what PyTorch keeps for itself can be used again
    if not sys.platform.startswith("linux"):
        return None
    free = _available_on_linux()
    left = _left_in_container()
    return left if free is None else free if left is None else min(free, left)


def is_low(device: torch.device) -> bool:
    """Whether the system may soon have to kill a process. Never on a GPU, which says so itself."""
    if device.type == "cuda":
        return False
    free = available_memory(device)
    return free is not None and free < max(_LEAST_RESERVE, _RESERVE * total_memory())


def free_memory(device: torch.device) -> None:
    """Give back what nothing refers to any more."""
    gc.collect()
    give_back_freed_memory()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _available_on_linux() -> int | None:
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return None


def _left_in_container() -> int | None:
    """What the control group's limit leaves; pages of files count as free, since they can be dropped."""
    for limit, use, statistics in _GROUPS:
        with contextlib.suppress(OSError, ValueError):
            most, used = int(Path(limit).read_text()), int(Path(use).read_text())
            if most >= _NO_LIMIT:
                continue
            lines = dict(line.split() for line in Path(statistics).read_text().splitlines())
            return max(0, most - used + int(lines.get("inactive_file", 0)))
    return None
