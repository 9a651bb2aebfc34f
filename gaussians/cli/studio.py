"""`main.py [SCENE]`: the job with no command named. Until the window is there, it distils headless."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from gaussians.cli import COMMANDS
from gaussians.cli.distill import Flags, distill
from gaussians.cli.flags import parse

DESCRIPTION = """\
Distil 3-D Gaussian Splatting teachers into a compact student.

Without a command: distils SCENE, or the bundled demo, headless. Commands, each with its own --help:
"""


@dataclass(frozen=True)
class StudioFlags:
    """The flags without a command."""

    scene: Annotated[Path | None, tyro.conf.Positional] = None
    """Folder of a scene. Default: the bundled demo."""
    run: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Run directory to create, or to go on with."""


def run(arguments: list[str]) -> int:
    """The command; see `main`."""
    commands = "\n".join(f"  {name:8} {what}" for name, what in COMMANDS.items())
    flags: StudioFlags = parse(StudioFlags, arguments, "", DESCRIPTION + commands)
    print("distilling headless; see README.md for all commands", file=sys.stderr)
    return distill(Flags(scene=flags.scene, out=flags.run, resume=flags.run is not None))
