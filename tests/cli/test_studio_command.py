"""The command without a name: what the window is opened on."""

from pathlib import Path

import pytest
import torch

from gaussians.cli.studio import StudioFlags, run
from gaussians.distill.presets import recipe
from gaussians.errors import RunError
from gaussians.scene import SceneOptions
from gaussians.session.directory import RunDirectory, RunPlan


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    folder = tmp_path / "garden"
    folder.mkdir()
    return folder


@pytest.fixture
def begun(tmp_path: Path, scene: Path) -> Path:
    """A run on the scene."""
    directory = RunDirectory(tmp_path / "run")
    directory.create(RunPlan(scene, SceneOptions(), recipe("preview"), torch.device("cpu").type))
    return directory.path


def opened(*arguments: Path | str) -> StudioFlags:
    """What the window is told."""
    told: list[StudioFlags] = []

    def window(flags: StudioFlags) -> int:
        told.append(flags)
        return 0

    assert run([str(argument) for argument in arguments], window) == 0
    return told[0]


def test_a_new_run_is_of_the_scene(scene: Path, tmp_path: Path) -> None:
    assert opened(scene, "--run", tmp_path / "new").scene == scene


@pytest.mark.parametrize("names_it", [True, False])
def test_the_same_command_goes_on_with_its_run(
    scene: Path, begun: Path, monkeypatch: pytest.MonkeyPatch, names_it: bool
) -> None:
    monkeypatch.chdir(scene.parent)
    scenes = ["garden"] if names_it else []
    assert opened(*scenes, "--run", begun).scene == begun
    assert opened(begun, "--run", begun).scene == begun


def test_a_run_on_another_scene_is_told(begun: Path, tmp_path: Path) -> None:
    (tmp_path / "street").mkdir()
    with pytest.raises(RunError, match=r"run: holds a run on .*garden; leave .*street out .* another --run"):
        opened(tmp_path / "street", "--run", begun)
