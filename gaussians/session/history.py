"""The student as it was while it trained: a bounded number of compact snapshots in the run."""

import contextlib
from pathlib import Path

import safetensors
import safetensors.torch
import torch

from gaussians.errors import RunError, StorageError
from gaussians.model import Gaussians
from gaussians.session.tensor_file import write_tensors

HISTORY = "history:"
"""Before the step, in the name of a model of the past."""
MOST = 48  # snapshots
MOST_BYTES = 512_000_000
_SUFFIX = ".safetensors"


class History:
    """The folder `history` of a run: one safetensors file a snapshot, named by its step.

    Means are kept in float32, as the world may be large and far from its origin; all else in float16, whose
    error of 0.05 % in log-scales, logits, rotations and colours can't be seen.

    Args:
        folder: made when the first snapshot is.
        steps: that the student trains for: snapshots are spread over them.
        most, most_bytes: bounds; beyond them every other snapshot goes.
    """

    def __init__(self, folder: Path, steps: int, most: int = MOST, most_bytes: int = MOST_BYTES) -> None:
        self.folder = folder
        self._last, self._most, self._most_bytes = steps, most, most_bytes
        self._sizes = {
            int(path.stem): path.stat().st_size for path in sorted(folder.glob(f"[0-9]*{_SUFFIX}"))
        }
        self._stride = -(-steps // (most - 1))
        self._widen()

    @property
    def steps(self) -> tuple[int, ...]:
        """Those there are snapshots of, ascending."""
        return tuple(sorted(self._sizes))

    def wants(self, step: int) -> bool:
        """Whether a snapshot is due after this step."""
        return step == self._last or step % self._stride == 0

    def add(self, step: int, gaussians: Gaussians) -> None:
        """Keep a snapshot. On a full disk it is left out: training matters more, and says so itself."""
        tensors = {
            name: tensor.detach().to("cpu", torch.float32 if name == "means" else torch.float16).contiguous()
            for name, tensor in gaussians.tensors().items()
        }
        path = self._path(step)
        with contextlib.suppress(StorageError):
            write_tensors(path, tensors)
            self._sizes[step] = path.stat().st_size
            self._thin()

    def load(self, step: int) -> Gaussians:
        """The student after this step, on the CPU, float32. Raises RunError."""
        path = self._path(step)
        try:
            tensors = safetensors.torch.load_file(path)
            # Copies: the tensors are mapped from the file, which some systems then don't let go of.
            return Gaussians(
                **{name: tensor.to(torch.float32, copy=True) for name, tensor in tensors.items()}
            )
        except (OSError, TypeError, safetensors.SafetensorError) as error:  # pyright: ignore[reportAttributeAccessIssue] - its stubs lack it
            raise RunError(f"{path}: not a readable snapshot ({error}); choose another step") from error

    def cut(self, step: int) -> None:
        """Drop the snapshots after this step: a resumed student makes them again."""
        self._drop([later for later in self._sizes if later > step])

    def _thin(self) -> None:
        while len(self._sizes) > self._most or sum(self._sizes.values()) > self._most_bytes:
            if len(self._sizes) < 3:
                return
            self._stride *= 2
            newest = max(self._sizes)
            self._drop([step for step in self._sizes if step % self._stride and step != newest])

    def _widen(self) -> None:
        """Take up the stride of the snapshots that an earlier session thinned."""
        steps = [step for step in self.steps[:-1] if step % self._stride == 0]
        while len(steps) > 1 and all(step % (2 * self._stride) == 0 for step in steps):
            self._stride *= 2

    def _drop(self, steps: list[int]) -> None:
        for step in steps:
            del self._sizes[step]
            self._path(step).unlink(missing_ok=True)

    def _path(self, step: int) -> Path:
        return self.folder / f"{step:06}{_SUFFIX}"


def history_step(model: str) -> int:
    """The step in "history:STEP"; -1 where it is none."""
    text = model.removeprefix(HISTORY)
    return int(text) if text.isdigit() else -1
