"""What all commands make of their flags."""

from pathlib import Path

import pytest

from tests.cli.command_line import refused


@pytest.mark.parametrize(
    ("line", "flag"),
    [
        (["distill", "--out", ""], "--out"),
        (["distill", "--out="], "--out"),
        (["distill", ""], "an argument"),
        (["distill", "scene", "--out", "run", "--teacher", "a.ply", ""], "--teacher"),
        (["ablate", "scene", "--out", ""], "--out"),
        (["render", "run", "--out", ""], "--out"),
        (["render", "run", "--out", "pictures", "--scene", ""], "--scene"),
        (["eval", ""], "an argument"),
        (["eval", "run", "--json", ""], "--json"),
        (["export", "run", "--to", ""], "--to"),
        (["bench", "scale", "--chart", ""], "--chart"),
        (["doctor", "--json", ""], "--json"),
        (["scene", "--run", ""], "--run"),
        ([""], "an argument"),
    ],
)
def test_an_empty_path_is_refused(
    line: list[str],
    flag: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.chdir(tmp_path)
    said = f"error: {flag}: is empty, perhaps by a variable that isn't set; give it a value"
    assert refused(capsys, *line) == said
    assert not list(tmp_path.iterdir())
