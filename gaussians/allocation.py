"""What the C library does with memory that was freed: it keeps it for the next step."""

import contextlib
import ctypes
import os
import sys

# Parameters of glibc's mallopt.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_KEEP_ALL = -1
_LARGEST_KEPT = (1 << 30, 1 << 25)  # bytes; glibc before 2.35 takes no more than the second


def keep_freed_memory() -> None:
    """Let malloc keep what is freed, until `give_back_freed_memory`, unless the environment sets malloc up.

    A training step frees all its tensors and allocates the same again. By default glibc gives large ones back
    to the system at once, which then has to clear every page of the next: with 140,000 Gaussians 7000 pages
    a step, a fifth of its time (docs/performance.md). Of other C libraries nothing is asked.
    """
    library = _glibc()
    tuned = "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", "")
    if library is None or tuned or any(name.startswith("MALLOC_") for name in os.environ):
        return
    # In this order: to set any of them ends what malloc learns about large blocks by itself.
    if any(library.mallopt(_MMAP_THRESHOLD, size) for size in _LARGEST_KEPT):
        library.mallopt(_TRIM_THRESHOLD, _KEEP_ALL)
        library.mallopt(_ARENA_MAX, 1)  # else each thread keeps its own


def give_back_freed_memory() -> None:
    """Return to the system what malloc has kept, as far as whole pages of it are free."""
    library = _glibc()
    if library:
        library.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    if sys.platform.startswith("linux"):
        with contextlib.suppress(OSError):
            library = ctypes.CDLL("libc.so.6")
            if hasattr(library, "mallopt") and hasattr(library, "malloc_trim"):  # musl has neither
                return library
    return None
