"""A run does all stages, and leaves the contract's files."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gaussians.distill.splat_views import splat_cameras
from gaussians.errors import RunError
from gaussians.io import read_splat
from gaussians.scene import SceneOptions
from gaussians.session.directory import RunDirectory, RunPlan
from gaussians.session.events import RunFinished, StageFinished
from gaussians.session.run import Run
from tests.session import tiny
from tests.session.runs import MODELS, SCENE, begin


def test_leaves_every_file_of_the_contract(finished: Path):
    names = ["recipe.json", "metrics.jsonl", "report.json", "report.png", "student.ply", "checkpoints"]
    names += ["cameras.json"]
    names += [f"teachers/{kind}.ply" for kind in ("vanilla", "perturbed", "dropout")]
    assert [name for name in names if not (finished / name).exists()] == []
    assert not list(finished.rglob("*.partial*"))


def test_a_splat_of_a_run_is_looked_at_from_where_it_was_trained(finished: Path):
    splat = finished / "teachers" / "vanilla.ply"
    cameras, note = splat_cameras(splat, read_splat(splat), 0)
    assert "cameras.json" in note
    wanted = sorted(SCENE.train, key=lambda view: view.name)
    for camera, view in zip(cameras, wanted, strict=True):
        assert np.allclose(camera.viewmat, view.camera.viewmat)
        assert np.allclose(camera.K, view.camera.K)
        assert (camera.width, camera.height) == (tiny.WIDTH, tiny.HEIGHT)


def test_report_tells_of_every_model(finished: Path):
    report = json.loads((finished / "report.json").read_text())
    assert tuple(report["models"]) == MODELS
    for facts in report["models"].values():
        assert set(facts) >= {
            "gaussians",
            "bytes",
            "psnr",
            "ssim",
            "flip",
            "seconds",
            "peak_memory",
            "per_view",
        }
        assert set(facts["per_view"]) == {view.name for view in SCENE.test}
    models = report["models"]
    assert models["vanilla"]["psnr"] > 15
    assert models["ensemble"]["gaussians"] == sum(models[kind]["gaussians"] for kind in MODELS[:3])
    assert sum(facts["seconds"] for facts in models.values()) == pytest.approx(
        report["totals"]["seconds"], abs=0.01
    )


def test_student_keeps_to_its_budget_and_its_file(finished: Path):
    report = json.loads((finished / "report.json").read_text())
    student, vanilla = report["models"]["student"], report["models"]["vanilla"]
    assert 0 < student["gaussians"] <= 0.25 * vanilla["gaussians"]
    assert len(read_splat(finished / "student.ply")) == student["gaussians"]
    assert (finished / "student.ply").stat().st_size == student["bytes"]


def test_teachers_differ_from_each_other(finished: Path):
    models = json.loads((finished / "report.json").read_text())["models"]
    assert len({models[kind]["psnr"] for kind in MODELS[:3]}) == 3


def test_metrics_have_every_stage_in_order(finished: Path):
    lines = [json.loads(line) for line in (finished / "metrics.jsonl").read_text().splitlines()]
    stages = list(dict.fromkeys(line["stage"] for line in lines))
    assert stages == ["trunk", "vanilla", "perturbed", "dropout", "student"]
    for stage in stages:
        steps = [line["step"] for line in lines if line["stage"] == stage]
        assert steps == sorted(set(steps))
    student = next(
        line for line in lines if line["stage"] == "student" and "structure" in line.get("loss", {})
    )
    assert set(student["loss"]) == {"photo", "label", "structure"}
    assert {"time", "stage", "model", "step", "loss", "count"} <= set(student)
    assert any("psnr" in line for line in lines)


def test_picture_shows_all_columns(finished: Path):
    report = Image.open(finished / "report.png").convert("RGB")
    assert report.width > 6 * tiny.WIDTH
    assert len(np.unique(np.asarray(report).reshape(-1, 3), axis=0)) > 500


def test_compact_teachers_keep_their_share_and_vanilla_all(compact: Path):
    models = json.loads((compact / "report.json").read_text())["models"]
    assert tuple(models) == MODELS
    vanilla = models["vanilla"]["gaussians"]
    assert models["perturbed"]["gaussians"] == models["dropout"]["gaussians"] == round(0.5 * vanilla)
    assert models["student"]["gaussians"] == vanilla // 4
    assert models["ensemble"]["gaussians"] == vanilla + 2 * round(0.5 * vanilla)


def test_finished_run_only_makes_the_report_again(finished: Path):
    before = (finished / "report.json").read_bytes()
    events = list(begin(finished, tiny.recipe()).events())
    assert all(isinstance(event, StageFinished | RunFinished) for event in events)
    assert (finished / "report.json").read_bytes() == before


def test_new_run_refuses_a_used_directory(finished: Path):
    with pytest.raises(RunError, match="holds a run already"):
        RunDirectory(finished).create(RunPlan(Path("tiny"), SceneOptions(), tiny.recipe(), "cpu"))


def test_recipe_file_says_how_to_repeat_the_run(finished: Path):
    plan = RunDirectory(finished).load()
    assert plan.recipe == tiny.recipe()
    document = json.loads((finished / "recipe.json").read_text())
    assert document["versions"]["torch"] == torch.__version__.split("+")[0] or document["versions"]["torch"]
    assert document["seed"] == 3


def test_given_teachers_take_the_place_of_trained_ones(finished: Path, tmp_path: Path):
    given = {"mine": finished / "teachers" / "vanilla.ply", "other": finished / "teachers" / "dropout.ply"}
    directory = RunDirectory(tmp_path)
    directory.create(RunPlan(Path("tiny"), SceneOptions(), tiny.recipe(), "cpu", given))
    list(Run(directory, SCENE, tiny.recipe(), torch.device("cpu"), given).events())
    report = json.loads((tmp_path / "report.json").read_text())
    assert list(report["models"]) == ["mine", "other", "ensemble", "student"]
    trained = json.loads((finished / "report.json").read_text())["models"]["vanilla"]
    assert report["models"]["mine"]["psnr"] == trained["psnr"]
    assert report["models"]["student"]["gaussians"] == trained["gaussians"] // 4
    assert directory.load().teachers == given
