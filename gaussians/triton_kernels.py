"""Modules of Triton kernels, where they work."""

import importlib
import warnings
from types import ModuleType

import torch


def triton_kernels(name: str, device: torch.device, lacking: str) -> ModuleType | None:
    """The module of this name, once its `probe(device)` has run; None where it doesn't.

    They take CUDA, Triton, which torch brings on Linux only, and a GPU and compilers that it can use. Slow:
    keep the outcome.

    Args:
        name: of the module, with its packages.
        device: to run on.
        lacking: how a warning names what is done without the kernels where Triton is there but fails.
    """
    if device.type != "cuda":
        return None
    try:
        kernels = importlib.import_module(name)
        with torch.enable_grad():  # whoever renders first may want none, and this is kept for all
            kernels.probe(device)
    except ImportError:
        return None
    except Exception as error:  # whatever compilers and drivers raise, the way out is the same
        warnings.warn(f"{lacking}, as Triton fails: {error}", stacklevel=3)
        return None
    return kernels
