"""What the session's tests share: a scene folder, and runs that are finished."""

from pathlib import Path

import pytest
import torch

from gaussians.session.directory import RunDirectory, RunPlan
from gaussians.session.run import Run
from tests.session import studio, tiny
from tests.session.runs import begin


@pytest.fixture(scope="session")
def scene_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write(tmp_path_factory.mktemp("scene") / "tiny")


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory, scene_folder: Path) -> Path:
    """Made without the worker, as `distill` does."""
    from gaussians.scene import load_scene

    directory = RunDirectory(tmp_path_factory.mktemp("finished") / "run")
    directory.create(RunPlan(scene_folder, studio.OPTIONS, tiny.recipe(), "cpu"))
    scene = load_scene(scene_folder, studio.OPTIONS)
    for _ in Run(directory, scene, tiny.recipe(), torch.device("cpu")).events():
        pass
    return directory.path


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("run")
    list(begin(path, tiny.recipe()).events())
    return path


@pytest.fixture(scope="session")
def compact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("compact")
    list(begin(path, tiny.compact_recipe()).events())
    return path
