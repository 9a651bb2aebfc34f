"""What goes wrong is said in the window, in words a user understands; the window lives, nothing is lost."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from gaussians.cli.stopping import STOPPED
from gaussians.cli.virtual_user import StudioEndedError
from gaussians.io import read_splat
from gaussians.session.checkpoints import Checkpoints
from tests.gui.person import Person
from tests.session import tiny

PATIENCE = 240  # seconds: machines are slow and shared
DISK = "2m"  # holds a run's checkpoint, and the one that replaces it


class Victim(Person):
    """Someone whom things happen to."""

    program = str(Path(__file__).with_name("in_trouble.py"))

    def reads(self, *wanted: str, tag: str = "error close") -> str:
        """The words of a dialog that comes up, which must hold these."""
        self.wait_for_item(tag, PATIENCE)
        path = self.folder / "words.txt"

        def has_words(_: object) -> bool:
            return path.exists() and all(words in path.read_text() for words in wanted)

        self.wait(f"a dialog with {wanted}", has_words, 20)
        return path.read_text()

    def puts_away(self, tag: str = "error close") -> None:
        """Close the dialog."""
        self.click(tag)
        self.wait("it is put away", lambda known: tag not in known["items"])

    def closes_and_saves(self) -> None:
        """Close while a run is under way. At two frames a second a window may miss a short Ctrl+Q."""
        for _ in range(5):
            self.press("ctrl+q")
            with contextlib.suppress(StudioEndedError):
                self.wait_for_item("closing save", 10)
                break
        self.click("closing save")

    def trains(self, more: int = 3) -> None:
        """Wait for so many further lines of metrics."""
        done = self.knows()["points"]["loss"]
        self.wait("more steps", lambda known: known["points"]["loss"] >= done + more, PATIENCE)


@contextlib.contextmanager
def someone(display: str, folder: Path, path: Path, run: Path) -> Iterator[Victim]:
    """Within: a studio; its screenshots are kept as in test_scripted_run."""
    person = Victim(display, folder, path, run)
    try:
        person.wait("it to open", lambda known: known["opened"] and known["images"], PATIENCE)
        person.focus()
        yield person
    finally:
        person.end()
        keep = os.environ.get("SCREENSHOTS")
        if keep:
            Path(keep).mkdir(parents=True, exist_ok=True)
            for picture in folder.glob("*.png"):
                shutil.copy(picture, keep)


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    return tiny.write(tmp_path / "garden")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root can make a small disk here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(disk: Path) -> Path:
    """Leave no byte free; the file to delete."""
    path = disk / "filler"
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    return path


def is_shown(person: Victim, cell: str, shot: str) -> bool:
    """Whether a cell shows an image and not an empty field with words."""
    pixels = person.cell(cell, shot)
    return len(np.unique(pixels.reshape(-1, 3), axis=0)) > 500


@pytest.mark.timeout(900)
def test_full_disk(display: str, tmp_path: Path, scene: Path, disk: Path) -> None:
    run = disk / "run"
    with someone(display, tmp_path, scene, run) as person:
        person.press("space")
        saved = run / "checkpoints" / "vanilla.safetensors"
        person.wait("a checkpoint", lambda _: saved.exists(), PATIENCE)
        filler = fill(disk)
        person.reads("The run stopped", "(No space left on device)", "ree some space")
        person.screenshot("30 the disk is full")
        person.puts_away()
        step = Checkpoints(saved.parent).load("vanilla")
        assert step is not None, "the checkpoint survives"

        person.press("ctrl+e")
        person.click("export write")
        person.reads("The model was not exported", "No space left on device", str(disk), tag="export line")
        person.screenshot("31 the disk is full at export")
        person.puts_away("export close")
        filler.unlink()
        person.press("space")
        person.trains()

        person.press("space")
        person.wait("a pause", lambda known: known["run_state"] == "paused")
        filler = fill(disk)
        person.closes_and_saves()
        person.reads("The run could not be saved", "No space left on device", tag="unsaved again")
        person.screenshot("32 closing can not save")
        filler.unlink()
        person.click("unsaved again")
        assert person.process.wait(timeout=PATIENCE) == 0
        after = Checkpoints(saved.parent).load("vanilla")
        assert after is not None
        assert after[1]["step"] > step[1]["step"]


@pytest.mark.timeout(900)
def test_photos_and_run_vanish(display: str, tmp_path: Path, scene: Path) -> None:
    run = tmp_path / "run"
    with someone(display, tmp_path, scene, run) as person:
        person.press("space")
        person.wait("steps", lambda known: known["points"]["loss"] > 0, PATIENCE)
        shutil.rmtree(scene / "images")
        person.trains()
        assert is_shown(person, "photo", "33 photos are gone"), "they are in memory"
        moved = run.rename(tmp_path / "moved")
        person.reads("The run stopped", str(run), "gone, moved or deleted")
        person.screenshot("34 the run is gone")
        person.puts_away()
        assert not run.exists(), "no second run is begun there"
        moved.rename(run)
        person.press("space")
        person.trains()
        person.closes_and_saves()
        assert person.process.wait(timeout=PATIENCE) == 0

    with someone(display, tmp_path, run, run) as person:
        words = person.reads("The run's photos can't be read", "images")
        person.screenshot("35 reopened without photos")
        assert len(words.splitlines()) == 2, "what, and what to do"
        person.puts_away()
        assert is_shown(person, "vanilla", "36 models without photos")
        person.click("export")
        person.click("export write")
        person.wait("the export", lambda known: known["exported"], PATIENCE)
        assert len(read_splat(Path(person.knows()["exported"]))) > 0


@pytest.mark.timeout(900)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_end_by_the_system_it_saves(
    display: str, tmp_path: Path, scene: Path, number: signal.Signals
) -> None:
    run, lens = tmp_path / "run", scene / "transforms.json"
    # Pixels to be undistorted are pycolmap's work, which takes signals when it is imported.
    lens.write_text(json.dumps({**json.loads(lens.read_text()), "k1": 0.01}))
    with someone(display, tmp_path, scene, run) as person:
        person.press("space")
        person.wait("the first teacher", lambda known: "vanilla" in known["images"], PATIENCE)
        person.trains()
        person.process.send_signal(number)
        assert person.process.wait(timeout=PATIENCE) == STOPPED
    last = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
    saved = Checkpoints(run / "checkpoints").load(last["stage"])
    assert saved is not None
    assert saved[1]["step"] >= last["step"]


@pytest.mark.timeout(600)
def test_worker_dies(display: str, tmp_path: Path, scene: Path) -> None:
    run = tmp_path / "run"
    with someone(display, tmp_path, scene, run) as person:
        person.press("space")
        person.wait("a checkpoint", lambda _: list(run.glob("checkpoints/*.safetensors")), PATIENCE)
        (tmp_path / "die").touch()
        person.reads("Training and rendering have stopped", str(run), "Resume")
        person.screenshot("37 the worker has died")
        person.puts_away()
        person.press("space")
        person.reads("Training and rendering have stopped")
        person.puts_away()
        person.press("ctrl+q")
        assert person.process.wait(timeout=30) == 0
