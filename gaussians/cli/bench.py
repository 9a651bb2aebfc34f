"""`main.py bench`: measure this machine, as a table and as JSON that later runs can be compared with."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import rich.console
import torch
import tyro

from gaussians.cli.bench_cuda import bench_cuda
from gaussians.cli.bench_distill import bench_distill
from gaussians.cli.bench_gui import bench_gui
from gaussians.cli.bench_raster import bench_raster
from gaussians.cli.bench_scale import bench_scale
from gaussians.cli.bench_tables import (
    cuda_table,
    distill_table,
    gsplat_line,
    gui_table,
    machine_line,
    raster_line,
    raster_table,
    scale_table,
    train_line,
    train_table,
    views_table,
)
from gaussians.cli.bench_train import bench_train
from gaussians.cli.bench_views import bench_views
from gaussians.cli.console import Console
from gaussians.cli.distill import DEMO
from gaussians.cli.flags import absolute, parse
from gaussians.cli.peaks import copy_bandwidth, fma_rate
from gaussians.cli.recipe_flags import make_recipe
from gaussians.cli.scale_chart import scale_chart
from gaussians.cli.tables import print_whole
from gaussians.cli.workload import workload
from gaussians.errors import BackendUnavailableError
from gaussians.scene import SceneOptions, load_scene
from gaussians.session.equipment import machine_facts
from gaussians.session.machine import choose_device
from gaussians.storage import check_file_name, write_bytes, write_json

DESCRIPTION = (
    "Measure this machine: rasterizer, training part by part, the whole pipeline, scale, the studio."
)
_KINDS = Literal["raster", "train", "distill", "scale", "gui"]
_WHAT = tyro.conf.arg(
    metavar="raster|train|distill|scale|gui", help_behavior_hint="(default: raster and train)"
)
_DEMO = "(default: the demo)"
_CPU = torch.device("cpu")


@dataclass(frozen=True)
class Flags:
    """The flags of `bench`."""

    what: Annotated[_KINDS | None, tyro.conf.Positional, _WHAT] = None
    """raster: the CPU rasterizer on a fixed workload, and gsplat's where there is a GPU; train: training
    steps; distill: a whole distillation beside its own vanilla teacher; scale: a step, a preview and memory
    at 10 000 to 2 million Gaussians and up to 1920x1080, and loading 10 to 2000 photos; gui: the studio on a
    virtual display, by real input events (about five minutes). The machine should do nothing else."""
    json: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None
    """Also write all numbers to this file."""
    chart: Annotated[Path | None, tyro.conf.arg(metavar="FILE.svg", help_behavior_hint="")] = None
    """Also draw scale's curves to this file."""
    garden: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="")] = None
    """gsplat's garden_points.npz, the workload of raster; where there is none, one made of the demo."""
    scene: Annotated[Path | None, tyro.conf.arg(metavar="SCENE", help_behavior_hint=_DEMO)] = None
    """Folder of the scene that train, distill and gui train on."""
    resolution: Annotated[str | None, tyro.conf.arg(metavar="1/4|WIDTH", help_behavior_hint="")] = None
    """Of the photos that train and distill train on."""
    recipe: Annotated[str, tyro.conf.arg(metavar="NAME|FILE")] = "preview"
    """What distill carries out."""
    steps: Annotated[float | None, tyro.conf.arg(metavar="FACTOR", help_behavior_hint="")] = None
    """Stretch all schedules of that recipe by this factor."""
    size: Annotated[str, tyro.conf.arg(metavar="WxH")] = "1280x720"
    """Of gui's display."""
    minutes: float = 2.0
    """Of training whose memory gui watches; 0: none."""
    device: Annotated[str, tyro.conf.arg(metavar="auto|cpu|cuda")] = "auto"
    """Where train, distill, scale and gui train; of a GPU raster gives figures, too."""


