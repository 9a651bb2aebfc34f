from pathlib import Path

import pytest

from gaussians.errors import RunError, SplatError
from gaussians.session.models import open_models
from tests.cli.scenes import write_run


def test_a_run_offers_what_is_finished_in_the_recipes_order(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", tmp_path, ("student", "perturbed", "vanilla"))
    models = open_models(run)
    assert list(models.splats) == ["vanilla", "perturbed", "student"]
    assert models.splat() == run / "student.ply"
    assert models.splat("vanilla") == run / "teachers" / "vanilla.ply"
    assert models.plan is not None
    assert models.plan.scene == tmp_path.resolve()


def test_a_splat_file_is_its_only_model(tmp_path: Path) -> None:
    path = tmp_path / "cat.ply"
    path.touch()
    models = open_models(path)
    assert dict(models.splats) == {"cat": path}
    assert models.splat() == path
    with pytest.raises(RunError, match=r"no finished model vanilla; there are cat\."):
        models.splat("vanilla")


def test_a_run_without_a_student_says_what_there_is(tmp_path: Path) -> None:
    models = open_models(write_run(tmp_path / "run", tmp_path, ("vanilla",)))
    with pytest.raises(RunError, match=r"no finished model student; there are vanilla\."):
        models.splat()


def test_nothing_to_open(tmp_path: Path) -> None:
    with pytest.raises(SplatError, match="no such file or folder"):
        open_models(tmp_path / "nowhere")
    with pytest.raises(RunError, match="no run here"):
        open_models(tmp_path)
    with pytest.raises(RunError, match="no model of this run is finished"):
        open_models(write_run(tmp_path / "run", tmp_path, ()))
