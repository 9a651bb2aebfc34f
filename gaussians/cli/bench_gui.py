"""`bench gui`: the studio as its user feels it, measured on a virtual display by real input events."""

import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from gaussians.cli.gui_figures import (
    Movement,
    frame_rate,
    latencies,
    longest_gap,
    stage_seconds,
    summary,
    trend,
)
from gaussians.cli.virtual_user import ROOT, VirtualUser, missing, virtual_display
from gaussians.errors import BackendUnavailableError, RunError
from gaussians.session.directory import RunDirectory
from gaussians.session.machine import memory_of

PATIENCE = 900.0  # seconds for anything
EVENTS = 60.0  # mouse movements a second
LOOK_EVERY = 0.05  # seconds between two looks at a file or at memory
WARM_UP = 30.0  # seconds before memory is said to be flat or not
_ENDLESS = 10_000_000  # steps


def bench_gui(
    scene: Path, device: str, size: tuple[int, int], minutes: float, drag: float = 8.0
) -> dict[str, Any]:
    """Measure the studio on a scene with the recipe preview.

    Args:
        scene: folder of the scene.
        device: "auto", "cpu" or "cuda".
        size: of the virtual display, px.
        minutes: of training whose memory is watched; 0: leaves that out.
        drag: seconds that the camera is dragged in each state.

    Raises:
        BackendUnavailableError: a program that is needed is not there.
        RunError: a run that is measured against did not end well.
    """
    lacking = missing()
    if lacking:
        packages = "apt-get install xvfb xdotool libgl1-mesa-dri"
        raise BackendUnavailableError(f"bench gui needs {' and '.join(lacking)}: {packages}")
    temporary = tempfile.TemporaryDirectory(prefix="splat-distillery-bench-")
    with temporary as name, virtual_display(*size) as display:
        bench = _Bench(scene, device, display, Path(name))
        result: dict[str, Any] = {"size": list(size), "scene": scene.name}
        result["start"] = bench.start()
        result["training"] = bench.training()
        result["dragging"] = bench.dragging(drag)
        if minutes > 0:
            result["memory"] = bench.memory(60 * minutes)
    return summary(result) | result


