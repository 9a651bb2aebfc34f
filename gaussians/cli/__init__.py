"""The command line: one file a command, each a function that tyro turns into flags.

`main(arguments)` finds the command, and turns every error a user can cause into one line and exit code 2.
"""

import importlib
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gaussians.errors import DistilleryError, is_out_of_memory
from gaussians.ranks import launched, launched_rank

if TYPE_CHECKING:
    from gaussians.cli.studio import OpenWindow  # it imports tyro, which takes its time

COMMANDS = {
    "distill": "train teachers and a compact student on a scene, headless",
    "ablate": "compare variants of a recipe on scenes and seeds, in a table and a chart",
    "eval": "measure a run or a splat on a scene's held-out views",
    "render": "render a run or a splat from a scene's cameras, as images or a video",
    "export": "write a run's student, or convert a splat",
    "bench": "measure this machine: rasterizer, training, pipeline",
    "doctor": "say what this machine has, what will be used, and what is missing",
}
TOGETHER = ("distill", "doctor")  # what torchrun may start several processes of
MODULES = {"eval": "evaluate"}  # a module can't well be called eval

OUT_OF_MEMORY = (
    "memory is full; what was saved is safe. Close other programs, or train at a lower --resolution or with "
    "--set teachers.optimise.densify.cap=100000; a run that was begun goes on with --resume"
)


def main(arguments: Sequence[str], window: "OpenWindow | None" = None) -> int:
    """Run a command line; returns the exit code: 0, 1 for a failed check, 2 for bad input, 130 if stopped.

    Args:
        arguments: without the program's name.
        window: what opens the studio where no command is named; None: there is no display. It is given, not
            imported, since the engine doesn't know of any window.
    """
    name = arguments[0] if arguments and arguments[0] in COMMANDS else "studio"
    rest = list(arguments[1:] if name != "studio" else arguments)
    if launched() > 1 and name not in TOGETHER:
        if launched_rank() == 0:
            print(f"error: {name}: runs in one process; torchrun is for distill", file=sys.stderr)
        return 2
    try:
        command = importlib.import_module(f"gaussians.cli.{MODULES.get(name, name)}")
        return command.run(rest, window) if name == "studio" else command.run(rest)
    except DistilleryError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    except (MemoryError, RuntimeError, OSError) as error:
        if is_out_of_memory(error):
            print(f"error: {OUT_OF_MEMORY}", file=sys.stderr)
        elif isinstance(error, OSError):  # a path or a disk that nobody thought of
            path = "" if error.filename is None else f"{error.filename}: "
            print(f"error: {path}{error.strerror or error}; check it, or choose another", file=sys.stderr)
        else:
            raise
        return 2
