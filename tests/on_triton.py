"""Triton's kernels without a GPU: its interpreter, in a process of its own, and its compiler alone."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

PROJECT = Path(__file__).parents[1]
CUDA = torch.device("cuda", 0)

on_a_gpu = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU"),
]


def interpreted(module: str, path: Path) -> Any:
    """What the module, run with the interpreter on the CPU, has saved into the path it was given.

    In a process of its own, as the variable must be set before Triton is imported.
    """
    command = [sys.executable, "-m", module, str(path)]
    subprocess.run(command, cwd=PROJECT, env=os.environ | {"TRITON_INTERPRET": "1"}, check=True)
    return torch.load(path)


def compiled(
    module: ModuleType, names: tuple[str, ...], launch: Callable[[], Any], capability: int, cache: Path
) -> dict[str, Any]:
    """What the first launch on a GPU would compile, from the launch's own arguments, with Triton's compiler.

    Args:
        module: that holds the kernels.
        names: of the kernels; those that `launch` calls are compiled and not run.
        launch: with tensors on the CPU.
        capability: of the GPU, 75 for sm_75.
        cache: a folder for what is compiled, new or of this kind of GPU.
    """
    import triton  # pyright: ignore[reportMissingImports] - Linux only
    from triton.backends.compiler import GPUTarget  # pyright: ignore[reportMissingImports] - Linux only

    # Triton keeps what it compiled by the device's number, so give each kind its own.
    driver = SimpleNamespace(
        get_current_device=lambda: capability,
        get_current_stream=lambda device: 0,
        get_current_target=lambda: GPUTarget("cuda", capability, 32),
    )
    kernels = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRITON_CACHE_DIR", str(cache))
        patch.setattr(triton.runtime.driver, "_active", driver)
        for name in names:
            kernel = getattr(module, name)

            def compile_only(*args: Any, run: Any = kernel.run, name: str = name, **settings: Any) -> None:
                kernels[name] = run(*args, **(settings | {"warmup": True}))

            patch.setattr(kernel, "run", compile_only)
        launch()
    for kernel in kernels.values():
        assert f".target sm_{capability}" in kernel.asm["ptx"]
        assert len(kernel.asm["cubin"]) > 0
    return kernels
