"""`main.py [SCENE]`: the studio where there is a display; else it says so, and distils headless."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import tyro

from gaussians.cli import COMMANDS
from gaussians.cli.distill import Flags, distill
from gaussians.cli.flags import parse
from gaussians.errors import RunError, SceneError
from gaussians.session.directory import RunDirectory

DESCRIPTION = """\
Distil 3-D Gaussian Splatting teachers into a compact student.

Without a command: the studio, a window on SCENE; without a display: distils SCENE headless.
Commands, each with its own --help:
"""


@dataclass(frozen=True)
class StudioFlags:
    """The flags without a command."""

    scene: Annotated[Path | None, tyro.conf.Positional] = None
    """Folder of a scene or of a run, or a splat file to view. Default: the bundled demo."""
    run: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Run directory to create, or to go on with."""
    device: Annotated[str, tyro.conf.arg(metavar="auto|cpu|cuda")] = "auto"
    """Where to train and render."""
    trace: Annotated[Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint="")] = None
    """Write there what the window shows, and when: for programs that play the user, such as `bench gui`."""


OpenWindow = Callable[[StudioFlags], int]
"""Opens the studio, with a path that is there, or none for the demo; returns the exit code."""


def run(arguments: list[str], window: OpenWindow | None = None) -> int:
    """The command; see `main`. Raises DistilleryError."""
    commands = "\n".join(f"  {name:8} {what}" for name, what in COMMANDS.items())
    flags: StudioFlags = parse(StudioFlags, arguments, "", DESCRIPTION + commands)
    path, directory = flags.scene, flags.run
    begun = directory if directory is not None and RunDirectory(directory).exists else None
    path = begun if path is None else path
    if window is not None:
        if path is not None and not path.exists():
            raise SceneError(f"{path}: no such file or folder; give a scene, a run or a splat file")
        if path is not None and begun is not None:
            path = _run_of(path, begun)
        return window(replace(flags, scene=path))
    device = None if flags.device == "auto" else flags.device
    print("no display: distilling headless; see README.md for all commands", file=sys.stderr)
    if path is not None and RunDirectory(path).exists:
        if directory is not None and directory.resolve() != path.resolve():
            raise RunError(f"{path}: is a run already, so what is --run {directory} for? Give one of them")
        return distill(Flags(out=path, resume=True, device=device))
    return distill(Flags(scene=path, out=directory, resume=directory is not None, device=device))


def _run_of(path: Path, directory: Path) -> Path:
    """The run in this directory, if it is of what is at the path. Raises RunError if it isn't."""
    if directory.resolve() == path.resolve():
        return directory
    scene = RunDirectory(directory).load().scene
    if path.resolve() != scene:
        raise RunError(
            f"{directory}: holds a run on {scene}; leave {path} out to go on with it, or give another --run"
        )
    return directory
