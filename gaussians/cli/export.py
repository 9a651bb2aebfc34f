"""`main.py export`: write a run's student, or any splat, in the format that a file's suffix names."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from gaussians.cli.flags import parse
from gaussians.errors import SplatError
from gaussians.io import read_splat, writable_suffixes, write_splat
from gaussians.session.measure import verified
from gaussians.session.models import open_models

DESCRIPTION = "Write a run's student, or a splat file, in the format of the new file's suffix."


@dataclass(frozen=True)
class Flags:
    """The flags of `export`."""

    source: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(name="RUN_OR_SPLAT", metavar="RUN_OR_SPLAT")]
    """A run directory, or a splat file (a run's teachers are in its folder teachers)."""
    to: Annotated[Path, tyro.conf.arg(metavar="FILE")]
    """File to write; replaced only when all is written."""


def run(arguments: list[str]) -> int:
    """The command; see `main`.

    Raises:
        SplatError: nothing to read, or a suffix that can't be written.
        RunError: no run, or its student isn't finished.
        StorageError: the file could not be written, or reads back otherwise.
    """
    flags: Flags = parse(Flags, arguments, "export", DESCRIPTION)
    if flags.to.suffix.lower() not in writable_suffixes():
        raise SplatError(
            f"{flags.to}: splats cannot be written as {flags.to.suffix or 'a file without suffix'}; "
            f"can be written: {', '.join(writable_suffixes())}"
        )
    gaussians = read_splat(open_models(flags.source).splat())
    write_splat(flags.to, gaussians)
    verified(flags.to, gaussians)
    size = flags.to.stat().st_size / 1e6
    print(f"{flags.to}: {len(gaussians):,} Gaussians, {size:.2f} MB, read back and identical")
    return 0
