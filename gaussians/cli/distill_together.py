"""`distill` in several processes that torchrun has started: rank 0 talks, the others follow."""

import contextlib
import dataclasses
import io
import os
from collections.abc import Iterator

import torch

from gaussians.cli.console import Console
from gaussians.cli.distill import Flags, begun, loaded, tolerance
from gaussians.cli.stopping import STOPPED, stop_requests
from gaussians.distill.recipe import Recipe
from gaussians.errors import BackendUnavailableError, RunError
from gaussians.ranks import Ranks, joined, launched_rank, local_place
from gaussians.session.directory import RunDirectory
from gaussians.session.events import RunFinished
from gaussians.session.kernel_process import compile_apart
from gaussians.session.machine import choose_device
from gaussians.session.scenes import load_views
from gaussians.session.shared_run import SharedRun


def distill_together(flags: Flags) -> int:
    """This rank's part; returns the exit code.

    Raises:
        DistilleryError: of any kind, for bad input; RanksError when another rank is gone.
    """
    ranks = joined()
    return _lead(ranks, flags) if ranks.leads else _follow(ranks, flags)


@contextlib.contextmanager
def quiet_but_first() -> Iterator[None]:
    """Within: only rank 0's output is shown, as all would say the same."""
    with contextlib.ExitStack() as stack:
        if launched_rank() > 0:
            stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
            stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
        yield


def _lead(ranks: Ranks, flags: Flags) -> int:
    """Begin, or go on with, the run; tell the others which; do this rank's part, and show it."""
    console = Console()
    with contextlib.ExitStack() as held:
        try:
            asked = begun(flags)
            directory = asked.directory
            if tolerance(flags, asked) is not None:
                raise RunError("--within: searches in one process; leave torchrun out, or give a --budget")
            device = _device(asked.plan.device)
            plan, scene = loaded(asked, device, console, None)
            console.note(_division(plan.recipe, ranks))
            if asked.is_new:
                directory.create(dataclasses.replace(plan, device=device.type))
            if device.type == "cpu":
                with console.compiling() as show:
                    compile_apart(show)
            held.enter_context(directory.locked())
            if not asked.is_new:
                directory.note_scene(scene, plan.scene)
            run = SharedRun(ranks, directory, scene, plan.recipe, device, plan.teachers, flags.save_every)
        except BaseException:
            ranks.tell(None)  # the others wait for a run, of which there will be none
            raise
        ranks.tell((directory.path.absolute(), device.type))
        finished = None
        with stop_requests() as stop, console.training(run.plan) as show:
            for event in run.events(stop):
                show(event)
                if isinstance(event, RunFinished):
                    finished = event
    if finished is None:
        console.stopped(directory.path)
        return STOPPED
    console.finished(finished, scene)
    return 0


def _follow(ranks: Ranks, flags: Flags) -> int:
    told = ranks.tell(None)[0]
    if told is None:
        return 2  # rank 0 has said why
    path, device_type = told
    directory = RunDirectory(path)
    plan, device = directory.load(), _device(device_type)
    # What the run remembers is the same for all; how much memory photos may take, no run does.
    options = dataclasses.replace(plan.options, photo_memory_mb=flags.scene_flags.photo_memory_mb)
    scene = load_views(plan.scene, options, lambda what, done, total: None, device)
    if device.type == "cpu":
        compile_apart(lambda stage: None)  # another machine may not have the kernels yet
    run = SharedRun(ranks, directory, scene, plan.recipe, device, plan.teachers, flags.save_every)
    with stop_requests() as stop:
        for _ in run.events(stop):
            pass
    return STOPPED if run.stopped else 0


def _device(name: str) -> torch.device:
    """This rank's own GPU, or its share of the processor's cores. Raises BackendUnavailableError."""
    device = choose_device(name)
    place, count = local_place()
    if device.type == "cuda":
        if place >= torch.cuda.device_count():
            raise BackendUnavailableError(
                f"rank {launched_rank()}: {count} processes here, but {torch.cuda.device_count()} GPUs; "
                "start one a GPU by --nproc-per-node, or add --device cpu"
            )
        torch.cuda.set_device(place)
        return torch.device("cuda", place)
    if "NUMBA_NUM_THREADS" not in os.environ:  # torchrun itself sets OMP_NUM_THREADS, to 1
        import numba

        threads = max(1, numba.get_num_threads() // count)
        numba.set_num_threads(threads)
        torch.set_num_threads(threads)
    return device


def _division(recipe: Recipe, ranks: Ranks) -> str:
    """Who does what, in a line."""
    batch = recipe.student.optimise.batch
    if batch == 1:
        student = "the student on rank 0 alone (--set student.optimise.batch=2 and more shares its steps)"
    else:
        student = f"the student's steps of {batch} views shared by {min(batch, ranks.count)}"
    return f"ranks   {ranks.count}: teachers side by side, {student}"
