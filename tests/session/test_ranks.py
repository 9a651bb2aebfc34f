"""Several processes on one run, as torchrun starts them: the numbers of one, whoever dies or joins."""

import contextlib
import dataclasses
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gaussians.cli import distill_together, main
from gaussians.cli.distill import Flags
from gaussians.cli.flags import SceneFlags
from gaussians.distill.recipe import Recipe
from gaussians.distill.recipe_json import to_json
from gaussians.io import read_splat
from gaussians.ranks import Ranks
from gaussians.scene import SceneOptions
from gaussians.session.checkpoints import Checkpoints
from gaussians.session.directory import RunDirectory, RunPlan
from gaussians.session.metrics import MetricsLog
from gaussians.session.run import Run
from gaussians.session.scenes import load_views
from tests.session import tiny
from tests.session.runs import MODELS, quality

PROJECT = Path(__file__).resolve().parents[2]
LIMIT = 120  # seconds that a machine under load may take


def batched(recipe: Recipe, selective: bool = False) -> Recipe:
    """The same with steps of two views for the student."""
    optimise = dataclasses.replace(recipe.student.optimise, batch=2, selective=selective)
    return dataclasses.replace(recipe, student=dataclasses.replace(recipe.student, optimise=optimise))


FORKS = batched(tiny.recipe())
COMPACT = batched(tiny.compact_recipe().scaled(4), selective=True)  # long enough to be interrupted


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write(tmp_path_factory.mktemp("scene") / "tiny")


def alone(out: Path, scene: Path, recipe: Recipe) -> Path:
    """Do the run, or what is left of it, in this process."""
    directory, options = RunDirectory(out), SceneOptions(test_every=4, seed=recipe.seed)
    if not directory.exists:
        directory.create(RunPlan(scene, options, recipe, "cpu"))
    with directory.locked():
        list(Run(directory, load_views(scene, options), recipe, torch.device("cpu")).events())
    return out


