"""metrics.jsonl: one line per logged step. What a reopened run draws its curves from."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from gaussians.errors import StorageError
from gaussians.storage import write_bytes


class MetricsLog:
    """The file metrics.jsonl of a run: appended to while training, cut back when a run is resumed."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, line: dict[str, Any]) -> None:
        """Add one line; it is in the file, if not yet on the disk, when this returns. Raises StorageError."""
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line, allow_nan=False) + "\n")
        except FileNotFoundError as error:
            raise StorageError(f"{self.path}: its folder is gone; put it back, then resume") from error
        except OSError as error:
            raise StorageError(f"{self.path}: {error.strerror}; free some space, then resume") from error

    def lines(self) -> Iterator[dict[str, Any]]:
        """All whole lines. One that a crash cut short is left out."""
        if not self.path.exists():
            return
        with self.path.open(encoding="utf-8", errors="replace") as file:
            for text in file:
                try:
                    yield json.loads(text)
                except ValueError:
                    continue

    @classmethod
    def of_rank(cls, path: Path, rank: int) -> "MetricsLog":
        """The log of another rank than 0, beside the run's at `path`: no two processes append to one file."""
        return cls(path.with_suffix(f".rank{rank}{path.suffix}"))

    def collect(self, stages: Sequence[str]) -> None:
        """Take in what other ranks have logged, in the order of the stages; their files are then gone.

        To be called while no rank logs. If it is killed, it does the rest the next time.

        Raises:
            StorageError: the file can't be written.
        """
        parts = sorted(self.path.parent.glob(f"{self.path.stem}.rank*{self.path.suffix}"))
        if not parts:
            return
        places = {stage: place for place, stage in enumerate(stages)}
        # A dictionary, as an earlier attempt may have ended between writing and deleting.
        lines = dict.fromkeys(
            json.dumps(line) for log in (self, *map(MetricsLog, parts)) for line in log.lines()
        )
        ordered = sorted(lines, key=lambda text: places.get(json.loads(text)["stage"], len(places)))
        write_bytes(self.path, "".join(f"{text}\n" for text in ordered).encode())
        for part in parts:
            part.unlink()

    def sync(self) -> None:
        """Force the file to the disk: called with each checkpoint, so that neither runs ahead for long."""
        if self.path.exists():
            with self.path.open("rb+") as file:
                os.fsync(file.fileno())

    def keep(self, wanted: Callable[[dict[str, Any]], bool]) -> None:
        """Rewrite the file with the wanted lines only. Raises StorageError."""
        if self.path.exists():
            text = "".join(json.dumps(line) + "\n" for line in self.lines() if wanted(line))
            write_bytes(self.path, text.encode())
