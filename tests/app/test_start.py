import sys
from pathlib import Path

import pytest

import app
from gaussians.cli import main, studio
from gaussians.cli.distill import Flags
from gaussians.cli.studio import StudioFlags


class Window:
    """In the studio's place: notes what it was opened on."""

    def __init__(self) -> None:
        self.opened: list[StudioFlags] = []

    def __call__(self, asked: StudioFlags) -> int:
        self.opened.append(asked)
        return 0


@pytest.fixture
def a_run(tmp_path: Path) -> Path:
    run = tmp_path / "run"
    run.mkdir()
    (run / "recipe.json").write_text("{}")
    return run


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="there is always a display")
@pytest.mark.parametrize("display", ["", ":7123"])
def test_without_a_display_there_is_none(monkeypatch: pytest.MonkeyPatch, display: str) -> None:
    monkeypatch.setenv("DISPLAY", display)
    assert not app.has_display()


def test_the_window_opens_on_the_demo_a_scene_or_a_run(tmp_path: Path, a_run: Path) -> None:
    window = Window()
    assert main([], window) == 0
    assert main([str(tmp_path)], window) == 0
    assert main([str(a_run)], window) == 0
    assert main(["--run", str(a_run)], window) == 0
    assert main([str(tmp_path), "--run", str(tmp_path / "new"), "--device", "cpu"], window) == 0
    assert window.opened == [
        StudioFlags(),
        StudioFlags(tmp_path),
        StudioFlags(a_run),
        StudioFlags(a_run, a_run),
        StudioFlags(tmp_path, tmp_path / "new", "cpu"),
    ]


def test_a_path_that_is_not_there_is_said_before_any_window(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    window = Window()
    assert main([str(tmp_path / "nowhere")], window) == 2
    assert "nowhere" in capsys.readouterr().err
    assert window.opened == []


def test_without_a_display_it_distils_and_says_so(
    tmp_path: Path, a_run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[Flags] = []
    monkeypatch.setattr(studio, "distill", lambda flags: asked.append(flags) or 0)
    main([])
    main([str(tmp_path)])
    main([str(a_run)])
    assert "no display" in capsys.readouterr().err
    assert asked == [Flags(), Flags(scene=tmp_path), Flags(out=a_run, resume=True)]
