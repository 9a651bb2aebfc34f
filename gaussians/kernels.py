"""Numba settings that every compiled kernel shares. Import this module before declaring a kernel.

Kernels are compiled on the user's machine for its own vector units, once, and cached on disk. Numba's
cache knows a kernel's own file but not the functions it inlines from other files; so the cache folder is
named after the content of all kernel sources, and a changed source never meets a stale binary.
"""

# pyright: reportAttributeAccessIssue=false
# (Numba makes the attributes of its config module at run time.)

import contextlib
import ctypes
import hashlib
import importlib.metadata
import os
import tempfile
from pathlib import Path
from typing import Any

import numba
import numpy as np
import platformdirs
from llvmlite import ir
from numba.core import config, types
from numba.core.cgutils import get_item_pointer, get_or_insert_function
from numba.extending import intrinsic

KERNEL_SOURCES = (
    "kernels.py",
    "raster/cpu/*.py",
    "raster/constants.py",
    "train/*kernel*.py",
    "distill/*kernel*.py",
    "scene/*kernel*.py",
)

# TBB's threads stay awake for a moment in which the next piece of work may come; a step takes a sixth less
# time than by OpenMP (docs/performance.md). Both let several threads call kernels, workqueue doesn't.
config.THREADING_LAYER_PRIORITY = ["tbb", "omp", "workqueue"]


def _load_tbb() -> None:
    """Load the TBB that pip installed: Numba looks for it in the system's folders alone."""
    try:
        files = importlib.metadata.files("tbb") or []
    except importlib.metadata.PackageNotFoundError:
        return
    for file in files:
        if file.name in ("libtbb.so.12", "tbb12.dll"):
            with contextlib.suppress(OSError):
                ctypes.CDLL(str(file.locate()))


_load_tbb()


def _cache_folder() -> Path:
    package = Path(__file__).parent
    digest = hashlib.sha256(numba.__version__.encode())
    for pattern in KERNEL_SOURCES:
        for source in sorted(package.glob(pattern)):
            digest.update(source.read_bytes())
    folder = Path(platformdirs.user_cache_dir("splat-distillery")) / "kernels" / digest.hexdigest()[:16]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    except OSError:
        pass
    # A read-only home: compile once per boot instead of once per start.
    return Path(tempfile.gettempdir()) / f"splat-distillery-kernels-{digest.hexdigest()[:16]}"


if "NUMBA_CACHE_DIR" not in os.environ:
    config.CACHE_DIR = str(_cache_folder())

# What kernels may assume of arithmetic: sums may be reordered and fused (they are still the same from run
# to run), but NaN and infinity keep their meaning, since bad input must be seen and not optimised away.
FASTMATH = {"reassoc", "contract", "nsz", "arcp"}


def workers() -> int:
    """How many threads the kernels use."""
    return numba.get_num_threads()


@numba.njit
def aligned_floats(count: int) -> np.ndarray:
    """`count` uninitialised float32 that start on a cache line."""
    spare = np.empty(count + 16, np.float32)
    skip = (64 - spare.ctypes.data % 64) % 64 // 4
    return spare[skip : skip + count]


@intrinsic
def fetch_add(typingctx: Any, counter: Any, increment: Any) -> Any:
    """Atomically add `increment` to counter[0] (an int64 array) and return what it was.

    With it, threads draw their next piece of work themselves. Numba's prange deals all pieces out beforehand:
    a thread whose core is wanted elsewhere, as by a window that draws, then holds up all others.
    """

    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        array_type = signature.args[0]
        array = context.make_array(array_type)(context, builder, args[0])
        zero = ir.Constant(ir.IntType(64), 0)
        pointer = get_item_pointer(context, builder, array_type, array, [zero])
        return builder.atomic_rmw("add", pointer, args[1], "monotonic")

    return types.int64(counter, types.int64), codegen


def fetch_line(builder: Any, pointer: ir.Value, to_write: bool = False) -> None:
    """Emit the request for a cache line that will be wanted soon."""
    byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
    function = get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
    how = [ir.Constant(number, value) for value in (int(to_write), 3, 1)]  # to all caches, as data
    builder.call(function, [builder.bitcast(pointer, byte), *how])


def _fetching(array: Any, to_write: bool) -> Any:
    """Signature and code of a request for element `index` of a contiguous array, counted flat."""

    def codegen(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        fetch_line(builder, builder.gep(data, [args[1]]), to_write)
        return context.get_dummy_value()

    return types.void(array, types.int64), codegen


@intrinsic
def fetch_to_read(typingctx: Any, array: Any, index: Any) -> Any:
    """Have the cache line of an element read that will be wanted soon; beyond the array it does no harm."""
    return _fetching(array, to_write=False)


@intrinsic
def fetch_to_write(typingctx: Any, array: Any, index: Any) -> Any:
    """The same of one that will be written.

    Stores reach memory in their order: one whose line is far away holds up all that follow.
    """
    return _fetching(array, to_write=True)
