"""What a run tells of itself while it goes on: facts in the past tense, frozen, safe to pass to a thread."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gaussians.distill.pipeline import Stage


@dataclass(frozen=True)
class StageStarted:
    """A stage began, or went on from a checkpoint at `step`."""

    stage: Stage
    index: int
    of: int
    step: int


@dataclass(frozen=True)
class StepDone:
    """One training step, or one label, of a stage was finished.

    `loss` holds weighted terms at logged steps, else None; `psnr` the mean over a few held-out views, in dB,
    where it was measured.
    """

    stage: Stage
    step: int
    count: int
    loss: dict[str, float] | None = None
    psnr: float | None = None


@dataclass(frozen=True)
class StageFinished:
    """A stage ended; `facts` are its part of the report. `resumed`: it had ended in an earlier session."""

    stage: Stage
    facts: dict[str, Any]
    resumed: bool


@dataclass(frozen=True)
class CheckpointSaved:
    """The run can be resumed from this step of this stage."""

    stage: Stage
    step: int


@dataclass(frozen=True)
class BackedOff:
    """Memory was full, or nearly: the stage goes on from `step` with fewer Gaussians; `text` says so."""

    stage: Stage
    step: int
    text: str


@dataclass(frozen=True)
class RunFinished:
    """All is trained, written, read back and measured."""

    directory: Path
    report: dict[str, Any]


Event = StageStarted | StepDone | StageFinished | CheckpointSaved | BackedOff | RunFinished
