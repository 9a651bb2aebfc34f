"""Checkpoints: one safetensors file a stage, replaced atomically, and one JSON file once it is finished.

Nothing is pickled. Random numbers need no saving: every one is a function of (seed, stream, step).
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
from torch import Tensor

from gaussians.errors import RunError, is_out_of_memory
from gaussians.session.tensor_file import write_tensors
from gaussians.storage import write_json


class Checkpoints:
    """The folder `checkpoints` of a run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def save(self, stage: str, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Replace the stage's checkpoint. `facts` are JSON values: step, seconds, ... Raises StorageError."""
        write_tensors(self._tensors(stage), tensors, {"facts": json.dumps(dict(facts))})

    def load(self, stage: str) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """The stage's tensors and facts; None when there is no checkpoint. Raises RunError."""
        return self._read(stage, with_tensors=True)

    def step(self, stage: str) -> int | None:
        """The step of the stage's checkpoint, read quickly; None when there is none. Raises RunError."""
        loaded = self._read(stage, with_tensors=False)
        return None if loaded is None else int(loaded[1]["step"])

    def finish(self, stage: str, facts: Mapping[str, Any]) -> None:
        """Mark the stage finished, with what the report needs of it. Raises StorageError."""
        write_json(self.folder / f"{stage}.json", dict(facts))

    def finished(self, stage: str) -> dict[str, Any] | None:
        """The facts of a finished stage; None while it isn't. Raises RunError."""
        path = self.folder / f"{stage}.json"
        if not path.exists():
            return None
        try:
            return json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise RunError(f"{path}: not readable ({error}); delete it to redo this stage") from error

    def drop(self, stage: str) -> None:
        """Delete the stage's tensors, which nothing needs any more; the facts stay."""
        self._tensors(stage).unlink(missing_ok=True)

    def _tensors(self, stage: str) -> Path:
        return self.folder / f"{stage}.safetensors"

    def _read(self, stage: str, with_tensors: bool) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        path = self._tensors(stage)
        if not path.exists():
            return None
        try:
            with safetensors.safe_open(path, framework="pt") as file:  # pyright: ignore[reportPrivateImportUsage] - its documented name
                facts = json.loads(file.metadata()["facts"])
                names = file.keys() if with_tensors else ()
                return {name: file.get_tensor(name) for name in names}, facts
        except (OSError, safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:  # pyright: ignore[reportAttributeAccessIssue] - its stubs lack it
            if is_out_of_memory(error):
                raise
            raise RunError(
                f"{path}: not a readable checkpoint ({error}); delete it to redo this stage"
            ) from error
