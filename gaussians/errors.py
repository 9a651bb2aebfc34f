"""Every error a user can cause. The message is one line: what is wrong, where, and what to do.

The command line prints the message without a traceback and ends with exit code 2.
"""

import errno

_OUT_OF_MEMORY = ("can't allocate memory", "Cannot allocate memory", "out of memory")


class DistilleryError(Exception):
    """Something the user can mend."""


class SceneError(DistilleryError):
    """A scene folder that cannot be read as one."""


class SplatError(DistilleryError):
    """A splat file that cannot be read, or Gaussians that cannot be rendered."""


class RecipeError(DistilleryError):
    """A recipe, budget or option outside its bounds."""


class BackendUnavailableError(DistilleryError):
    """The asked-for rasterizer cannot run on this machine."""


class RunError(DistilleryError):
    """A run directory that cannot be started, resumed or read."""


class RanksError(DistilleryError):
    """Several processes of one run that have lost each other."""


class StorageError(DistilleryError):
    """A file that could not be written; what was there before is still there."""


class TrainingError(DistilleryError):
    """An optimisation that cannot go on."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed, whoever tried: Python, NumPy, Numba, or PyTorch on CPU or GPU."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    # PyTorch's error is told by its name, as to import it would load it before --help; its CPU allocator
    # has no type of its own, nor have CUDA's and Triton's complaints of a GPU that is full.
    named = type(error).__name__ == "OutOfMemoryError"
    return isinstance(error, RuntimeError) and (named or any(words in str(error) for words in _OUT_OF_MEMORY))
