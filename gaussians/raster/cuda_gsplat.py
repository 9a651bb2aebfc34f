"""gsplat on this machine: whether its kernels can run here, and the package once they are loaded.

It is imported, and at its first use compiled, only when the CUDA backend is asked to render.
"""

import contextlib
import functools
import importlib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import filelock
import platformdirs
import torch

from gaussians.errors import BackendUnavailableError


def unavailable_reason() -> str | None:
    """Why this machine cannot render with CUDA, and what would help; None if nothing speaks against it.

    Quick: compiles nothing, so a compiler that fails is found out at the first render only.
    """
    if not torch.cuda.is_available():
        if torch.version.cuda is None:
            return "no device (this torch is built without CUDA)"
        return "no device"
    if importlib.util.find_spec("gsplat") is None:
        return "gsplat is not installed; pip install gsplat"
    if importlib.util.find_spec("gsplat.csrc") is not None:
        return None
    from torch.utils import cpp_extension  # slow to import, and needed on this path only

    if cpp_extension.CUDA_HOME is None:
        return (
            "no CUDA toolkit (nvcc) to compile gsplat's kernels with; install the toolkit of CUDA "
            f"{torch.version.cuda} and set CUDA_HOME, or install a gsplat wheel that is compiled already"
        )
    if not cpp_extension.is_ninja_available():
        return "no ninja to compile gsplat's kernels with; pip install ninja"
    return None


def loaded(device: torch.device) -> ModuleType:
    """gsplat with its kernels loaded, ready for tensors on `device`.

    Raises:
        BackendUnavailableError: no CUDA device, no way to compile gsplat, or a device that is none.
    """
    gsplat = _load()
    if device.type != "cuda":
        raise BackendUnavailableError(
            f"cuda: the Gaussians are on the {device}; move them to a CUDA device, or use backend 'cpu'"
        )
    return gsplat


def compiled() -> Any:
    """gsplat's compiled module, once `loaded` has loaded it."""
    return sys.modules["gsplat.cuda._backend"]._C


@functools.cache
def _load() -> ModuleType:
    """Import gsplat and compile its kernels if that has not been done on this machine."""
    reason = unavailable_reason()
    if reason is not None:
        raise BackendUnavailableError(f"cuda: {reason}; available: cpu")
    gsplat = importlib.import_module("gsplat")
    try:
        with _alone():
            kernels = importlib.import_module("gsplat.cuda._backend")._C
    except Exception as error:  # whatever compilers and loaders raise, the way out is the same
        cause = str(error).strip().splitlines() or [type(error).__name__]
        raise BackendUnavailableError(
            f"cuda: gsplat's kernels do not compile or load ({cause[0]}); "
            f"check that nvcc matches torch's CUDA {torch.version.cuda}; available: cpu"
        ) from error
    if kernels is None:
        raise BackendUnavailableError("cuda: gsplat found no CUDA toolkit to compile with; available: cpu")
    return gsplat


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Within: no other of our processes loads gsplat's kernels, one of several ranks, say.

    Who doesn't find them compiled clears the folder, in which another compiler may be at work.
    """
    folder = Path(platformdirs.user_cache_dir("splat-distillery"))
    with contextlib.ExitStack() as held:
        with contextlib.suppress(OSError, NotImplementedError):  # where nothing can be locked, as ever
            folder.mkdir(parents=True, exist_ok=True)
            held.enter_context(filelock.FileLock(folder / "gsplat.lock"))
        yield
