"""Tensors in a safetensors file, written atomically."""

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
            raise OSError(str(error)) from error  # a full disk, in the library's own words
