"""What the C library does with memory that was freed: it keeps it for the next step."""

import contextlib
import ctypes
import os
import sys

# Parameters of glibc's mallopt, and the variables by which users set them.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_KEEP_ALL = -1
_LARGEST_KEPT = 1 << 30  # bytes
_SETTINGS = (
    ("MALLOC_TRIM_THRESHOLD_", _TRIM_THRESHOLD, _KEEP_ALL),
    ("MALLOC_MMAP_THRESHOLD_", _MMAP_THRESHOLD, _LARGEST_KEPT),
    ("MALLOC_ARENA_MAX", _ARENA_MAX, 1),  # else each thread keeps its own
)


def keep_freed_memory() -> None:
    """Let malloc keep what is freed, until `give_back_freed_memory`; what the environment sets stays so.

    A training step frees all its tensors and allocates the same again. By default glibc gives large ones back
    to the system at once, which then has to clear every page of the next: with 140,000 Gaussians 7000 pages
    a step, a fifth of its time (docs/performance.md). Of other C libraries nothing is asked.
    """
    library = _glibc()
    if library is None:
        return
    for variable, parameter, value in _SETTINGS:
        if variable not in os.environ:
            library.mallopt(parameter, value)


def give_back_freed_memory() -> None:
    """Return to the system what malloc has kept, as far as whole pages of it are free."""
    library = _glibc()
    if library:
        library.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    if sys.platform.startswith("linux"):
        with contextlib.suppress(OSError):  # another C library
            return ctypes.CDLL("libc.so.6")
    return None
