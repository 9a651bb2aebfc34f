"""eval, render and export, run in-process on tiny data."""

import json
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from PIL import Image

from gaussians.cli import main
from gaussians.cli.evaluate import trained_views
from gaussians.distill.presets import recipe
from gaussians.io import read_splat, write_splat
from gaussians.scene import SceneOptions, load_scene
from gaussians.session.directory import RunDirectory, RunPlan
from gaussians.session.models import open_models
from tests.cli.scenes import SIZE, gaussians, picture, ring, write_run, write_scene

BAD_INPUT = 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scene of 5 views, a run with all models, a splat; not to be changed."""
    folder = tmp_path_factory.mktemp("commands")
    write_scene(folder / "scene")
    write_run(folder / "run", folder / "scene", ("vanilla", "perturbed", "dropout", "student"))
    write_splat(folder / "cat.ply", gaussians())
    return folder


def failure(arguments: list[str | Path], capsys: pytest.CaptureFixture[str]) -> str:
    """The error that a command line ends with: exit code 2, and one line after any progress."""
    assert main([str(argument) for argument in arguments]) == BAD_INPUT
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    lines = captured.err.strip().splitlines()
    assert sum(line.startswith("error: ") for line in lines) == 1
    return lines[-1]


def test_eval_of_a_run_measures_every_model(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["eval", str(folder / "run"), "--json", str(tmp_path / "e.json")]) == 0
    result = json.loads((tmp_path / "e.json").read_text())
    models = result["models"]
    assert list(models) == ["vanilla", "perturbed", "dropout", "ensemble", "student"]
    assert models["vanilla"]["psnr"] > 50  # the photos show it: 8-bit rounding
    assert models["student"]["psnr"] < 25
    assert models["perturbed"]["psnr"] < models["ensemble"]["psnr"] < models["vanilla"]["psnr"]
    assert models["student"]["gaussians"] == 20
    assert models["ensemble"]["gaussians"] == 120
    assert models["student"]["bytes"] == (folder / "run" / "student.ply").stat().st_size
    assert set(models["vanilla"]) == {"gaussians", "bytes", "psnr", "ssim", "flip", "lpips", "per_view"}
    # the run's own options: every second view is held out
    assert list(models["vanilla"]["per_view"]) == result["scene"]["test"] == ["00.png", "02.png", "04.png"]
    assert result["scene"]["size"] == [SIZE, SIZE]
    assert isinstance(result["device"], str)
    table = [line.split()[0] for line in capsys.readouterr().out.splitlines() if line[:1].isalpha()]
    assert table[:6] == ["model", *models]


def test_eval_of_a_splat_takes_the_scenes_flags(folder: Path, tmp_path: Path) -> None:
    arguments = ["eval", folder / "cat.ply", "--scene", folder / "scene", "--json", tmp_path / "e.json"]
    arguments += ["--test-names", "03", "--resolution", "1/2", "--device", "cpu"]
    assert main([str(argument) for argument in arguments]) == 0
    result = json.loads((tmp_path / "e.json").read_text())
    assert list(result["models"]) == ["cat"]
    assert result["scene"]["test"] == ["03.png"]
    assert result["scene"]["size"] == [SIZE // 2, SIZE // 2]


def test_eval_tells_views_that_the_run_was_trained_on(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run on all photos: what flags now hold out is nothing that it has not seen."""
    run, json_file = RunDirectory(tmp_path / "run"), tmp_path / "e.json"
    options = SceneOptions(test_every=0, random_points=20)
    run.create(RunPlan(folder / "scene", options, recipe("preview"), "cpu"))
    write_splat(run.splat("vanilla"), gaussians())
    run.note_cameras(load_scene(folder / "scene", options))
    refused = failure(["eval", run.path], capsys)
    assert "give others" in refused
    assert "--test-every" not in refused
    assert main(["eval", str(run.path), "--test-every", "2", "--json", str(json_file)]) == 0
    assert json.loads(json_file.read_text())["scene"]["trained_on"] == 3
    line = capsys.readouterr().out.splitlines()[-1]
    assert "3 of which the run was trained on" in line
    assert "held-out" not in line
    assert main(["eval", str(folder / "run"), "--json", str(json_file)]) == 0
    assert json.loads(json_file.read_text())["scene"]["trained_on"] == 0
    assert "3 held-out views" in capsys.readouterr().out.splitlines()[-1]


