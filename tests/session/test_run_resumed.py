"""A run that was killed, wherever it was, goes on from its checkpoint with the same numbers."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from gaussians.distill.recipe import Recipe
from gaussians.session.checkpoints import Checkpoints
from gaussians.session.directory import RunDirectory
from gaussians.session.events import RunFinished, StageStarted, StepDone
from gaussians.session.gallery import Gallery
from gaussians.session.measure import written
from gaussians.session.opening import keep_checkpoint
from gaussians.storage import replacing
from tests.session import tiny
from tests.session.runs import begin, quality


def dropped(path: Path, recipe: Recipe, after: int) -> None:
    """Begin a run and abandon it in mid-stage, as a kill does, with a checkpoint two events before."""
    run = begin(path, recipe)
    for number, _ in enumerate(run.events()):
        if number == after - 2:
            run.save()
        if number == after:
            break


@pytest.mark.parametrize("dropped_after", [3, 26, 47, 75, 108, 121])
def test_dropped_anywhere_and_resumed_gives_the_same_report(
    dropped_after: int, finished: Path, tmp_path: Path
):
    recipe = tiny.recipe()
    dropped(tmp_path, recipe, dropped_after)
    resumed = begin(tmp_path, recipe)
    events = list(resumed.events())
    report = json.loads((tmp_path / "report.json").read_text())
    assert quality(report) == quality(json.loads((finished / "report.json").read_text()))
    assert isinstance(events[-1], RunFinished)
    whole = [line["step"] for line in map(json.loads, (finished / "metrics.jsonl").read_text().splitlines())]
    again = [line["step"] for line in map(json.loads, (tmp_path / "metrics.jsonl").read_text().splitlines())]
    assert again == whole


@pytest.mark.parametrize("dropped_after", [30, 52, 66, 96, 131, 137])
def test_compact_teachers_dropped_anywhere_and_resumed_give_the_same_report(
    dropped_after: int, compact: Path, tmp_path: Path
):
    dropped(tmp_path, tiny.compact_recipe(), dropped_after)
    events = list(begin(tmp_path, tiny.compact_recipe()).events())
    assert isinstance(events[-1], RunFinished)
    report = json.loads((tmp_path / "report.json").read_text())
    assert quality(report) == quality(json.loads((compact / "report.json").read_text()))


def test_a_reopened_run_shows_the_running_mean_as_it_did_before(tmp_path: Path):
    run = begin(tmp_path, tiny.compact_recipe())
    for event in run.events():
        if isinstance(event, StepDone) and (event.stage.name, event.step) == ("student", 25):
            run.save()
            break
    assert run.live is not None
    shown = run.live.gaussians.detached()
    gallery = Gallery(torch.device("cpu"), ("vanilla",), {"vanilla": 1.0})
    stage = next(stage for stage in run.plan if stage.name == "student")
    keep_checkpoint(gallery, Checkpoints(RunDirectory(tmp_path).checkpoints), stage)
    assert torch.equal(gallery.gaussians("student").means, shown.means)


def test_resumed_run_goes_on_from_its_checkpoint(tmp_path: Path):
    run = begin(tmp_path, tiny.recipe())
    for event in run.events():
        if isinstance(event, StepDone) and event.step == 12:
            run.save()
            break
    started = next(
        event for event in begin(tmp_path, tiny.recipe()).events() if isinstance(event, StageStarted)
    )
    assert started.step == 12


@pytest.mark.parametrize("model", ["vanilla", "dropout", "student"])
def test_a_run_killed_while_a_stage_is_measured_has_no_step_to_do_again(
    model: str, compact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def dying(path: Path, *arguments: Any) -> dict[str, Any]:
        if path.stem == model:
            raise KeyboardInterrupt
        return written(path, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr("gaussians.session.completion.written", dying)
        with pytest.raises(KeyboardInterrupt):
            list(begin(tmp_path, tiny.compact_recipe()).events())
    events = list(begin(tmp_path, tiny.compact_recipe()).events())
    started = next(event for event in events if isinstance(event, StageStarted) and event.stage.name == model)
    assert started.step == started.stage.last
    assert not [event for event in events if isinstance(event, StepDone) and event.stage.name == model]
    report = json.loads((tmp_path / "report.json").read_text())
    assert quality(report) == quality(json.loads((compact / "report.json").read_text()))
    for splat in ("teachers/vanilla.ply", "teachers/dropout.ply", "student.ply"):
        assert (tmp_path / splat).read_bytes() == (compact / splat).read_bytes()
    lines = [(tmp_path / "metrics.jsonl").read_text(), (compact / "metrics.jsonl").read_text()]
    steps = [[json.loads(line)["step"] for line in text.splitlines()] for text in lines]
    assert steps[0] == steps[1]


def test_what_a_killed_process_left_half_written_goes_when_the_run_goes_on(finished: Path, tmp_path: Path):
    run = shutil.copytree(finished, tmp_path / "run")
    before = {path for path in run.rglob("*") if path.name != ".lock"}
    (run / "labels").mkdir()
    paths = (run / "report.json", run / "teachers/vanilla.ply", run / "checkpoints/trunk.safetensors")
    for path in (*paths, run / "labels" / "1f.labels", run / "history" / "000030.safetensors"):
        with replacing(path.with_name(f"whole{path.suffix}")) as whole:
            whole.write_bytes(b"")
            shutil.copy(whole, whole.with_name(whole.name.replace(str(os.getpid()), "1")))
        whole.with_name(f"whole{path.suffix}").unlink()
    assert len(list(run.rglob("*.partial*"))) == 5
    with RunDirectory(run).locked():
        assert {path for path in run.rglob("*") if path.name != ".lock"} == before | {run / "labels"}
