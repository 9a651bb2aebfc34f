import pytest
from rich.console import Console

from gaussians.cli.tables import NONE, model_table, plain_table, print_whole


def printed(table: object) -> list[str]:
    console = Console(width=120, color_system=None, highlight=False)
    with console.capture() as capture:
        console.print(table)
    return [line.rstrip() for line in capture.get().splitlines()]


def test_models_are_shown_in_order_with_their_numbers() -> None:
    vanilla = {
        "gaussians": 123456,
        "bytes": 29_111_111,
        "psnr": 27.126,
        "ssim": 0.8,
        "flip": 0.25,
        "seconds": 3.2,
    }
    lines = printed(model_table({"vanilla": vanilla, "student": {**vanilla, "gaussians": 99}}))
    assert lines[0].split() == ["model", "Gaussians", "MB", "PSNR", "SSIM", "FLIP", "seconds"]
    assert lines[2].split() == ["vanilla", "123,456", "29.11", "27.13", "0.8000", "0.2500", "3.2"]
    assert lines[3].split()[:2] == ["student", "99"]


def test_missing_numbers_are_dashes_and_optional_columns_appear_only_with_a_value() -> None:
    model = {
        "gaussians": 5,
        "bytes": 100,
        "psnr": None,
        "ssim": None,
        "flip": None,
        "lpips": None,
        "seconds": None,
    }
    lines = printed(model_table({"a": model}))
    assert lines[0].split() == ["model", "Gaussians", "MB", "PSNR", "SSIM", "FLIP"]
    assert lines[2].split() == ["a", "5", "0.00", NONE, NONE, NONE]
    assert "LPIPS" in printed(model_table({"a": {**model, "lpips": 0.1}}))[0]


def test_names_are_not_read_as_markup() -> None:
    assert printed(model_table({"[red]x": {"gaussians": 1}}))[2].startswith("[red]x")


def test_plain_table_has_the_headings() -> None:
    assert printed(plain_table("part", "ms"))[0].split() == ["part", "ms"]


def test_a_narrow_terminal_loses_no_cell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setenv("COLUMNS", "40")
    table = plain_table("name", "what it is")
    table.add_row("a" * 50, "b" * 150)
    print_whole(table)
    assert capsys.readouterr().out.splitlines()[-1].split() == ["a" * 50, "b" * 150]