def run(arguments: list[str]) -> int:
    """The command; see `main`.

    Raises:
        DistilleryError: of any kind, for bad input.
    """
    flags: Flags = parse(Flags, arguments, "bench", DESCRIPTION)
    if flags.chart is not None and flags.what != "scale":
        raise BackendUnavailableError("--chart: only scale is drawn; leave it out, or say bench scale")
    for path in (flags.json, flags.chart):
        if path is not None:
            check_file_name(path)  # now, and not after minutes of measuring
    bench = _Bench(flags, choose_device(flags.device))
    if flags.what in (None, "raster"):
        bench.raster()
    if flags.what in (None, "train", "distill"):
        bench.training()
    if flags.what == "scale":
        bench.scale()
    if flags.what == "gui":
        bench.gui()
    bench.say(machine_line(bench.machine))
    if flags.json is not None:
        write_json(flags.json, bench.results)
    return 0


class _Bench:
    """Measures, shows and keeps what the flags ask for.

    Attributes:
        machine: what it is, and what it could do at best as far as that was measured.
        results: by kind, as JSON values; `machine` is among them.
    """

    def __init__(self, flags: Flags, device: torch.device) -> None:
        self._flags = flags
        self._device = device
        self._console = rich.console.Console(highlight=False)
        self.machine = machine_facts()
        self.results: dict[str, Any] = {"machine": self.machine}

    def say(self, line: str) -> None:
        """A line on standard output."""
        self._console.print(line, markup=False)

    def raster(self) -> None:
        """The CPU's rasterizer, and gsplat's where there is a GPU."""
        work = workload(self._flags.garden)
        self.machine["fma_per_second"] = fma_rate()
        raster = bench_raster(work, self._bandwidth(_CPU), self.machine["fma_per_second"])
        self.results["raster"] = {work.name: raster}
        print_whole(raster_table(work.name, raster))
        self.say(raster_line(raster))
        if self._device.type == "cuda":
            try:
                raster["cuda"] = bench_cuda(work, self._device)
                print_whole(cuda_table(self.machine["gpu"], raster))
            except BackendUnavailableError as error:  # the CPU's figures stay
                self.say(f"no figures of the GPU: {error}")

    def training(self) -> None:
        """Steps, or with distill a whole run."""
        flags = self._flags
        recipe = make_recipe(flags.recipe, factor=flags.steps)
        folder, options = absolute(flags.scene or DEMO), SceneOptions(resolution=flags.resolution)
        shown = Console()
        with shown.loading(folder) as progress:
            scene = load_scene(folder, options, progress)
        if flags.what == "distill":
            self.results["distill"] = bench_distill(scene, options, recipe, self._device, shown)
            print_whole(distill_table(self.results["distill"]))
            return
        train = self.results["train"] = bench_train(scene, self._device, self._bandwidth(self._device))
        print_whole(train_table(train))
        self.say(train_line(train))
        if "beside_gsplat" in train:
            self.say(gsplat_line(train["beside_gsplat"]))

    def scale(self) -> None:
        """Steps against Gaussians and pixels, loading against photos."""
        steps = bench_scale(self._device, self._bandwidth(self._device))
        views = bench_views(self._bandwidth(_CPU))
        self.results["scale"] = {"steps": steps, "views": views}
        print_whole(scale_table(steps))
        print_whole(views_table(views))
        if self._flags.chart is not None:
            write_bytes(absolute(self._flags.chart), scale_chart(steps, views).encode())

    def gui(self) -> None:
        """The studio on a virtual display."""
        flags, folder = self._flags, absolute(self._flags.scene or DEMO)
        self.results["gui"] = bench_gui(folder, flags.device, _size(flags.size), flags.minutes)
        print_whole(gui_table(self.results["gui"]))

    def _bandwidth(self, device: torch.device) -> float:
        """Of copying memory there, measured once."""
        key = "copy_bytes_per_second" if device.type == "cpu" else "gpu_copy_bytes_per_second"
        if key not in self.machine:
            self.machine[key] = copy_bandwidth(device)
        return self.machine[key]


def _size(text: str) -> tuple[int, int]:
    """Width and height of "1280x720". Raises BackendUnavailableError."""
    sides = text.split("x")
    if len(sides) != 2 or not all(side.isdigit() and int(side) > 0 for side in sides):
        raise BackendUnavailableError(f"--size {text}: no size of a display; give one such as 1280x720")
    return int(sides[0]), int(sides[1])
