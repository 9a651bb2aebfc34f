"""What `bench` measured, as tables and lines."""

from typing import Any

from rich.table import Table

from gaussians.cli.tables import plain_table

COPIES = "x copying them"  # what copying the Gaussians' 59 floats each takes in the same run


def raster_table(name: str, raster: dict[str, Any]) -> Table:
    """The CPU rasterizer's parts."""
    count, size = f"{raster['gaussians']:,} Gaussians", f"{raster['width']}x{raster['height']}"
    table = plain_table(f"{name}: {count}, {size}", "ms", COPIES)
    for part in ("projection", "projection_backward", "binning", "forward", "backward"):
        milliseconds = raster[f"{part}_ms"]
        table.add_row(
            part.replace("_", " "), f"{milliseconds:.1f}", f"{milliseconds / raster['copy_ms']:.1f}"
        )
    return table


def raster_line(raster: dict[str, Any]) -> str:
    """What an evaluation takes, and of what the machine could do."""
    return (
        f"{raster['evaluations'] / 1e6:.1f} M evaluations: "
        f"{raster['ns_per_evaluation_core']:.2f} ns each and core forward "
        f"({100 * raster['share_of_fma_peak']:.0f} % of the multiply-add peak, "
        f"{100 * raster['share_of_copy_bandwidth']:.0f} % of the copy bandwidth), "
        f"{raster['backward_ns_per_evaluation_core']:.2f} ns backward"
    )


def cuda_table(gpu: str, raster: dict[str, Any]) -> Table:
    """gsplat's rasterizer on the same workload."""
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


def train_table(train: dict[str, Any]) -> Table:
    """A step's parts."""
    rate, count = f"{train['steps_per_second']:.1f} steps/s", f"{train['gaussians']:,} Gaussians"
    parts = train["parts_ms"]
    table = plain_table(f"{train['scene']}: {rate}, {count}", "ms", "% of the step", COPIES)
    for part, milliseconds in (parts | {"step": sum(parts.values())}).items():
        share, copies = 100 * milliseconds / sum(parts.values()), milliseconds / train["copy_ms"]
        table.add_row(part.replace("_", " "), f"{milliseconds:.2f}", f"{share:.0f}", f"{copies:.1f}")
    return table


def train_line(train: dict[str, Any]) -> str:
    """A step against rasterizing alone."""
    return (
        f"a step takes {train['step_to_rasterization']:.2f} times rasterizing alone, forward and backward "
        f"({train['rasterizing_ms']:.2f} ms)"
    )


def gsplat_line(beside: dict[str, float]) -> str:
    """A step against that of a plain trainer over gsplat."""
    ratio = beside["gsplat_ms"] / beside["ours_ms"]
    return (
        f"without growth a step takes {beside['ours_ms']:.2f} ms, a plain trainer over gsplat "
        f"{beside['gsplat_ms']:.2f} ms, {ratio:.1f} times as long"
    )


def scale_table(lines: list[dict[str, Any]]) -> Table:
    """Steps and previews against Gaussians and pixels."""
    table = plain_table(
        "Gaussians",
        "size",
        "step, ms",
        "preview, ms",
        "ns a Gaussian and step",
        f"step, {COPIES}",
        "peak, GB",
    )
    for line in lines:
        count, step = line["gaussians"], line["step_ms"]
        size, preview = f"{line['width']}x{line['height']}", f"{line['preview_ms']:.0f}"
        each, copies = f"{1e6 * step / count:.0f}", f"{step / line['copy_ms']:.1f}"
        table.add_row(
            f"{count:,}", size, f"{step:.0f}", preview, each, copies, f"{line['peak_bytes'] / 1e9:.2f}"
        )
    return table


def distill_table(distill: dict[str, Any]) -> Table:
    """A pipeline's models beside its vanilla teacher."""
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


def gui_table(gui: dict[str, Any]) -> Table:
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


def views_table(points: list[dict[str, Any]]) -> Table:
    """Loading photos, whole and bounded."""
    table = plain_table("photos", "in memory at most", "s", "x copying them", "peak MB", "of that before")
    for point in points:
        bound = point["photo_memory_mb"]
        table.add_row(
            f"{point['views']}, {point['pixel_bytes'] / 1e6:.0f} MB",
            "all" if bound is None else f"{bound:g} MB",
            f"{point['seconds']:.2f}",
            f"{1e3 * point['seconds'] / point['copy_ms']:.0f}",
            *(f"{point[key] / 1e6:.0f}" for key in ("peak_bytes", "base_bytes")),
        )
    return table


def machine_line(machine: dict[str, Any]) -> str:
    """What it ran on."""
    parts = [f"{machine['processor']}, {machine['threads']} threads, {machine['vector_units']}"]
    if machine["gpu"]:
        parts.append(machine["gpu"])
    if "fma_per_second" in machine:
        parts.append(f"{2e-9 * machine['fma_per_second']:.0f} GFLOP/s")
    if "copy_bytes_per_second" in machine:
        parts.append(f"copies {1e-9 * machine['copy_bytes_per_second']:.1f} GB/s")
    return "; ".join(parts)
