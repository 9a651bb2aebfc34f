import pytest

from gaussians.cli import progress
from gaussians.cli.progress import counting


def test_elsewhere_than_on_a_terminal_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    monkeypatch.setattr(progress.time, "perf_counter", lambda: now[0])
    with counting("rendering [x]", 10) as done:
        for _ in range(10):
            now[0] += 2
            done()
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "rendering [x]  3/10  0.5/s  14 s left",
        "rendering [x]  6/10  0.5/s  8 s left",
        "rendering [x]  9/10  0.5/s  2 s left",
        "rendering [x]  10/10  20.0 s",
    ]


def test_on_a_terminal_a_bar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    with counting("rendering [x]", 3) as done:
        for _ in range(3):
            done()
    err = capsys.readouterr().err
    assert "rendering [x]" in err
    assert "3/3" in err


def test_what_fails_within_is_not_said_to_be_done(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ZeroDivisionError), counting("rendering", 3):
        raise ZeroDivisionError
    assert capsys.readouterr().err == ""