def test_photos_of_another_place_by_the_same_names_were_not_trained_on(folder: Path) -> None:
    scene = load_scene(folder / "scene", SceneOptions(random_points=20))
    models, names = open_models(folder / "run"), [view.name for view in scene.test]
    run = RunDirectory(folder / "run")
    known = {name: tuple(view.camera.centre) for name, view in zip(names, scene.test, strict=True)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunDirectory, "trained_views", lambda _: known)
        assert trained_views(models, scene) == names
        elsewhere = {name: (x + scene.extent, y, z) for name, (x, y, z) in known.items()}
        patch.setattr(RunDirectory, "trained_views", lambda _: elsewhere)
        assert trained_views(models, scene) == []
    assert set(run.trained_views()).isdisjoint(names)


def test_eval_of_a_run_that_holds_views_out_needs_no_flags(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "holds out its own" in failure(["eval", folder / "run", "--test-every", "0"], capsys)


@pytest.mark.parametrize("name", [".", "/", "x" * 300])
def test_eval_refuses_what_is_no_file_before_it_measures(
    name: str, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gaussians.cli.evaluate.open_models", None)
    assert f"error: {name}: " in failure(["eval", folder / "run", "--json", name], capsys)


def test_an_error_of_the_system_that_nobody_expects_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("gaussians.cli.export.open_models", refuse)
    said = failure(["export", "mine.ply", "--to", "other.ply"], capsys)
    assert said == "error: mine.ply: Permission denied; check it, or choose another"


def test_eval_of_an_unfinished_run_measures_what_is_there(folder: Path, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", folder / "scene", ("vanilla",))
    assert main(["eval", str(run), "--json", str(tmp_path / "e.json")]) == 0
    assert list(json.loads((tmp_path / "e.json").read_text())["models"]) == ["vanilla"]


def test_eval_says_what_is_wrong(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no such file or folder" in failure(["eval", tmp_path / "nowhere"], capsys)
    assert "no run here" in failure(["eval", folder / "scene"], capsys)
    assert "--scene" in failure(["eval", folder / "cat.ply"], capsys)
    missing = tmp_path / "gone"
    assert str(missing) in failure(["eval", folder / "run", "--scene", missing], capsys)
    bad = tmp_path / "bad.ply"
    bad.write_bytes(b"not a splat")
    assert str(bad) in failure(["eval", bad, "--scene", folder / "scene"], capsys)
    none_held_out = ["eval", folder / "cat.ply", "--scene", folder / "scene", "--test-every", "0"]
    assert "--test-every 8" in failure([*none_held_out], capsys)
    assert "no such device" in failure(["eval", folder / "run", "--device", "tpu"], capsys)
    blocked = folder / "cat.ply" / "e.json"
    assert str(blocked) in failure(["eval", folder / "run", "--json", blocked], capsys)


def test_render_writes_an_image_for_each_view(folder: Path, tmp_path: Path) -> None:
    arguments = ["render", folder / "run", "--out", tmp_path / "out", "--views", "all", "--model", "vanilla"]
    assert main([str(argument) for argument in arguments]) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [f"{i:02}.png" for i in range(5)]
    photo = np.asarray(Image.open(folder / "scene" / "images" / "03.png")).astype(int)
    rendered = np.asarray(Image.open(tmp_path / "out" / "03.png")).astype(int)
    assert np.abs(rendered - photo).max() <= 1


def test_render_shows_the_student_on_held_out_views_by_default(folder: Path, tmp_path: Path) -> None:
    assert main(["render", str(folder / "run"), "--out", str(tmp_path)]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["00.png", "02.png", "04.png"]
    student = read_splat(folder / "run" / "student.ply")
    rendered = np.asarray(Image.open(tmp_path / "00.png")).astype(int)
    assert np.abs(rendered - picture(student, ring(5)[0])).max() <= 1


def test_render_makes_a_video(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    arguments = ["render", folder / "cat.ply", "--scene", folder / "scene", "--out", path]
    arguments += ["--fps", "10", "--seconds", "0.5", "--resolution", "31"]  # odd: rounded to even
    assert main([str(argument) for argument in arguments]) == 0
    frames = iio.imread(path, plugin="FFMPEG")
    assert frames.shape == (5, 30, 30, 3)
    # The path is a ring through 5 cameras, and so of 5 frames each is what a camera sees.
    expected = picture(gaussians(), ring(5)[2].resized(30, 30)).astype(int)
    assert np.abs(frames[2] - expected).mean() < 7  # of 255; worst seen 5.1: colour at half resolution
    assert np.abs(frames[1] - expected).mean() > 20  # another camera; 33
    assert [child.name for child in tmp_path.iterdir()] == ["film.mp4"]


def test_render_says_what_is_wrong(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, scene = folder / "run", folder / "scene"
    assert "no finished model cat" in failure(["render", run, "--out", tmp_path, "--model", "cat"], capsys)
    assert ".mp4" in failure(["render", run, "--out", tmp_path / "film.mkv"], capsys)
    assert "--seconds" in failure(["render", run, "--out", tmp_path / "a.mp4", "--seconds", "0"], capsys)
    for flag in ("--fps", "--seconds"):
        said = failure(["render", run, "--out", tmp_path / "pictures", flag, "5"], capsys)
        assert said == f"error: {flag}: is for a video; leave it out, or let --out end in .mp4"
    no_test = ["render", folder / "cat.ply", "--scene", scene, "--test-every", "0", "--out", tmp_path / "out"]
    assert "--views all" in failure([*no_test], capsys)
    blocked = folder / "cat.ply" / "out"
    assert str(blocked) in failure(["render", run, "--out", blocked], capsys)
    assert str(blocked) in failure(["render", run, "--out", blocked / "film.mp4"], capsys)


def test_a_failed_video_leaves_the_old_one(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, ffmpeg = tmp_path / "film.mp4", tmp_path / "ffmpeg"
    path.write_bytes(b"old")
    ffmpeg.write_text("#!/bin/sh\necho disk on fire >&2\nexit 1\n")
    ffmpeg.chmod(0o755)
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(ffmpeg))
    error = failure(["render", folder / "run", "--out", path, "--seconds", "0.1"], capsys)
    assert "disk on fire" in error
    assert path.read_bytes() == b"old"
    assert sorted(child.name for child in tmp_path.iterdir()) == ["ffmpeg", "film.mp4"]


def test_export_writes_the_student_of_a_run(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    to = tmp_path / "new" / "student.ply"
    assert main(["export", str(folder / "run"), "--to", str(to)]) == 0
    line = capsys.readouterr().out
    assert line == f"{to}: 20 Gaussians, 0.00 MB, read back and identical\n"
    for name, tensor in read_splat(folder / "run" / "student.ply").tensors().items():
        assert torch.equal(tensor, read_splat(to).tensors()[name])


def test_export_onto_itself(tmp_path: Path) -> None:
    path = tmp_path / "cat.ply"
    write_splat(path, gaussians())
    before = path.read_bytes()
    assert main(["export", str(path), "--to", str(path)]) == 0
    assert path.read_bytes() == before


def test_export_says_what_is_wrong(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = folder / "run"
    assert "can be written: .ply" in failure(["export", run, "--to", tmp_path / "cat.xyz"], capsys)
    assert "without suffix" in failure(["export", run, "--to", tmp_path / "cat"], capsys)
    assert "no such file" in failure(["export", tmp_path / "gone.ply", "--to", tmp_path / "b.ply"], capsys)
    unfinished = write_run(tmp_path / "run", folder / "scene", ("vanilla",))
    assert "no finished model student" in failure(["export", unfinished, "--to", tmp_path / "b.ply"], capsys)
    text = tmp_path / "text.ply"
    text.write_text("ply\nformat ascii 1.0\nelement vertex 0\nend_header\n")
    assert str(text) in failure(["export", text, "--to", tmp_path / "b.ply"], capsys)
    blocked = folder / "cat.ply" / "b.ply"
    assert str(blocked) in failure(["export", run, "--to", blocked], capsys)
    assert not (tmp_path / "b.ply").exists()


@pytest.mark.parametrize("command", ["eval", "render", "export", "bench", "doctor"])
def test_bad_flags_end_with_code_2(command: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--no-such-flag"])
    assert ended.value.code == BAD_INPUT
