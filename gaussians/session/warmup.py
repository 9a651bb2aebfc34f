"""Compile every CPU kernel now, by a whole distillation of a scene too small to take any time itself.

Numba compiles a kernel at its first call with arguments of new types, and keeps it on disk. So a run on a
tiny scene that has one of everything (masks, transparency, distortion, another resolution, every stage and
every teacher) leaves nothing to compile for the first run that matters.
"""

import dataclasses
import hashlib
import json
import math
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import llvmlite.binding as llvm
import numpy as np
import torch
from numba.core import config
from PIL import Image

from gaussians.camera import Camera
from gaussians.distill.recipe import Dropout, Perturb, Recipe, Simplify, Structure, Student, Teachers
from gaussians.model import Gaussians
from gaussians.scene import SceneOptions, load_scene
from gaussians.session.directory import RunDirectory, RunPlan
from gaussians.session.run import Run
from gaussians.storage import write_json
from gaussians.train.evaluate import render_view
from gaussians.train.recipe import Coarse, Densify, Optimise

SIZE = 48  # px: of the photos; trained on at 2/3 of it
_OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])
# Photos by what their pixels go through: in colour, transparent, and both undistorted.
_PHOTOS = (("RGB", 0.0), ("RGBA", 0.0), ("RGB", 0.05), ("RGBA", 0.05), ("RGB", 0.0))
_MASKED = 4


def compile_kernels(on_stage: Callable[[str], None] | None = None) -> float:
    """Compile all kernels that aren't yet, and note in their folder that this was done.

    Args:
        on_stage: told what is being compiled, for people: "scene", and then each stage of a run.

    Returns:
        Seconds it took: about a minute where nothing was compiled, else seconds.

    Raises:
        StorageError: the temporary folder or the kernels' folder can't be written.
    """
    tell = on_stage or (lambda stage: None)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="splat-distillery-") as name:
        folder = Path(name)
        tell("scene")
        _write_scene(folder / "scene")
        options = SceneOptions(resolution="2/3", random_points=200, cache=folder)
        scene = load_scene(folder / "scene", options)
        directory = RunDirectory(folder / "run")
        directory.create(RunPlan(folder / "scene", options, _recipe(), "cpu"))
        run = Run(directory, scene, _recipe(), torch.device("cpu"))
        told = ""
        for event in run.events():
            stage = getattr(event, "stage", None)
            if stage is not None and stage.name != told:
                told = stage.name
                tell(told)
    seconds = time.perf_counter() - began
    write_json(compiled_mark(), {"seconds": round(seconds, 1)})
    return seconds


def compile_rendering(device: torch.device | str = "cpu") -> None:
    """Render one Gaussian: compiles the kernels that rendering takes, or reads them, if that was not done."""
    one = Gaussians(
        means=torch.tensor([[0.0, 0.0, 2.0]]),
        quats=torch.tensor([[1.0, 0.0, 0.0, 0.0]]),
        log_scales=torch.full((1, 3), -1.0),
        logit_opacities=torch.ones(1),
        sh0=torch.ones(1, 1, 3),
        shN=torch.zeros(1, 3, 3),
    )
    camera = Camera(np.eye(4), np.array([[16.0, 0, 8], [0, 16, 8], [0, 0, 1]]), 16, 16)
    render_view(one, camera, (0.0, 0.0, 0.0), device)


def kernel_folder() -> Path:
    """Where this version's compiled kernels are kept."""
    return Path(config.CACHE_DIR)  # pyright: ignore[reportAttributeAccessIssue] - made at run time


def compiled_mark() -> Path:
    """The file that says that all kernels have been compiled for this processor."""
    # Numba keeps kernels by the path of their source, so each checkout compiles its own.
    checkout = hashlib.sha256(str(Path(__file__).resolve()).encode()).hexdigest()[:8]
    return kernel_folder() / f"compiled-for-{llvm.get_host_cpu_name()}-{checkout}.json"


def _recipe() -> Recipe:
    """Every part of the pipeline, in a few steps."""
    densify = Densify(start=2, stop=14, every=4, grad_threshold=1e-6, reset_every=6, cap=400)
    coarse = Coarse(stop=4, pixels=1)
    optimise = Optimise(steps=16, sh_every=4, log_every=4, densify=densify, coarse=coarse)
    return Recipe(
        name="warm-up",
        teachers=Teachers(
            fork=8, optimise=optimise, perturb=Perturb(start=9, stop=16, every=2), dropout=Dropout(8, 16)
        ),
        student=Student(
            budget="50%",
            optimise=dataclasses.replace(optimise, steps=8, densify=Densify(start=0, stop=0)),
            simplify=Simplify(stages=2, start=1, stop=4),
            structure=Structure(grid=16, every=2),
        ),
    )


def _write_scene(folder: Path) -> None:
    """A transforms.json scene of smooth colours around the origin."""
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    rows, columns = np.mgrid[0:SIZE, 0:SIZE] / SIZE
    frames = []
    for index, (mode, distortion) in enumerate(_PHOTOS):
        red, green = np.sin(6 * rows + index), np.cos(5 * columns - index)
        channels = [red, green, red * green, np.ones_like(red)][: len(mode)]
        pixels = (127.5 + 127.5 * np.stack(channels, axis=2)).astype(np.uint8)
        name = f"{index}.png"
        Image.fromarray(pixels).save(folder / "images" / name)
        if index == _MASKED:
            Image.fromarray(((columns > 0.1) * 255).astype(np.uint8)).save(folder / "masks" / name)
        pose = np.linalg.inv(_viewmat(2 * math.pi * index / len(_PHOTOS))) @ _OPENGL
        frames.append({"file_path": f"images/{name}", "transform_matrix": pose.tolist(), "k1": distortion})
    lens = {"fl_x": SIZE, "fl_y": SIZE, "cx": SIZE / 2, "cy": SIZE / 2, "w": SIZE, "h": SIZE}
    (folder / "transforms.json").write_text(json.dumps({**lens, "frames": frames}), encoding="utf-8")


def _viewmat(angle: float) -> np.ndarray:
    """[4, 4] of a camera at distance 3 from the origin, looking at it."""
    c, s = math.cos(angle), math.sin(angle)
    return np.array([[c, 0, s, 0], [0, 1, 0, 0], [-s, 0, c, 3], [0, 0, 0, 1.0]])
