"""Command lines as tests give them: where the program lies, and what is said to a line that is refused."""

from pathlib import Path

import pytest

from gaussians.cli import main

PROJECT = Path(__file__).resolve().parents[2]


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line on standard error of a refused command line."""
    assert main(list(arguments)) == 2
    captured = capsys.readouterr()
    lines = [line for line in captured.err.splitlines() if line.strip()]
    assert len(lines) == 1, captured.err
    assert "Traceback" not in captured.err
    return lines[0]
