"""How much memory is left, and what it looks like when there is none."""

import contextlib
import ctypes
import gc
import os
import sys
from pathlib import Path

import torch

from gaussians.memory import total_memory

_RESERVE = 0.03  # of all memory: below it a system begins to kill, and to swap before
_LEAST_RESERVE = 200e6  # bytes
_CGROUPS = (  # limit and use of a container, by version of control groups
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory.stat"),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
        "/sys/fs/cgroup/memory/memory.stat",
    ),
)


class LowMemoryError(MemoryError):
    """So little is left that the system may soon end the process; nothing has failed yet."""


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
    if sys.platform.startswith("linux"):
        with contextlib.suppress(OSError, AttributeError):  # another C library than glibc
            ctypes.CDLL("libc.so.6").malloc_trim(0)  # the heap keeps what was freed for itself
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
    for limit, use, statistics in _CGROUPS:
        with contextlib.suppress(OSError, ValueError):
            most, used = int(Path(limit).read_text()), int(Path(use).read_text())
            if most >= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"):
                continue  # a number that stands for no limit
            lines = dict(line.split() for line in Path(statistics).read_text().splitlines())
            return max(0, most - used + int(lines.get("inactive_file", 0)))
    return None
