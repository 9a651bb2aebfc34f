"""What runs here: device, memory, versions. For reports, and for `doctor`."""

import importlib.metadata
import os
import platform
import sys
import threading
from pathlib import Path

import torch

from gaussians.errors import BackendUnavailableError
from gaussians.memory import peak_memory

PACKAGES = (
    "torch",
    "gsplat",
    "numpy",
    "numba",
    "pycolmap",
    "imageio",
    "pillow",
    "safetensors",
    "flip-evaluator",
)
_BEHIND = 5  # of 19: about a third of the processor's time where somebody else wants all of it


def versions() -> dict[str, str]:
    """Version of Python, of this program and of each package that decides a run's numbers."""
    found = {"python": platform.python_version()}
    for package in ("splat-distillery", *PACKAGES):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    from gaussians import __version__

    found["splat-distillery"] = __version__
    return found


def choose_device(name: str) -> torch.device:
    """The device for "auto", "cpu" or "cuda".

    Raises:
        BackendUnavailableError: "cuda" without a usable GPU; or another name.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise BackendUnavailableError(f"--device {name}: no such device; choose auto, cpu or cuda")
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise BackendUnavailableError(
            "--device cuda: PyTorch sees no GPU here; available: cpu. `main.py doctor` says what is missing"
        )
    return torch.device("cuda")


def device_name(device: torch.device) -> str:
    """A name for people: the GPU's or the processor's."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{processor_name()}, {os.cpu_count()} cores"


def processor_name() -> str:
    """The processor's model name where the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def behind_the_window() -> None:
    """Let other threads of this process go first: those that this one begins from now on do so, too.

    A window of 60 frames a second needs little of the processor, but needs it at once.
    """
    if sys.platform.startswith("linux"):  # elsewhere, priorities belong to processes
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _BEHIND)


def memory_in_use(device: torch.device) -> int:
    """Bytes this process uses: of the GPU, the most in this stage; or of main memory (off Linux its peak)."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if Path("/proc/self/statm").exists():
        return memory_of(os.getpid())
    return peak_memory()


def memory_of(process: int) -> int:
    """Bytes of main memory in use by the process of that number; Linux only."""
    statm = Path(f"/proc/{process}/statm").read_text()
    return int(statm.split()[1]) * os.sysconf("SC_PAGE_SIZE")
