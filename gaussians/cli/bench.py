"""`main.py bench`: measure this machine, as a table and as JSON that later runs can be compared with."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import rich.console
import tyro
from rich.table import Table

from gaussians.cli.bench_cuda import bench_cuda
from gaussians.cli.bench_distill import bench_distill
from gaussians.cli.bench_gui import bench_gui
from gaussians.cli.bench_raster import bench_raster
from gaussians.cli.bench_scale import bench_scale
from gaussians.cli.bench_train import bench_train
from gaussians.cli.bench_views import bench_views
from gaussians.cli.console import Console
from gaussians.cli.distill import DEMO
from gaussians.cli.flags import absolute, parse
from gaussians.cli.peaks import copy_bandwidth, fma_rate
from gaussians.cli.recipe_flags import make_recipe
from gaussians.cli.tables import plain_table, print_whole
from gaussians.cli.workload import workload
from gaussians.errors import BackendUnavailableError
from gaussians.scene import SceneOptions, load_scene
from gaussians.session.equipment import machine_facts
from gaussians.session.machine import choose_device
from gaussians.storage import write_json

DESCRIPTION = (
    "Measure this machine: rasterizer, training part by part, the whole pipeline, scale, the studio."
)
_KINDS = Literal["raster", "train", "distill", "scale", "gui"]
_WHAT = tyro.conf.arg(
    metavar="raster|train|distill|scale|gui", help_behavior_hint="(default: raster and train)"
)
_DEMO = "(default: the demo)"


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
    device = choose_device(flags.device)
    console = rich.console.Console(highlight=False)
    machine = machine_facts()
    results: dict[str, Any] = {"machine": machine}
    if flags.what in (None, "raster"):
        work = workload(flags.garden)
        machine["copy_bytes_per_second"], machine["fma_per_second"] = copy_bandwidth(), fma_rate()
        raster = bench_raster(work, machine["copy_bytes_per_second"], machine["fma_per_second"])
        results["raster"] = {work.name: raster}
        print_whole(_raster_table(work.name, raster))
        console.print(_raster_line(raster), markup=False)
        if device.type == "cuda":
            try:
                raster["cuda"] = bench_cuda(work, device)
                print_whole(_cuda_table(machine["gpu"], raster))
            except BackendUnavailableError as error:  # the CPU's figures stay
                console.print(f"no figures of the GPU: {error}", markup=False)
    if flags.what in (None, "train", "distill"):
        recipe = make_recipe(flags.recipe, factor=flags.steps)
        folder, options = absolute(flags.scene or DEMO), SceneOptions(resolution=flags.resolution)
        shown = Console()
        with shown.loading(folder) as progress:
            scene = load_scene(folder, options, progress)
        if flags.what == "distill":
            results["distill"] = bench_distill(scene, options, recipe, device, shown)
            print_whole(_distill_table(results["distill"]))
        else:
            results["train"] = bench_train(scene, device)
            print_whole(_train_table(results["train"]))
            if "beside_gsplat" in results["train"]:
                console.print(_gsplat_line(results["train"]["beside_gsplat"]), markup=False)
    if flags.what == "scale":
        results["scale"] = {"steps": bench_scale(device), "views": bench_views()}
        print_whole(_scale_table(results["scale"]["steps"]))
        print_whole(_views_table(results["scale"]["views"]))
    if flags.what == "gui":
        folder = absolute(flags.scene or DEMO)
        results["gui"] = bench_gui(folder, flags.device, _size(flags.size), flags.minutes)
        print_whole(_gui_table(results["gui"]))
    console.print(_machine_line(machine), markup=False)
    if flags.json is not None:
        write_json(flags.json, results)
    return 0


def _size(text: str) -> tuple[int, int]:
    """Width and height of "1280x720". Raises BackendUnavailableError."""
    sides = text.split("x")
    if len(sides) != 2 or not all(side.isdigit() and int(side) > 0 for side in sides):
        raise BackendUnavailableError(f"--size {text}: no size of a display; give one such as 1280x720")
    return int(sides[0]), int(sides[1])


def _raster_table(name: str, raster: dict[str, Any]) -> Table:
    count, size = f"{raster['gaussians']:,} Gaussians", f"{raster['width']}x{raster['height']}"
    table = plain_table(f"{name}: {count}, {size}", "ms")
    for part in ("projection", "projection_backward", "binning", "forward", "backward"):
        table.add_row(part.replace("_", " "), f"{raster[f'{part}_ms']:.1f}")
    return table


def _raster_line(raster: dict[str, Any]) -> str:
    return (
        f"{raster['evaluations'] / 1e6:.1f} M evaluations: "
        f"{raster['ns_per_evaluation_core']:.2f} ns each and core forward "
        f"({100 * raster['share_of_fma_peak']:.0f} % of the multiply-add peak, "
        f"{100 * raster['share_of_copy_bandwidth']:.0f} % of the copy bandwidth), "
        f"{raster['backward_ns_per_evaluation_core']:.2f} ns backward"
    )


def _cuda_table(gpu: str, raster: dict[str, Any]) -> Table:
    table = plain_table(f"the same on {gpu}", "ms", "CPU / GPU")
    on_cpu = {
        "forward_ms": sum(raster[f"{part}_ms"] for part in ("projection", "binning", "forward")),
        "backward_ms": sum(raster[f"{part}_ms"] for part in ("projection_backward", "backward")),
    }
    for name, milliseconds in raster["cuda"].items():
        beside = next((on_cpu[part] for part in on_cpu if name.endswith(part)), None)
        ratio = "" if beside is None else f"{beside / milliseconds:.0f}"
        table.add_row(name.removesuffix("_ms").replace("_", " "), f"{milliseconds:.3f}", ratio)
    return table


def _train_table(train: dict[str, Any]) -> Table:
    rate, count = f"{train['steps_per_second']:.1f} steps/s", f"{train['gaussians']:,} Gaussians"
    table = plain_table(f"{train['scene']}: {rate}, {count}", "ms")
    for part, milliseconds in train["parts_ms"].items():
        table.add_row(part.replace("_", " "), f"{milliseconds:.2f}")
    return table


def _gsplat_line(beside: dict[str, float]) -> str:
    ratio = beside["gsplat_ms"] / beside["ours_ms"]
    return (
        f"without growth a step takes {beside['ours_ms']:.2f} ms, a plain trainer over gsplat "
        f"{beside['gsplat_ms']:.2f} ms, {ratio:.1f} times as long"
    )


def _scale_table(lines: list[dict[str, Any]]) -> Table:
    table = plain_table("Gaussians", "size", "step, ms", "preview, ms", "ns a Gaussian and step", "peak, GB")
    for line in lines:
        count, step = line["gaussians"], line["step_ms"]
        size, preview = f"{line['width']}x{line['height']}", f"{line['preview_ms']:.0f}"
        peak = f"{line['peak_bytes'] / 1e9:.2f}"
        table.add_row(f"{count:,}", size, f"{step:.0f}", preview, f"{1e6 * step / count:.0f}", peak)
    return table


def _distill_table(distill: dict[str, Any]) -> Table:
    size = "x".join(map(str, distill["size"]))
    table = plain_table(f"{distill['scene']}, {size}, {distill['recipe']}", "s", "x vanilla", "MB", "PSNR")
    vanilla = next(iter(distill["models"].values()))
    for name, model in distill["models"].items():
        ratio, psnr = model["seconds"] / vanilla["seconds"], model["psnr"]
        measured = "" if psnr is None else f"{psnr:.2f}"
        megabytes = f"{model['peak_memory'] / 1e6:.0f}"
        table.add_row(name, f"{model['seconds']:.1f}", f"{ratio:.2f}", megabytes, measured)
    seconds, megabytes = f"{distill['pipeline_seconds']:.1f}", f"{distill['peak_memory_bytes'] / 1e6:.0f}"
    table.add_row("all steps", seconds, f"{distill['ratio']:.2f}", megabytes, "")
    wall = distill["wall_seconds"]
    table.add_row("with measuring and writing", f"{wall:.1f}", f"{wall / vanilla['seconds']:.2f}", "", "")
    return table


def _gui_table(gui: dict[str, Any]) -> Table:
    """What is felt, beside the project's goals for two cores and a software-rendered display."""
    start, training = gui["start"], gui["training"]
    table = plain_table(f"studio: {gui['scene']}, {gui['size'][0]}x{gui['size'][1]}", "measured", "goal")
    table.add_row("command to first picture", f"{start['warm_s']:.1f} s", "≤ 5 s")
    table.add_row("the same, nothing compiled", f"{start['first_s']:.1f} s", "≤ 20 s")
    table.add_row("training rate to headless", f"{training['rate_to_headless']:.2f}", "≥ 0.80")
    table.add_row("frames a second, training", f"{training['frames_per_second']:.1f}", "≥ 20")
    for state, most in (("teacher", 150), ("student", 150), ("paused", 80)):
        drag, tail = gui["dragging"][state], "" if state == "paused" else ", 95 % ≤ 350 ms"
        delays = f"{drag['median_ms']:.0f} ms, 95 % ≤ {drag['p95_ms']:.0f} ms"
        table.add_row(f"mouse to image, {state}", delays, f"≤ {most} ms{tail}")
        table.add_row(f"frames a second, {state}", f"{drag['frames_per_second']:.1f}", "≥ 20")
    if "memory" in gui:
        memory = gui["memory"]
        slope = f"{memory['mib_per_hour']:+.0f} ± {memory['mib_per_hour_error']:.0f} MiB/h"
        table.add_row(f"memory, {memory['minutes']:g} minutes", slope, "flat")
    return table


def _views_table(points: list[dict[str, Any]]) -> Table:
    table = plain_table("photos", "in memory at most", "s", "peak MB", "of that before")
    for point in points:
        bound = point["photo_memory_mb"]
        table.add_row(
            f"{point['views']}, {point['pixel_bytes'] / 1e6:.0f} MB",
            "all" if bound is None else f"{bound:g} MB",
            f"{point['seconds']:.2f}",
            *(f"{point[key] / 1e6:.0f}" for key in ("peak_bytes", "base_bytes")),
        )
    return table


def _machine_line(machine: dict[str, Any]) -> str:
    parts = [f"{machine['processor']}, {machine['threads']} threads, {machine['vector_units']}"]
    if machine["gpu"]:
        parts.append(machine["gpu"])
    if "fma_per_second" in machine:
        parts.append(f"{2e-9 * machine['fma_per_second']:.0f} GFLOP/s")
        parts.append(f"copies {1e-9 * machine['copy_bytes_per_second']:.1f} GB/s")
    return "; ".join(parts)
