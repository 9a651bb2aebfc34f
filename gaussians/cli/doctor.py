"""`main.py doctor`: what this machine has, what will be used, what is missing and how to get it."""

import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import rich.console
import tyro
from rich.table import Table
from rich.text import Text

from gaussians.cli.flags import parse
from gaussians.session.checkup import Finding, check_up, chosen_backend
from gaussians.session.equipment import machine_facts
from gaussians.session.warmup import compile_kernels
from gaussians.storage import check_file_name, write_json

DESCRIPTION = "Say what this machine has, what will be used, what is missing and how to get it."
FAILED_CHECK = 1
_COLORS = {"ok": "green", "missing": "bold red", "note": "yellow"}


@dataclass(frozen=True)
class Flags:
    """The flags of `doctor`."""

    compile: tyro.conf.FlagCreatePairsOff[bool] = False
    """First compile all CPU kernels for this machine, so that no run has to wait for it."""
    json: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None
    """Also write what was found to this file."""


def run(arguments: list[str]) -> int:
    """The command; see `main`. Returns 1 if something is missing.

    Raises:
        StorageError: a file can't be written.
    """
    flags: Flags = parse(Flags, arguments, "doctor", DESCRIPTION)
    if flags.json is not None:
        check_file_name(flags.json)  # now, and not after minutes of compiling
    if flags.compile:
        _compile()
    findings, backend = check_up(), chosen_backend()
    console = rich.console.Console(highlight=False)
    console.print(_table(findings))
    console.print(f"--device auto uses {backend}", markup=False, soft_wrap=True)
    if flags.json is not None:
        facts = {
            "findings": [dataclasses.asdict(finding) for finding in findings],
            "auto": backend,
            "machine": machine_facts(),
        }
        write_json(flags.json, facts)
    return FAILED_CHECK if any(finding.verdict == "missing" for finding in findings) else 0


def _compile() -> None:
    """Compile, saying on standard error what is going on."""
    console = rich.console.Console(stderr=True, highlight=False)
    message = "compiling kernels for this machine, once: about a minute"
    if console.is_terminal:
        with console.status(message) as status:
            seconds = compile_kernels(lambda stage: status.update(f"{message} ({stage})"))
    else:
        print(message, file=sys.stderr, flush=True)
        seconds = compile_kernels()
    print(f"kernels are compiled ({seconds:.0f} s)", file=sys.stderr)


def _table(findings: list[Finding]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        found = Text(finding.found)
        if finding.advice:
            found.append(f"\n→ {finding.advice}", style="dim")
        table.add_row(finding.what, Text(finding.verdict, style=_COLORS[finding.verdict]), found)
    return table
