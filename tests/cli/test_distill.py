"""`distill` as a process, killed, interrupted and resumed; of a splat alone; and of runs that are there."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from gaussians.cli import main
from gaussians.cli.distill import Flags, begun
from gaussians.cli.flags import SceneFlags
from gaussians.distill.recipe_json import to_json
from gaussians.errors import RunError
from gaussians.io import read_splat, write_splat
from gaussians.scene import SceneOptions
from gaussians.session.directory import RunDirectory, RunPlan
from gaussians.train.initial import with_sh_degree
from tests.cli.command_line import PROJECT, refused
from tests.session import tiny
from tests.session.runs import quality


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write(tmp_path_factory.mktemp("scene") / "tiny")


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("recipe") / "tiny.json"
    path.write_text(json.dumps(to_json(tiny.recipe(factor=8))))
    return path


def command(scene: Path, recipe: Path, out: Path, *more: str) -> list[str]:
    line = [sys.executable, str(PROJECT / "main.py"), "distill", str(scene), "--out", str(out)]
    flags = ["--recipe", str(recipe), "--test-every", "4", "--save-every", "0.2", "--device", "cpu"]
    return [*line, *flags, *more]


def report(out: Path) -> dict[str, Any]:
    return json.loads((out / "report.json").read_text())


def wait_for_lines(metrics: Path, count: int, process: subprocess.Popen[bytes]) -> None:
    """Until the run has logged that many lines: how far it is, whatever the machine's speed."""
    while process.poll() is None and (not metrics.exists() or metrics.read_bytes().count(b"\n") < count):
        time.sleep(0.02)