class _Bench:
    def __init__(self, scene: Path, device: str, display: str, folder: Path) -> None:
        self._scene, self._device, self._display, self._folder = scene, device, display, folder

    def start(self) -> dict[str, float]:
        """Seconds from the command to the first picture: with kernels compiled, and with none."""
        seconds = {}
        for name in ("warm_up", "warm", "first"):  # the first start only warms the disk's cache
            kernels = {"NUMBA_CACHE_DIR": str(self._folder / "no kernels")} if name == "first" else {}
            with self._user(name, self._scene, kernels) as user:
                user.wait("the first picture", lambda known: known["images"], PATIENCE)
                shown = next(frame["t"] for frame in _frames(user) if frame["shown"])
                seconds[f"{name}_s"] = shown - user.began
        del seconds["warm_up_s"]
        return seconds

    def training(self) -> dict[str, Any]:
        """The training rate with the window open and untouched, between two headless runs of the same."""
        before = self._headless("before")
        with self._user("untouched", self._scene) as user:
            run = user.folder / "run"
            user.wait("the scene", lambda known: known["images"], PATIENCE)
            user.click("start")
            user.move(*user.place("status bar"))
            arrivals, began = [], time.monotonic()
            for arrival in _lines(run / "metrics.jsonl", lambda: _is_finished(user)):
                arrivals.append(arrival)
            ended = arrivals[-1][0]
            user.wait("the end", lambda known: known["run_state"] == "finished", PATIENCE)
            frames = _frames(user)
        after = self._headless("after")
        window = stage_seconds(arrivals)
        stages = {
            stage: (before[stage] + after[stage]) / 2 / seconds
            for stage, seconds in window.items()
            if stage in before and stage in after
        }
        headless = [sum(run[stage] for stage in stages) for run in (before, after)]
        return {
            "rate_to_headless": sum(headless) / 2 / sum(window[stage] for stage in stages),
            "by_stage": stages,
            "headless_seconds": headless,
            "window_seconds": sum(window[stage] for stage in stages),
            "frames_per_second": frame_rate(frames, began, ended),
            "longest_still_s": longest_gap(frames, began, ended),
        }

    def dragging(self, seconds: float) -> dict[str, Any]:
        """From mouse movement to image: while the first teacher trains, the student does, and paused."""
        result = {}
        with self._user("dragged", self._scene) as user:
            user.wait("the scene", lambda known: known["images"], PATIENCE)
            user.focus()
            user.click("start")
            for name, cell in (("teacher", "vanilla"), ("student", "student")):
                user.wait(f"the {name}", lambda known, cell=cell: cell in known["images"], PATIENCE)
                time.sleep(2)
                result[name] = self._drag(user, cell, seconds)
            user.press("space")
            user.wait("the pause", lambda known: known["run_state"] == "paused", PATIENCE)
            result["paused"] = self._drag(user, "student", seconds)
        return result

    def memory(self, seconds: float) -> dict[str, Any]:
        """Memory of a window that trains a student without end: after warm-up, MiB and its slope."""
        run = self._endless_run()
        curve: list[tuple[float, float]] = []
        with self._user("memory", run) as user:
            user.wait("the run", lambda known: "start" in known["items"], PATIENCE)
            user.click("start")
            user.move(*user.place("status bar"))
            user.wait("the student", lambda known: "student" in known["images"], PATIENCE)
            began = time.monotonic()
            while (now := time.monotonic() - began) < WARM_UP + seconds:
                user.knows()
                curve.append((now, memory_of(user.process.pid) / 2**20))
                time.sleep(1)
        settled = [(at / 3600, used) for at, used in curve if at >= WARM_UP]
        slope, error = trend(settled)
        thinned = curve[:: max(1, len(curve) // 200)]
        return {
            "minutes": seconds / 60,
            "mib_per_hour": slope,
            "mib_per_hour_error": error,
            "mib_at_start": settled[0][1],
            "mib_at_end": settled[-1][1],
            "curve_s_mib": [[round(at, 1), round(used, 1)] for at, used in thinned],
        }

    @contextmanager
    def _user(
        self, name: str, path: Path, environment: dict[str, str] | None = None
    ) -> Iterator[VirtualUser]:
        folder = self._folder / name
        folder.mkdir()
        run = path if path.parent == self._folder else folder / "run"
        user = VirtualUser(self._display, folder, path, run, self._device, environment)
        try:
            yield user
        finally:
            user.end()

    def _drag(self, user: VirtualUser, cell: str, seconds: float) -> dict[str, Any]:
        """Drag the camera around in a cell, as a restless hand would."""
        centre = user.place(cell)
        user.move(*centre)
        user.do("mousedown", "1")
        time.sleep(0.2)
        movements: list[Movement] = []
        began = time.monotonic()
        while (now := time.monotonic() - began) < seconds:
            # Never the same place twice in a second.
            angle, radius = 1.7 * now, 60 + 25 * math.sin(0.9 * now)
            x = round(centre[0] + radius * (math.cos(angle) - 1))
            y = round(centre[1] + 0.5 * radius * math.sin(angle))
            if not movements or (x, y) != (movements[-1].x, movements[-1].y):
                movements.append(Movement(user.slide(x, y), x, y))
            time.sleep(max(0.0, began + now + 1 / EVENTS - time.monotonic()))
        ended = time.monotonic()
        time.sleep(1)
        user.do("mouseup", "1")
        time.sleep(1)
        frames = [frame for frame in _frames(user) if frame["t"] >= began - 0.1]
        delays = latencies(movements, frames, cell)
        return {
            "median_ms": float(np.median(delays)),
            "p95_ms": float(np.percentile(delays, 95)),
            "worst_ms": float(delays.max()),
            "movements": len(delays),
            "frames_per_second": frame_rate(frames, began, ended),
        }

    def _headless(self, name: str) -> dict[str, float]:
        """Seconds of each stage of a headless run."""
        run = self._folder / name
        with self._distill(str(self._scene), "--out", str(run), "--recipe", "preview") as process:
            arrivals = list(_lines(run / "metrics.jsonl", lambda: process.poll() is not None))
        if process.returncode != 0:
            raise RunError(f"the headless run to compare with ended with exit code {process.returncode}")
        return stage_seconds(arrivals)

    def _endless_run(self) -> Path:
        """A run that has its teachers, and is about to train a student for ever."""
        teacher = RunDirectory(self._folder / "before").splat("vanilla")
        run = self._folder / "endless"
        arguments = [str(self._scene), "--out", str(run), "--recipe", "preview"]
        arguments += ["--teacher", str(teacher), "--save-every", "1"]
        arguments += ["--set", f"student.optimise.steps={_ENDLESS}"]
        with self._distill(*arguments) as process:
            for _, stage, _ in _lines(run / "metrics.jsonl", lambda: process.poll() is not None):
                if stage == "student":
                    break
            process.send_signal(signal.SIGINT)
            process.wait(timeout=PATIENCE)
        return run

    @contextmanager
    def _distill(self, *arguments: str) -> Iterator[subprocess.Popen]:
        command = [sys.executable, str(ROOT / "main.py"), "distill", *arguments, "--device", self._device]
        environment = {key: value for key, value in os.environ.items() if key != "DISPLAY"}
        with (self._folder / "headless.log").open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
            try:
                yield process
                process.wait(timeout=PATIENCE)
            finally:
                process.kill()
                process.wait()


def _is_finished(user: VirtualUser) -> bool:
    return user.knows().get("run_state") == "finished"


def _frames(user: VirtualUser) -> list[dict[str, Any]]:
    """All whole lines of the trace so far."""
    text = (user.trace / "frames.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


def _lines(path: Path, is_over: Callable[[], bool]) -> Iterator[tuple[float, str, int]]:
    """(time, stage, step) of each line of a metrics.jsonl as it comes, until it is over."""
    rest, offset, asked = "", 0, 0.0
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        over = False
        if time.monotonic() > asked + 1.0:
            asked, over = time.monotonic(), is_over()
        if path.exists():
            with path.open(encoding="utf-8") as file:
                file.seek(offset)
                rest += file.read()
                offset = file.tell()
        *whole, rest = rest.split("\n")
        now = time.monotonic()
        for line in map(json.loads, whole):
            if "event" not in line:
                yield now, line["stage"], line["step"]
        if over:
            return
        time.sleep(LOOK_EVERY)
    raise RunError(f"{path}: the run did not end within {PATIENCE:.0f} s")