@pytest.fixture(scope="module")
def forks(scene: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return alone(tmp_path_factory.mktemp("forks") / "run", scene, FORKS)


@pytest.fixture(scope="module")
def compact(scene: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return alone(tmp_path_factory.mktemp("compact") / "run", scene, COMPACT)


@contextlib.contextmanager
def started(count: int, out: Path, scene: Path, recipe: Recipe) -> Iterator[list[subprocess.Popen[str]]]:
    """Processes of one run, with the environment that torchrun gives them."""
    path = out.with_suffix(".json")
    path.write_text(json.dumps(to_json(recipe)))
    command = [sys.executable, str(PROJECT / "main.py"), "distill", str(scene), "--out", str(out)]
    command += [
        "--recipe",
        str(path),
        "--test-every",
        "4",
        "--device",
        "cpu",
        "--save-every",
        "0.2",
        "--resume",
    ]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(count)}
    threads = {"NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    processes = []
    try:
        for rank in range(count):
            place = {"RANK": str(rank), "LOCAL_RANK": str(rank)}
            environment = os.environ | shared | threads | place
            processes.append(
                subprocess.Popen(command, env=environment, stdout=-1, stderr=-1, text=True, cwd=out.parent)
            )
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def ended(processes: list[subprocess.Popen[str]]) -> tuple[list[int], list[str]]:
    """Exit codes, and what was said to standard error."""
    said = [process.communicate(timeout=LIMIT)[1] for process in processes]
    return [process.returncode for process in processes], said


def wait_until(there: Callable[[], Any], processes: list[subprocess.Popen[str]]) -> None:
    until = time.monotonic() + LIMIT
    while not there() and time.monotonic() < until and all(process.poll() is None for process in processes):
        time.sleep(0.01)


def lines(path: Path) -> list[dict[str, Any]]:
    """Of metrics.jsonl, less what clock and memory put into them."""
    found = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    return [{key: line[key] for key in line if key not in ("time", "memory")} for line in found]


def assert_same(path: Path, whole: Path) -> None:
    """Same files, same lines in the same order, same Gaussians, same report; differences: none seen."""
    ours, theirs = ({file.relative_to(run) for file in run.rglob("*")} for run in (path, whole))
    assert ours - {Path(".lock")} == theirs - {Path(".lock")}
    assert len(lines(path)) == len(lines(whole))
    for one, two in zip(lines(path), lines(whole), strict=True):
        assert (one["stage"], one["step"], one["count"]) == (two["stage"], two["step"], two["count"])
        assert one.get("loss", {}) == pytest.approx(two.get("loss", {}), rel=1e-3)
    for model in MODELS:
        if model != "ensemble":
            splats = [read_splat(RunDirectory(run).splat(model)).tensors() for run in (path, whole)]
            for name, tensor in splats[0].items():
                assert np.allclose(tensor, splats[1][name], rtol=1e-3, atol=1e-4), (model, name)
    reports = [quality(json.loads((run / "report.json").read_text()))["models"] for run in (path, whole)]
    for model in MODELS:
        assert reports[0][model]["psnr"] == pytest.approx(reports[1][model]["psnr"], abs=1e-3)
        assert reports[0][model]["gaussians"] == reports[1][model]["gaussians"]


def test_two_processes_make_the_run_of_one(scene: Path, forks: Path, tmp_path: Path):
    with started(2, tmp_path / "run", scene, FORKS) as processes:
        codes, said = ended(processes)
    assert codes == [0, 0], said
    assert_same(tmp_path / "run", forks)
    assert "steps of 2 views shared by 2" in said[0]
    assert said[1] == ""
    finished = re.findall(r"^(\w+) +(?:labels )?done", said[0], re.MULTILINE)
    assert sorted(finished) == sorted(["trunk", *MODELS[:3], "labels", "student"])


def test_stopped_in_the_student_three_go_on_with_what_two_began(scene: Path, compact: Path, tmp_path: Path):
    out = tmp_path / "run"
    checkpoints, metrics = Checkpoints(out / "checkpoints"), out / "metrics.jsonl"
    with started(2, out, scene, COMPACT) as processes:
        wait_until(lambda: metrics.exists() and '"student"' in metrics.read_text(), processes)
        processes[1].send_signal(signal.SIGTERM)  # one is enough
        codes, said = ended(processes)
    assert codes == [130, 130], said
    assert "--resume" in said[0]
    assert said[1] == ""
    assert checkpoints.finished("student") is None
    assert 0 < (checkpoints.step("student") or 0) < COMPACT.student.optimise.steps
    with started(3, out, scene, COMPACT) as processes:
        codes, said = ended(processes)
    assert codes == [0, 0, 0], said
    assert_same(out, compact)


def test_when_one_dies_the_other_ends_with_one_line_and_one_goes_on(
    scene: Path, compact: Path, tmp_path: Path
):
    out = tmp_path / "run"
    with started(2, out, scene, COMPACT) as processes:
        wait_until((out / "metrics.rank1.jsonl").exists, processes)
        processes[1].kill()
        codes, said = ended(processes)
    assert codes == [2, -signal.SIGKILL], said
    assert [line for line in said[0].splitlines() if line.startswith("error:")] == [
        "error: rank 0: another process of this run has ended, see its own message; "
        "what was saved is safe: start all of them again, with --resume"
    ]
    assert "Traceback" not in said[0]
    assert_same(alone(out, scene, COMPACT), compact)


def test_what_rank_0_refuses_the_others_leave_without_a_word(scene: Path, tmp_path: Path):
    out = tmp_path / "run"
    out.write_text("a file")
    with started(2, out, scene, FORKS) as processes:
        codes, said = ended(processes)
    assert codes == [2, 2], said
    assert len(said[0].splitlines()) == 1
    assert said[1] == ""


def test_every_rank_keeps_to_the_memory_for_photos(
    scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The others know a run by its folder, which remembers no memory."""
    directory = RunDirectory(tmp_path / "run")
    directory.create(RunPlan(scene, SceneOptions(), FORKS, "cpu"))
    read: list[SceneOptions] = []

    def load(path: Path, options: SceneOptions, *more: Any) -> None:
        read.append(options)
        raise KeyboardInterrupt

    class Second(Ranks):
        def tell(self, value: Any) -> list[Any]:
            return [(directory.path, "cpu"), value]

    monkeypatch.setattr(distill_together, "load_views", load)
    monkeypatch.setattr(distill_together, "_device", torch.device)  # which else sets threads
    monkeypatch.setattr(distill_together, "joined", lambda: Second(rank=1, count=2))
    with pytest.raises(KeyboardInterrupt):
        distill_together.distill_together(Flags(scene_flags=SceneFlags(photo_memory_mb=3.0)))
    assert [options.photo_memory_mb for options in read] == [3.0]


@pytest.mark.parametrize(("rank", "errors"), [("0", 1), ("1", 0)])
def test_only_distill_runs_in_several_processes(
    rank: str, errors: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    place = {"RANK": rank, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}
    for name, value in place.items():
        monkeypatch.setenv(name, value)
    for command in (["bench"], ["ablate"], []):
        assert main(command) == 2
        said = capsys.readouterr().err.splitlines()
        assert len(said) == errors
        assert all("torchrun is for distill" in line for line in said)


def test_what_ranks_logged_is_taken_in_once_and_in_order(tmp_path: Path):
    log = MetricsLog(tmp_path / "metrics.jsonl")
    other = MetricsLog.of_rank(log.path, 1)
    for file, stage in ((log, "vanilla"), (log, "dropout"), (other, "perturbed")):
        for step in (1, 2):
            file.append({"stage": stage, "step": step})
    left = other.path.read_bytes()
    for _ in range(2):  # the second time as after a kill between writing and deleting
        log.collect(["vanilla", "perturbed", "dropout"])
        assert not other.path.exists()
        assert [line["stage"] for line in log.lines()] == [
            *["vanilla"] * 2, *["perturbed"] * 2, *["dropout"] * 2,
        ]  # fmt: skip
        other.path.write_bytes(left)


def test_what_is_added_up_travels_in_a_parcel_of_each_type(monkeypatch: pytest.MonkeyPatch):
    parcels: list[torch.dtype] = []

    def all_reduce(parcel: torch.Tensor, group: Any) -> None:
        parcels.append(parcel.dtype)
        parcel.mul_(2)

    monkeypatch.setattr(torch.distributed, "all_reduce", all_reduce)
    turned = torch.arange(6.0).reshape(2, 3).t()
    given = [turned, torch.tensor([3]), torch.ones(2, 2), torch.zeros(0)]
    wanted = [2 * tensor for tensor in given]
    Ranks(rank=0, count=2).add(given)
    assert parcels == [torch.float32, torch.int64]
    assert all(torch.equal(tensor, double) for tensor, double in zip(given, wanted, strict=True))
    assert given[0] is turned
