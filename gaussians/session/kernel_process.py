"""Compiling the CPU kernels in a process of its own.

A process that compiles a kernel may get other last digits than those that load it from the disk; a run and
its resumption must both load. It can be given up at any moment, which a compiler in this process could not.

Run as a program (`python -m gaussians.session.kernel_process all`) it compiles, and prints what.
"""

import contextlib
import queue
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO

from gaussians.errors import DistilleryError
from gaussians.session.warmup import compile_kernels, compile_rendering, compiled_mark

ROOT = Path(__file__).resolve().parents[2]
_LOOK_UP = 0.2  # seconds between two looks at whether it is still wanted


def compile_apart(tell: Callable[[str], None], *, only_rendering: bool = False) -> None:
    """Compile the kernels in a process of its own, where they aren't yet.

    Where that fails nothing is lost: whoever needs a kernel compiles it then.

    Args:
        tell: called a few times a second with what is being compiled; what it raises ends the compilation.
        only_rendering: leave out what only training takes.
    """
    if compiled_mark().exists():
        return
    what = "rendering" if only_rendering else "all"
    command = [sys.executable, "-m", "gaussians.session.kernel_process", what]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        threading.Thread(target=_pass_on, args=(process.stdout, lines), daemon=True).start()
        stage: str | None = ""
        while stage is not None:
            tell(stage)
            with contextlib.suppress(queue.Empty):
                stage = lines.get(timeout=_LOOK_UP)
    finally:
        process.kill()
        process.wait()


def _pass_on(output: IO[str], lines: "queue.SimpleQueue[str | None]") -> None:
    """Each line of the output, and None at its end."""
    for line in output:
        lines.put(line.strip())
    lines.put(None)


def main(what: str) -> int:
    """Compile "all" or "rendering" here; the exit code."""
    try:
        if what == "rendering":
            compile_rendering()
        else:
            compile_kernels(lambda stage: print(stage, flush=True))
    except DistilleryError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