@pytest.fixture(scope="module")
def whole(scene: Path, recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "run"
    subprocess.run(command(scene, recipe, out), check=True, capture_output=True)
    return out


def test_killed_at_three_random_moments_completes_with_the_same_report(
    scene: Path, recipe: Path, whole: Path, tmp_path: Path
):
    out = tmp_path / "run"
    total = (whole / "metrics.jsonl").read_bytes().count(b"\n")
    seed = random.randrange(2**32)
    moments = sorted(random.Random(seed).sample(range(1, total), 3))
    for moment in moments:
        process = subprocess.Popen(command(scene, recipe, out, "--resume"), stderr=subprocess.DEVNULL)
        wait_for_lines(out / "metrics.jsonl", moment, process)
        process.kill()
        process.wait()
    subprocess.run(command(scene, recipe, out, "--resume"), check=True, capture_output=True)
    assert quality(report(out)) == quality(report(whole)), f"seed {seed}, killed after {moments} lines"


def test_interrupt_saves_and_says_how_to_go_on(scene: Path, recipe: Path, whole: Path, tmp_path: Path):
    out = tmp_path / "run"
    process = subprocess.Popen(command(scene, recipe, out), stderr=subprocess.PIPE, start_new_session=True)
    wait_for_lines(out / "metrics.jsonl", 12, process)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"--out {out} --resume" in errors.decode()
    # The scene and the recipe are the run's own: its folder is enough to go on.
    line = [sys.executable, str(PROJECT / "main.py"), "distill", "--out", str(out), "--resume"]
    subprocess.run(line, check=True, capture_output=True)
    assert quality(report(out)) == quality(report(whole))


def test_results_go_to_standard_output_also_below_bars(
    whole: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes this for a terminal, and shows bars
    assert main(["distill", "--out", str(whole), "--resume"]) == 0
    captured = capsys.readouterr()
    assert "━━" in captured.err
    assert "student.ply" not in captured.err
    lines = captured.out.splitlines()
    assert sum("perturbed" in line for line in lines) == 1
    assert lines[-1] == f"picture  {whole / 'report.png'}"


def test_a_resumed_run_may_have_another_memory_for_photos(whole: Path, capsys: pytest.CaptureFixture[str]):
    assert "photo_memory" not in (whole / "recipe.json").read_text()
    line = ["distill", "--out", str(whole), "--resume", "--photo-memory-mb"]
    assert "--photo-memory-mb -1" in refused(capsys, *line, "-1")
    assert main([*line, "0"]) == 0


@pytest.fixture
def moved(whole: Path, scene: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A copy of the run, whose scene is gone, and of its scene."""
    run, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    shutil.copytree(whole, run)
    shutil.copytree(scene, elsewhere)
    document = json.loads((run / "recipe.json").read_text())
    (run / "recipe.json").write_text(json.dumps(document | {"scene": str(tmp_path / "gone")}))
    return run, elsewhere


def test_a_run_goes_on_where_its_scene_is_now(moved: tuple[Path, Path], capsys: pytest.CaptureFixture[str]):
    run, elsewhere = moved
    line = ["distill", "--out", str(run), "--resume"]
    said = refused(capsys, *line)
    assert f"{run}: its scene is gone from {run.parent / 'gone'}" in said
    assert f"distill SCENE --out {run} --resume" in said
    assert "by --scene" in refused(capsys, "eval", str(run))
    assert main(["distill", str(elsewhere), *line[1:]]) == 0
    assert RunDirectory(run).load().scene == elsewhere
    assert main(line) == 0, "it remembers"


def test_a_run_does_not_go_on_from_other_cameras(
    moved: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
):
    run, elsewhere = moved
    document = json.loads((elsewhere / "transforms.json").read_text())
    for frame in document["frames"]:
        frame["transform_matrix"][0][3] += 10
    (elsewhere / "transforms.json").write_text(json.dumps(document))
    assert main(["distill", str(elsewhere), "--out", str(run), "--resume"]) == 2
    assert "was begun with other cameras" in capsys.readouterr().err.splitlines()[-1]
    assert RunDirectory(run).load().scene == run.parent / "gone"


@pytest.mark.parametrize("is_emptied", [True, False])
def test_a_finished_model_that_is_gone_is_asked_for(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], is_emptied: bool
):
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    student = (run / "student.ply").read_bytes()
    (run / "student.ply").write_bytes(b"") if is_emptied else (run / "student.ply").unlink()
    line = ["distill", "--out", str(run), "--resume"]
    mark = run / "checkpoints" / "student.json"
    assert main(line) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert f"{run / 'student.ply'}: " in said
    assert f"put it back, or delete {mark}, and the model is made anew" in said
    mark.unlink()
    assert main(line) == 0
    assert (run / "student.ply").read_bytes() == student


def test_a_used_directory_is_not_overwritten(scene: Path, whole: Path, capsys: pytest.CaptureFixture[str]):
    before = (whole / "student.ply").read_bytes()
    assert "--resume" in refused(capsys, "distill", str(scene), "--out", str(whole))
    assert (whole / "student.ply").read_bytes() == before


def test_resume_refuses_another_recipe(whole: Path, capsys: pytest.CaptureFixture[str]):
    line = refused(capsys, "distill", "--out", str(whole), "--resume", "--budget", "3%", "--recipe", "fast")
    assert "would change the recipe" in line


def test_a_run_whose_photos_were_halved_goes_on_with_the_same_command(scene: Path, tmp_path: Path):
    run = RunDirectory(tmp_path / "run")
    run.create(RunPlan(scene, SceneOptions(resolution="0.5"), tiny.recipe(), "cpu", halvings=1))
    for asked in (None, "1", "1/1", "0.5"):
        plan = begun(Flags(out=run.path, resume=True, scene_flags=SceneFlags(resolution=asked))).plan
        assert plan.options.resolution == "0.5"
    for other in ("1/4", "22"):
        with pytest.raises(RunError, match="how the scene is read"):
            begun(Flags(out=run.path, resume=True, scene_flags=SceneFlags(resolution=other)))


def test_without_a_display_one_run_is_gone_on_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    runs = [RunDirectory(tmp_path / name) for name in ("one", "two")]
    for run in runs:
        run.create(RunPlan(tmp_path / "gone", SceneOptions(), tiny.recipe(), "cpu"))
    assert main([str(runs[0].path), "--run", str(runs[1].path)]) == 2
    assert "Give one of them" in capsys.readouterr().err
    assert main([str(runs[0].path), "--run", str(runs[0].path)]) == 2
    assert "gone" in capsys.readouterr().err  # gone on with, as far as its scene


def test_a_splat_as_the_scene_is_its_own_teacher(
    tmp_path: Path, recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And a budget with room for more than it has is said to be one."""
    splat, out = tmp_path / "thing.ply", tmp_path / "run"
    write_splat(splat, tiny.true_gaussians())
    line = ["distill", str(splat), "--out", str(out), "--recipe", str(recipe), "--budget", "1000"]
    line += ["--resolution", "32", "--test-every", "10", "--device", "cpu", "--steps", "0.1"]
    assert main(line) == 0
    told = report(out)
    assert list(told["models"]) == ["thing", "ensemble", "student"]
    assert told["models"]["student"]["gaussians"] == 120
    assert RunDirectory(out).load().teachers == {"thing": splat}
    assert "1000 has room for more than the vanilla teacher's 120 Gaussians" in capsys.readouterr().out
    assert main([*line, "--resume"]) == 0


def test_a_splat_alone_becomes_a_compact_one(
    tmp_path: Path, recipe: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No scene: the teacher is looked at from all around, and its renders are what is measured against."""
    splat, out = tmp_path / "thing.ply", tmp_path / "run"
    write_splat(splat, with_sh_degree(tiny.true_gaussians(), 0))
    line = ["distill", "--teacher", str(splat), "--out", str(out), "--recipe", str(recipe), "--budget", "40%"]
    more = ["--resolution", "32", "--test-every", "10", "--device", "cpu", "--set"]
    assert main([*line, *more, "student.optimise.rates.means=0.001"]) == 0
    assert "lacks" not in capsys.readouterr().out  # its renders are what it is measured against
    told = report(out)
    assert told["models"]["student"]["gaussians"] == 48
    assert told["models"]["thing"]["psnr"] > 50
    assert 15 < told["models"]["student"]["psnr"] < told["models"]["thing"]["psnr"]
    assert len(told["scene"]["test"]) == 16
    assert "no photos" in told["scene"]["notes"][0]
    assert read_splat(out / "student.ply").sh_degree == 0
    assert (out / "report.png").stat().st_size > 1000
    assert main(["distill", "--out", str(out), "--resume"]) == 0
