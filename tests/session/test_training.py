"""A run that the studio starts holds all that resuming it takes."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gaussians.errors import RecipeError, RunError
from gaussians.scene import SceneOptions
from gaussians.scene.photos import SOURCE, find_photos, kept_model
from gaussians.session.directory import RunDirectory
from gaussians.session.ground import Ground
from gaussians.session.training import Training
from tests.session import tiny

SCENE = tiny.scene()


def begin(path: Path, ground: Ground) -> Training:
    return Training(path, tiny.recipe(), ground, torch.device("cpu"), lambda line: None, lambda: None)


def test_cameras_found_for_photos_are_taken_along(tmp_path: Path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in "abc":
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(photos / f"{name}.png")
    options = SceneOptions(cache=tmp_path / "cache")
    kept = kept_model(*find_photos(photos), tmp_path / "cache")
    kept.mkdir(parents=True)
    (kept / "cameras.bin").write_bytes(b"cameras")
    points = dataclasses.replace(SCENE.points, source=SOURCE)
    ground = Ground(dataclasses.replace(SCENE, points=points), photos, options)
    begin(tmp_path / "run", ground).close()
    cache = RunDirectory(tmp_path / "run").load().options.cache
    assert cache is not None
    assert (kept_model(*find_photos(photos), cache) / "cameras.bin").read_bytes() == b"cameras"


def test_only_one_works_on_a_run_and_closing_lets_go(tmp_path: Path):
    ground = Ground(SCENE, tmp_path, SceneOptions())
    first = begin(tmp_path / "run", ground)
    with pytest.raises(RunError, match="another process"), RunDirectory(tmp_path / "run").locked():
        pass
    first.close()
    begin(tmp_path / "run", ground).close()


def test_run_on_another_scene_is_refused(tmp_path: Path):
    begin(tmp_path / "run", Ground(SCENE, tmp_path / "one", SceneOptions())).close()
    with pytest.raises(RunError, match="holds a run on"):
        begin(tmp_path / "run", Ground(SCENE, tmp_path / "other", SceneOptions()))


def test_a_search_is_not_gone_on_with_as_if_it_had_a_budget(tmp_path: Path):
    ground = Ground(SCENE, tmp_path, SceneOptions())
    begin(tmp_path / "run", ground).close()
    (tmp_path / "run" / "search.json").write_text('{"within": 0.2}')
    with pytest.raises(RunError, match=r"main\.py distill --resume --out"):
        begin(tmp_path / "run", ground)
    begin(tmp_path / "other", ground).close()


def test_contradicting_recipe_leaves_no_directory(tmp_path: Path):
    recipe = dataclasses.replace(
        tiny.recipe(), student=dataclasses.replace(tiny.recipe().student, budget="many")
    )
    with pytest.raises(RecipeError):
        Training(
            tmp_path / "run",
            recipe,
            Ground(SCENE, tmp_path, SceneOptions()),
            torch.device("cpu"),
            lambda line: None,
            lambda: None,
        )
    assert not (tmp_path / "run").exists()
