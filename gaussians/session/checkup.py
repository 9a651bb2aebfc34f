"""What this machine has for this program, what is missing, and how to get it."""

import importlib
import importlib.metadata
import importlib.util
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from gaussians.raster import cuda_gsplat
from gaussians.session.equipment import machine_facts
from gaussians.session.machine import choose_device, device_name
from gaussians.session.warmup import compiled_mark, kernel_folder
from gaussians.train.metrics import lpips_weights

Verdict = Literal["ok", "missing", "note"]

_LITTLE_MEMORY = 4e9  # bytes: an outdoor scene's teachers need about as much
_LITTLE_SPACE = 2e9  # bytes: a large run with its checkpoints
_CUDA_ADVICE = (
    "on a machine with an NVIDIA GPU, install PyTorch's CUDA build: https://pytorch.org/get-started"
)


@dataclass(frozen=True)
class Finding:
    """One line of the check-up.

    Attributes:
        what: what was looked at.
        verdict: "ok", "missing" (something won't work without it), or "note" (worth knowing).
        found: what there is.
        advice: what to do; empty where there is nothing to do.
    """

    what: str
    verdict: Verdict
    found: str
    advice: str = ""


def check_up() -> list[Finding]:
    """Look at everything the program uses; none of it fails."""
    machine = machine_facts()
    return [
        Finding("Python", "ok", f"{machine['versions']['python']} ({sys.executable})"),
        Finding("system", "ok", machine["system"]),
        _processor(machine["processor"], machine["vector_units"]),
        Finding("cores", "ok", f"{machine['cores']}, of which kernels use {machine['threads']}"),
        _memory(machine["memory_bytes"]),
        _space(Path.cwd()),
        _torch(),
        _gpu(),
        _gsplat(),
        _numba(machine["versions"]["numba"], machine["threading_layer"]),
        _kernels(),
        _package("pycolmap", "pycolmap", "COLMAP scenes and structure from motion"),
        _ffmpeg(),
        _package("FLIP", "flip_evaluator", "the perceptual error of eval and report", "flip-evaluator"),
        _lpips(),
        _window(),
        _display(),
    ]


def chosen_backend() -> str:
    """What "--device auto" uses, for people."""
    device = choose_device("auto")
    backend = "gsplat's CUDA kernels" if device.type == "cuda" else "our CPU kernels"
    return f"{device.type}: {backend} on {device_name(device)}"


def _processor(name: str, vectors: str) -> Finding:
    narrow = vectors in ("SSE2", "unknown")
    advice = "kernels run on narrow vectors: expect a quarter of the usual speed" if narrow else ""
    return Finding("processor", "note" if narrow else "ok", f"{name}, {vectors}", advice)


def _memory(total: int) -> Finding:
    little = 0 < total < _LITTLE_MEMORY
    advice = "use --resolution 1/2 or 1/4 for large scenes" if little else ""
    found = f"{total / 1e9:.1f} GB" if total else "unknown"
    return Finding("memory", "note" if little else "ok", found, advice)


