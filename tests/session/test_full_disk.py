"""A disk that fills up while a run writes: one error that names the file, and what was there survives."""

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from gaussians.errors import StorageError
from gaussians.io import write_splat
from gaussians.scene import SceneOptions
from gaussians.session.checkpoints import Checkpoints
from gaussians.session.directory import RunDirectory, RunPlan
from gaussians.session.metrics import MetricsLog
from gaussians.session.picture import write_picture
from gaussians.storage import write_json
from tests.session import tiny

resource = pytest.importorskip("resource", reason="Windows has no limits on the size of files")

LIMIT = 2000  # bytes; every file below wants more
LINE = {"step": 1, "count": 100}


@contextlib.contextmanager
def full_disk() -> Iterator[None]:
    """Within: the system lets no file grow beyond `LIMIT`, whoever writes it, Python or not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def checkpoint(folder: Path) -> Path:
    Checkpoints(folder).save("trunk", {"means": torch.zeros(1000, 3)}, {"step": 1})
    return folder / "trunk.safetensors"


def splat(folder: Path) -> Path:
    write_splat(folder / "student.ply", tiny.true_gaussians())
    return folder / "student.ply"


def report(folder: Path) -> Path:
    write_json(folder / "report.json", list(range(1000)))
    return folder / "report.json"


def picture(folder: Path) -> Path:
    directory = RunDirectory(folder)
    facts = {"gaussians": 120, "per_view": {}}
    document = {"models": {"ensemble": facts}, "totals": {"student_share": 1.0}, "scene": {"name": "tiny"}}
    write_picture(directory, tiny.scene(), document, torch.device("cpu"))
    return directory.picture


@pytest.mark.parametrize("write", [checkpoint, splat, report, picture])
def test_a_full_disk_leaves_the_file_before(write: Callable[[Path], Path], tmp_path: Path):
    path = write(tmp_path)
    before = path.read_bytes()
    assert len(before) > LIMIT
    with full_disk(), pytest.raises(StorageError, match="could not be written") as caught:
        write(tmp_path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == before
    assert [child.name for child in tmp_path.iterdir()] == [path.name]


def test_a_log_that_cannot_grow_keeps_its_lines(tmp_path: Path):
    log = MetricsLog(tmp_path / "metrics.jsonl")

    def fill() -> None:
        for _ in range(LIMIT):
            log.append(LINE)

    with full_disk(), pytest.raises(StorageError, match=r"metrics\.jsonl: File too large"):
        fill()
    kept = list(log.lines())
    assert len(kept) > 50
    assert all(line == LINE for line in kept)
    log.keep(lambda line: True)  # as a resumed run does: the line that was cut short goes
    log.append(LINE)
    texts = log.path.read_text().splitlines()
    assert [json.loads(text) for text in texts] == [LINE] * (len(kept) + 1)


def test_a_run_that_cannot_begin_leaves_nothing(tmp_path: Path):
    directory = RunDirectory(tmp_path / "run")
    with full_disk(), pytest.raises(StorageError, match=r"recipe\.json"):
        directory.create(RunPlan(Path("tiny"), SceneOptions(), tiny.recipe(), "cpu"))
    assert not directory.exists
