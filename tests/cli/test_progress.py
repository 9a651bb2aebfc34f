import pytest

from gaussians.cli import console, progress
from gaussians.cli.console import Console
from gaussians.cli.progress import counting
from gaussians.distill.pipeline import Stage
from gaussians.session.events import StageStarted, StepDone


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


def test_the_time_left_follows_the_last_lines_and_waits_for_some_steps(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    monkeypatch.setattr(console.time, "perf_counter", lambda: now[0])
    stage = Stage("student", "student", 0, 1000)
    # Seconds of each hundred steps, after a first step that takes 30.
    pace = [30.0, *[10.0] * 5, *[20.0] * 5]
    with Console().training([stage]) as show:
        show(StageStarted(stage, 0, 1, 0))
        for place, seconds in enumerate(pace):
            now[0] += seconds
            show(StepDone(stage, 1 if place == 0 else 100 * place, 50, None, None))
    lines = capsys.readouterr().err.splitlines()
    assert "left" not in lines[0]
    assert lines[5].endswith("10/s  50 Gaussians  50 s left")
    assert lines[9].endswith("5/s  50 Gaussians  20 s left")