def _space(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    little = free < _LITTLE_SPACE
    advice = "free some space, or choose another --out" if little else ""
    return Finding("disk space", "note" if little else "ok", f"{free / 1e9:.1f} GB free in {folder}", advice)


def _torch() -> Finding:
    built = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "CPU build"
    return Finding("PyTorch", "ok", f"{torch.__version__}, {built}, {torch.get_num_threads()} threads")


def _gpu() -> Finding:
    if not torch.cuda.is_available():
        why = "PyTorch is a CPU build" if torch.version.cuda is None else "PyTorch sees none"
        advice = _CUDA_ADVICE if torch.version.cuda is None else "check the driver with nvidia-smi"
        return Finding("GPU", "note", f"none in use: {why}; all works on the CPU", advice)
    facts = torch.cuda.get_device_properties(0)
    memory = f"{facts.total_memory / 1e9:.0f} GB"
    return Finding("GPU", "ok", f"{facts.name}, {memory}, compute capability {facts.major}.{facts.minor}")


def _gsplat() -> Finding:
    version = _version("gsplat")
    if version is None:
        return Finding("gsplat", "missing", "not installed", "pip install gsplat: it grows the Gaussians")
    if not torch.cuda.is_available():
        return Finding("gsplat", "ok", f"{version}; its CUDA kernels are not needed without a GPU")
    reason = cuda_gsplat.unavailable_reason()
    if reason is not None:
        return Finding("gsplat", "missing", f"{version}, but {reason}", "until then use --device cpu")
    if _gsplat_is_compiled():
        return Finding("gsplat", "ok", f"{version}, CUDA kernels compiled")
    found = f"{version}, CUDA kernels not compiled yet; nvcc is there"
    return Finding("gsplat", "note", found, "they are compiled at the first use: some minutes, once")


def _gsplat_is_compiled() -> bool:
    """Whether gsplat came with its kernels, or has compiled them into PyTorch's folder for extensions."""
    if importlib.util.find_spec("gsplat.csrc") is not None:
        return True
    from torch.utils import cpp_extension  # slow to import, and needed on this path only

    folder = Path(cpp_extension._get_build_directory("gsplat_cuda", verbose=False))
    return any((folder / f"gsplat_cuda{suffix}").exists() for suffix in (".so", ".pyd", ".lib"))


def _numba(version: str, layer: str) -> Finding:
    found = f"{version}, threads by {layer}"
    if layer == "workqueue":
        advice = "install libgomp (OpenMP; libomp on macOS): then window and training may render at once"
        return Finding("Numba", "note", found, advice)
    return Finding("Numba", "ok", found)


def _kernels() -> Finding:
    folder = kernel_folder()
    if compiled_mark().exists():
        return Finding("CPU kernels", "ok", f"compiled, in {folder}")
    begun = "some compiled" if any(folder.rglob("*.nbi")) else "not compiled yet"
    advice = "`python main.py doctor --compile` does it now: about a minute, once; else the first run does"
    return Finding("CPU kernels", "note", f"{begun}, in {folder}", advice)


def _package(what: str, module: str, purpose: str, package: str | None = None) -> Finding:
    """A package that must import."""
    name = package or module
    try:
        importlib.import_module(module)
    except Exception as error:  # a broken library may raise anything; all of it means missing
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        return Finding(what, "missing", f"{name}: {reason}", f"pip install {name}: {purpose}")
    return Finding(what, "ok", f"{name} {_version(name)}")


def _ffmpeg() -> Finding:
    try:
        import imageio_ffmpeg

        version = imageio_ffmpeg.get_ffmpeg_version()
    except (ImportError, RuntimeError, OSError):
        advice = "pip install imageio-ffmpeg: render --out FILE.mp4"
        return Finding("ffmpeg", "missing", "none found", advice)
    return Finding("ffmpeg", "ok", version)


def _lpips() -> Finding:
    packages = [name for name in ("lpips", "torchvision") if importlib.util.find_spec(name) is None]
    weights = lpips_weights()
    if not packages and weights.is_file():
        return Finding("LPIPS", "ok", f"weights in {weights}")
    wanted = ([f"pip install {' '.join(packages)}"] if packages else []) + (
        [] if weights.is_file() else [f"torchvision's VGG-16 weights at {weights}"]
    )
    found = "not available: reports leave it out"
    return Finding("LPIPS", "note", found, f"optional; wants {' and '.join(wanted)}")


def _window() -> Finding:
    """By its version alone: the engine never imports it."""
    version = _version("dearpygui")
    if version is None:
        return Finding("window", "missing", "dearpygui: not installed", "pip install dearpygui")
    return Finding("window", "ok", f"dearpygui {version}")


def _display() -> Finding:
    if sys.platform in ("win32", "darwin"):
        return Finding("display", "ok", "the system's")
    if os.environ.get("DISPLAY"):
        return Finding("display", "ok", f"DISPLAY={os.environ['DISPLAY']}")
    if os.environ.get("WAYLAND_DISPLAY"):
        return Finding("display", "note", "Wayland only", "the window needs XWayland, which sets DISPLAY")
    advice = "without one, commands run headless; xvfb-run gives a virtual one"
    return Finding("display", "note", "none (DISPLAY is not set)", advice)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
