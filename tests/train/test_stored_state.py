"""What is stored of an optimisation, and what continues from it: the same one, or a fork."""

import dataclasses
import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from gaussians.errors import TrainingError
from gaussians.scene.types import View

from .runs import QUICK, RECIPE, TRUTH, Disturbance, begin, psnr, run, states_equal
from .synthetic import photos, ring_cameras


@pytest.fixture(scope="module")
def views() -> list[View]:
    return photos(TRUTH, ring_cameras(13))


@pytest.mark.parametrize("split", [1, 25, 35, 36, 41])  # before, amid and after refinements; at the reset
def test_a_resumed_run_gives_the_numbers_of_the_uninterrupted_one(
    views: list[View], tmp_path: Path, split: int
):
    recipe = dataclasses.replace(QUICK, random_background=True)
    whole = begin(views, recipe, variation=Disturbance())
    counts = [step.count for step in run(whole)]
    assert len(set(counts)) > 3  # it did refine

    first = begin(views, recipe, variation=Disturbance())
    run(first, split)
    save_file(first.state_dict(), tmp_path / "state.safetensors")
    torch.manual_seed(99)  # what is drawn elsewhere doesn't matter
    resumed = begin(views, recipe, variation=Disturbance())
    resumed.load_state_dict(load_file(tmp_path / "state.safetensors"))
    assert resumed.step == split
    rest = run(resumed)
    assert [step.count for step in rest] == counts[split:]
    assert states_equal(whole.state_dict(), resumed.state_dict())


def test_storing_a_run_changes_nothing_and_later_steps_leave_the_copy_alone(views: list[View]):
    one, other = begin(views), begin(views)
    run(one, 15)
    run(other, 15)
    state = one.state_dict()
    kept = {name: tensor.clone() for name, tensor in state.items()}
    run(one, 30)
    run(other, 30)
    assert states_equal(one.state_dict(), other.state_dict())
    assert states_equal(state, kept)
    assert len({tensor.data_ptr() for tensor in state.values()}) == len(state)


def test_a_fork_continues_the_trunk_with_another_variation(views: list[View]):
    trunk = begin(views)
    run(trunk, 30)
    fork = begin(views, stream="perturbed", variation=Disturbance())
    fork.load_state_dict(trunk.state_dict())
    stats = run(fork)
    run(trunk)
    assert stats[0].step == 31
    assert not torch.equal(fork.gaussians().sh0, trunk.gaussians().sh0[: len(fork)])


def test_gaussians_that_diverged_are_not_stored(views: list[View]):
    training = begin(views)
    run(training, until=3)
    with torch.no_grad():
        training.live.quats[2, 1] = math.inf
    with pytest.raises(TrainingError, match=r"vanilla, step 4: quats: 1 of .* infinite.* row 2"):
        training.state_dict()


def test_a_state_that_lacks_a_parameter_is_refused(views: list[View]):
    state = begin(views).state_dict()
    del state["params.quats"]
    with pytest.raises(TrainingError, match="holds no quats"):
        begin(views).load_state_dict(state)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_a_small_scene_is_recovered_on_the_gpu_and_a_stored_state_continues_there(views: list[View]):
    training = begin(views[1:], RECIPE, device="cuda", variation=Disturbance())
    run(training, 150)
    resumed = begin(views[1:], RECIPE, device="cuda")
    resumed.load_state_dict({name: tensor.cpu() for name, tensor in training.state_dict().items()})
    run(resumed)
    assert resumed.live.means.is_cuda
    assert psnr(resumed.gaussians().to("cpu"), views[1:]) > 23
