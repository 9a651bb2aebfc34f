"""Tensors in a safetensors file, written atomically."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
from torch import Tensor

from gaussians.storage import replacing


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Replace `path` by a file of these tensors. Raises StorageError; what was there before then stays."""
    with replacing(path) as temporary:
        try:
            safetensors.torch.save_file(dict(tensors), temporary, metadata=metadata)
        except safetensors.SafetensorError as error:  # pyright: ignore[reportAttributeAccessIssue] - its stubs lack it
            raise _os_error(str(error)) from error


def _os_error(words: str) -> OSError:
    """The system's error behind the library's words: "...: No space left on device (os error 28)"."""
    number = re.search(r"\(os error (\d+)\)", words)
    return OSError(words) if number is None else OSError(int(number[1]), os.strerror(int(number[1])))
