"""What `distill` says to bad input: one line, before anything is written."""

from pathlib import Path
from typing import Any

import pytest
import torch

from gaussians.cli import main
from gaussians.io import write_splat
from gaussians.scene import Scene, SceneOptions
from gaussians.session.directory import RunDirectory, RunPlan
from gaussians.session.scenes import load_views
from gaussians.session.search import begin_search, searched_within
from tests.cli.command_line import refused
from tests.session import tiny


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write(tmp_path_factory.mktemp("scene") / "tiny")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--budget", "0"], 'budget "0"'),
        (["--budget", "lots"], 'budget "lots"'),
        (["--budget", "150%"], "150%"),
        (["--budget", "10B"], "single Gaussian"),
        (["--recipe", "best"], "preview, fast, paper"),
        (["--recipe", "gone.json"], "gone.json"),
        (["--steps", "0"], "--steps 0"),
        (["--recipe", "paper", "--steps", "0.00002"], "student.simplify"),
        (["--set", "student.colour=1"], "student.colour=1"),
        (["--set", "student.label_weight=-1"], "label_weight"),
        (["--set", "labels.vanilla=true"], "labels.vanilla"),
        (["--resolution", "half"], "half"),
        (["--device", "tpu"], "tpu"),
        (["--teacher", "gone.ply"], "gone.ply"),
        (["--test-names", "nobody.jpg"], "nobody.jpg"),
        (["--set", "student.label_weight=Infinity"], "student.label_weight = inf"),
        (["--save-every", "nan"], "--save-every nan"),
        (["--save-every", "inf"], "--save-every inf"),
        (["--save-every", "-1"], "--save-every -1"),
    ],
)
def test_bad_flags_get_one_line_and_leave_nothing(
    flags: list[str], said: str, scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = tmp_path / "run"
    assert said in refused(capsys, "distill", str(scene), "--out", str(out), *flags)
    assert not out.exists()


def test_bad_recipes_and_empty_teachers_are_named(
    scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    recipe, teacher = tmp_path / "bad.json", tmp_path / "empty.ply"
    recipe.write_text('{"teachers": {"forks": 1}}')
    write_splat(teacher, tiny.true_gaussians(0))
    begin = ["distill", str(scene), "--out", str(tmp_path / "run")]
    assert f"{recipe}: teachers.forks: no such option" in refused(capsys, *begin, "--recipe", str(recipe))
    assert f"{teacher}: holds no Gaussians" in refused(capsys, *begin, "--teacher", str(teacher))
    assert not (tmp_path / "run").exists()


def test_bad_scenes_get_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert "no such folder" in refused(
        capsys, "distill", str(tmp_path / "gone"), "--out", str(tmp_path / "run")
    )
    (tmp_path / "empty").mkdir()
    line = refused(capsys, "distill", str(tmp_path / "empty"), "--out", str(tmp_path / "run"))
    assert "no cameras and no photos" in line
    assert not (tmp_path / "run").exists()


def test_resume_of_no_run_does_not_begin_another(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    line = refused(capsys, "distill", "--out", str(tmp_path / "mistyped"), "--resume")
    assert "holds no run" in line
    assert not (tmp_path / "mistyped").exists()


def test_full_memory_gets_one_line(
    scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def full(*arguments: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("gaussians.cli.distill.load_views", full)
    assert main(["distill", str(scene), "--out", str(tmp_path / "run")]) == 2
    assert "memory is full" in capsys.readouterr().err


def test_a_file_as_run_directory_is_refused_at_once(
    scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "run").write_text("mine")
    assert "is a file" in refused(capsys, "distill", str(scene), "--out", str(tmp_path / "run"))
    assert (tmp_path / "run").read_text() == "mine"


def test_names_that_no_folder_can_have_are_refused_at_once(
    scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("gaussians.cli.distill.load_views", None)
    (tmp_path / "file").write_text("mine")
    inside = tmp_path / "file" / "run" / "deep"
    said = refused(capsys, "distill", str(scene), "--out", str(inside))
    assert said == f"error: {inside}: {tmp_path / 'file'} is a file; --out wants a folder"
    for more in ([], ["--resume"]):
        line = refused(capsys, "distill", str(scene), "--out", str(tmp_path / ("x" * 300)), *more)
        assert "File name too long" in line


@pytest.mark.parametrize("flags", [[], ["--within", "0.2dB"]])
def test_a_run_that_appears_while_the_scene_is_read_is_left_alone(
    flags: list[str],
    scene: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
):
    """Another process began it, by another recipe, as a search."""
    other = RunDirectory(tmp_path / "run")

    def slow(*arguments: Any) -> Scene:
        read = load_views(*arguments)
        if not other.exists:
            begin_search(other, 1.5, read)
            other.create(RunPlan(scene, SceneOptions(), tiny.recipe(), "cpu"))
        return read

    monkeypatch.setattr("gaussians.cli.distill.load_views", slow)
    line = ["distill", str(scene), "--out", str(other.path), "--test-every", "4", "--device", "cpu"]
    assert main([*line, *flags]) == 2
    assert "holds a run already" in capsys.readouterr().err
    assert other.load().recipe == tiny.recipe()
    assert searched_within(other) == 1.5
    assert not (other.path / "metrics.jsonl").exists()
