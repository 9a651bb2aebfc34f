"""Tables of results, as all commands show them."""

import sys
from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

NONE = "–"
_BYTES_PER_MB = 1e6

# Heading, key in report.json, format.
_COLUMNS = (
    ("Gaussians", "gaussians", ",d"),
    ("MB", "bytes", ".2f"),
    ("PSNR", "psnr", ".2f"),
    ("SSIM", "ssim", ".4f"),
    ("FLIP", "flip", ".4f"),
    ("LPIPS", "lpips", ".4f"),
    ("seconds", "seconds", ".1f"),
)
_OPTIONAL = ("lpips", "seconds")


def print_whole(table: Table) -> None:
    """On standard output, as wide as its cells: a narrow terminal wraps the lines, instead of losing text."""
    console = Console(highlight=False)
    needed = table.__rich_measure__(console, console.options.update(max_width=sys.maxsize)).maximum
    Console(highlight=False, width=max(needed, console.width)).print(table)


def plain_table(*headings: str) -> Table:
    """An empty table: the first column aligned left, the others right."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for index, heading in enumerate(headings):
        table.add_column(heading, justify="right" if index else "left", no_wrap=True)
    return table


def model_table(models: Mapping[str, Mapping[str, Any]]) -> Table:
    """One row a model, in the order given; LPIPS and seconds only where any model has them.

    Args:
        models: by name, with keys as in report.json: gaussians, bytes, psnr (dB), ssim, flip, lpips, seconds.
            What is None or missing is shown as a dash.
    """
    columns = [
        column
        for column in _COLUMNS
        if column[1] not in _OPTIONAL or any(model.get(column[1]) is not None for model in models.values())
    ]
    table = plain_table("model", *(heading for heading, _, _ in columns))
    for name, model in models.items():
        # Text, as a file's name may look like rich's markup
        table.add_row(Text(name), *(_cell(model.get(key), key, form) for _, key, form in columns))
    return table


def _cell(value: float | None, key: str, form: str) -> str:
    if value is None:
        return NONE
    return format(value / _BYTES_PER_MB if key == "bytes" else value, form)
