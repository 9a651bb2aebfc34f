"""How much main memory there is, and how much of it we use."""

import ctypes
import os
import sys
from pathlib import Path

_NO_LIMIT = 1 << 60  # bytes: what a control group without a limit has


def total_memory() -> int:
    """Bytes of main memory; a container's limit where that is less. 0: unknown."""
    if sys.platform == "win32":
        return _windows_memory()
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limits = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
    for path in map(Path, limits):
        try:
            limit = int(path.read_text())
        except (OSError, ValueError):  # absent, or "max"
            continue
        if limit < _NO_LIMIT:
            memory = min(memory, limit)
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
