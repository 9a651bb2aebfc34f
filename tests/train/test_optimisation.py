import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from gaussians.errors import TrainingError
from gaussians.model import Gaussians
from gaussians.raster import rasterize
from gaussians.scene.types import View
from gaussians.train.objective import PhotoObjective, Rendered
from gaussians.train.optimisation import Optimisation
from gaussians.train.recipe import Densify, LearningRates, Optimise
from gaussians.train.variation import StepStats

from .synthetic import BLACK, EXTENT, optimisation, photos, random_gaussians, ring_cameras, sparse_points

TRUTH = random_gaussians(200)
RECIPE = Optimise(
    steps=300, sh_degree=1, sh_every=100, log_every=10,
    rates=LearningRates(8e-4, 0.01, 0.02, 0.004, 0.1, 0.02, 1e-3),  # a hundredth of the usual steps
    densify=Densify(start=20, stop=250, every=20, reset_every=110, cap=400),
)  # fmt: skip
QUICK = dataclasses.replace(
    RECIPE, steps=60, sh_every=20, densify=Densify(start=10, stop=55, every=10, reset_every=35, cap=260)
)


@pytest.fixture(scope="module")
def views() -> list[View]:
    return photos(TRUTH, ring_cameras(13))


def _psnr(gaussians: Gaussians, views: Sequence[View]) -> float:
    errors = []
    for view in views:
        with torch.no_grad():
            image = rasterize(**gaussians.render_args(), **view.camera.tensors())[0][0].clamp(0, 1)
        errors.append(float((image - torch.from_numpy(view.image) / 255).square().mean()))
    return -10 * math.log10(float(np.mean(errors)))


def _run(start: Optimisation, until: int | None = None) -> list[StepStats]:
    return list(start.steps(until))


def _start(views: Sequence[View], recipe: Optimise = QUICK, **settings: Any) -> Optimisation:
    return optimisation(views, recipe, sparse_points(TRUTH, 100), **settings)


def _states_equal(one: dict[str, Tensor], two: dict[str, Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def test_a_small_scene_is_recovered_and_a_view_never_seen_with_it(views: list[View]):
    training = _start(views[1:], RECIPE)
    before = _psnr(training.gaussians(), views[:1])
    stats = _run(training)
    after, unseen = _psnr(training.gaussians(), views[1:]), _psnr(training.gaussians(), views[:1])
    assert before < 17
    assert after > 24.5  # 25.5
    assert unseen > 22.5  # 23.4
    assert [step.step for step in stats] == list(range(1, 301))
    assert stats[-1].count == len(training) > 200


@pytest.mark.parametrize("absgrad", [False, True])
def test_steps_in_one_node_are_those_of_activated_parameters(
    views: list[View], monkeypatch: pytest.MonkeyPatch, absgrad: bool
):
    recipe = dataclasses.replace(QUICK, densify=dataclasses.replace(QUICK.densify, absgrad=absgrad))

    def activated(gaussians: Gaussians, *, sh_degree: int, **settings: Any) -> Any:
        colors = gaussians.sh0 if sh_degree == 0 else (gaussians.sh0, gaussians.shN)
        means, quats, scales = gaussians.means, gaussians.quats, gaussians.scales
        return rasterize(means, quats, scales, gaussians.opacities, colors, sh_degree=sh_degree, **settings)

    ours = _start(views, recipe)
    _run(ours)
    monkeypatch.setattr("gaussians.train.optimisation.rasterize_stored", activated)
    theirs = _start(views, recipe)
    _run(theirs)
    assert len(ours) != 100
    assert _states_equal(ours.state_dict(), theirs.state_dict())


def test_every_view_is_trained_on_once_an_epoch(views: list[View]):
    seen = [stats.view for stats in _run(_start(views), 26)]
    assert sorted(seen[:13]) == sorted(seen[13:]) == list(range(13))


def test_terms_come_every_log_step_and_at_the_last(views: list[View]):
    stats = _run(_start(views), 25)
    assert [step.step for step in stats if step.terms is not None] == [10, 20, 25]
    assert all(step.terms.keys() == {"photo"} for step in stats if step.terms)


class Disturbance:
    """Draws in both of a variation's places."""

    def opacities(self, opacities: Tensor, step: int, generator: torch.Generator) -> Tensor:
        return opacities * torch.rand(len(opacities), generator=generator, device=opacities.device)

    def disturbs(self, step: int) -> bool:
        return True

    def after_backward(self, optimisation: Optimisation, step: int, generator: torch.Generator) -> None:
        gradients = optimisation.mean_gradients()
        if step % 10 == 0 and gradients is not None:
            means = optimisation.live.means
            means += 0.01 * torch.randn(means.shape, generator=generator) * gradients[:, None]


@pytest.mark.parametrize("split", [1, 25, 35, 36, 41])  # before, amid and after refinements; at the reset
def test_a_resumed_run_gives_the_numbers_of_the_uninterrupted_one(
    views: list[View], tmp_path: Path, split: int
):
    recipe = dataclasses.replace(QUICK, random_background=True)
    whole = _start(views, recipe, variation=Disturbance())
    counts = [step.count for step in _run(whole)]
    assert len(set(counts)) > 3  # it did refine

    first = _start(views, recipe, variation=Disturbance())
    _run(first, split)
    save_file(first.state_dict(), tmp_path / "state.safetensors")
    torch.manual_seed(99)  # what is drawn elsewhere doesn't matter
    resumed = _start(views, recipe, variation=Disturbance())
    resumed.load_state_dict(load_file(tmp_path / "state.safetensors"))
    assert resumed.step == split
    rest = _run(resumed)
    assert [step.count for step in rest] == counts[split:]
    assert _states_equal(whole.state_dict(), resumed.state_dict())


def test_storing_a_run_changes_nothing_and_later_steps_leave_the_copy_alone(views: list[View]):
    one, other = _start(views), _start(views)
    _run(one, 15)
    _run(other, 15)
    state = one.state_dict()
    kept = {name: tensor.clone() for name, tensor in state.items()}
    _run(one, 30)
    _run(other, 30)
    assert _states_equal(one.state_dict(), other.state_dict())
    assert _states_equal(state, kept)
    assert len({tensor.data_ptr() for tensor in state.values()}) == len(state)


def test_two_streams_and_two_seeds_part_ways_and_equal_ones_do_not(views: list[View]):
    def trained(**settings: Any) -> Tensor:
        start = _start(views, **settings)
        _run(start, 15)
        return start.gaussians().sh0

    assert torch.equal(trained(), trained())
    assert not torch.equal(trained(), trained(stream="dropout"))
    assert not torch.equal(trained(), trained(seed=1))


def test_a_fork_continues_the_trunk_with_another_variation(views: list[View]):
    trunk = _start(views)
    _run(trunk, 30)
    fork = _start(views, stream="perturbed", variation=Disturbance())
    fork.load_state_dict(trunk.state_dict())
    stats = _run(fork)
    _run(trunk)
    assert stats[0].step == 31
    assert not torch.equal(fork.gaussians().sh0, trunk.gaussians().sh0[: len(fork)])


def test_opacities_fall_at_the_reset_and_only_there(views: list[View]):
    training = _start(views)
    highest = [float(training.live.opacities.max().detach()) for _ in training.steps()]
    assert [step for step, opacity in enumerate(highest) if opacity < 0.0101] == [35]
    assert highest[-1] > 0.1


def test_growth_stops_at_the_cap(views: list[View]):
    recipe = dataclasses.replace(QUICK, densify=dataclasses.replace(QUICK.densify, cap=120, grad_threshold=0))
    assert max(step.count for step in _run(_start(views, recipe))) == 120


def test_without_refinement_the_count_stays(views: list[View]):
    assert {step.count for step in _run(_start(views, refinement=None))} == {100}


def _photo_gradient(view: View, rendered: Tensor, background: Tensor | None = None) -> Tensor:
    """The gradient of the photo loss in each rendered value."""
    leaf = rendered.clone().requires_grad_()
    objective = PhotoObjective([view], 0.2, BLACK, "cpu")
    blended = Rendered(leaf, torch.ones(leaf.shape[:2]), background, {})
    torch.stack(list(objective(blended, 0, 0, TRUTH).values())).sum().backward()
    assert leaf.grad is not None
    return leaf.grad


def test_pixels_outside_the_mask_get_no_gradient(views: list[View]):
    mask = np.zeros((48, 48), dtype=bool)
    mask[:, :20] = True
    gradient = _photo_gradient(dataclasses.replace(views[0], mask=mask), torch.full((48, 48, 3), 0.5))
    assert not gradient[:, 20:].any()
    assert gradient[:, :20].all()


def test_a_transparent_photo_is_put_over_the_random_background(views: list[View]):
    alpha = np.random.default_rng(0).integers(0, 256, (48, 48), dtype=np.uint8)
    over_black = torch.from_numpy(views[0].image) * (torch.from_numpy(alpha)[..., None] / 255)
    view = dataclasses.replace(views[0], image=over_black.round().byte().numpy(), alpha=alpha)
    green = torch.tensor([0.2, 0.9, 0.4])
    over_green = torch.from_numpy(view.image) / 255 + (1 - torch.from_numpy(alpha)[..., None] / 255) * green
    for shift, sign in ((0.01, 1), (-0.01, -1)):  # where the render is too bright its gradient is positive
        gradient = _photo_gradient(view, over_green + shift, green)
        assert (gradient.sum(dim=(0, 1)) * sign > 0).all()
        assert (gradient * sign > 0).float().mean() > 0.9


def test_a_wholly_masked_view_moves_nothing(views: list[View]):
    hidden = [dataclasses.replace(view, mask=np.zeros((48, 48), dtype=bool)) for view in views]
    training = _start(hidden, refinement=None)
    before = training.gaussians()
    _run(training, 5)
    assert torch.equal(training.gaussians().means, before.means)
    assert torch.equal(training.gaussians().sh0, before.sh0)


def test_bands_not_yet_active_stay_as_they_are(views: list[View]):
    training = _start(views)
    _run(training, 20)
    assert not training.live.shN.any()
    _run(training, 40)
    assert training.live.shN.any()


def test_sh_degree_follows_the_recipe_and_not_the_start(views: list[View]):
    start = random_gaussians(50, sh_degree=3)
    settings: dict[str, Any] = {"extent": EXTENT, "background": BLACK, "seed": 0, "stream": "student"}
    training = Optimisation(start, views, QUICK, **settings)
    assert training.live.sh_degree == 1
    assert torch.equal(training.gaussians().shN, start.shN[:, :3])


def test_a_start_amid_the_schedule(views: list[View]):
    training = _start(views, start=50)
    assert [step.step for step in training.steps()] == list(range(51, 61))


def test_an_objective_of_ones_own_sees_the_render_and_the_live_gaussians(views: list[View]):
    calls = []

    def objective(rendered: Rendered, view_index: int, step: int, gaussians: Gaussians) -> dict[str, Tensor]:
        calls.append((view_index, step, tuple(rendered.image.shape), tuple(rendered.alpha.shape)))
        return {"image": rendered.image.square().mean(), "centres": 10 * gaussians.means.square().mean()}

    training = _start(views, objective=objective, refinement=None)
    before = float(training.gaussians().means.norm())
    stats = _run(training, 10)
    assert stats[-1].terms is not None
    assert stats[-1].terms.keys() == {"image", "centres"}
    assert [call[:2] for call in calls] == [(step.view, step.step - 1) for step in stats]
    assert {call[2:] for call in calls} == {((48, 48, 3), (48, 48))}
    assert float(training.gaussians().means.norm()) < before


def test_keeping_some_between_steps(views: list[View]):
    training = _start(views)
    _run(training, 15)
    mask = torch.arange(len(training)) % 2 == 0
    expected = training.gaussians().select(mask)
    training.keep(mask)
    assert torch.equal(training.gaussians().means, expected.means)
    assert _run(training)[-1].step == 60


def test_a_loss_that_is_not_finite_is_named_with_its_step(views: list[View]):
    def objective(rendered: Rendered, view_index: int, step: int, gaussians: Gaussians) -> dict[str, Tensor]:
        return {"photo": rendered.image.mean(), "structure": gaussians.means.sum() * math.nan}

    training = _start(views, dataclasses.replace(QUICK, log_every=1), objective=objective)
    with pytest.raises(TrainingError, match=r"vanilla, step 1: .*structure = nan"):
        _run(training)


def test_gaussians_that_diverged_are_named_at_the_next_log_step(views: list[View]):
    def objective(rendered: Rendered, view_index: int, step: int, gaussians: Gaussians) -> dict[str, Tensor]:
        return {"photo": rendered.image.mean() * (math.nan if step == 3 else 1)}

    with pytest.raises(TrainingError, match=r"vanilla, step 10: .*learning rate"):
        _run(_start(views, objective=objective))


def test_gaussians_that_diverged_are_not_stored(views: list[View]):
    training = _start(views)
    _run(training, until=3)
    with torch.no_grad():
        training.live.quats[2, 1] = math.inf
    with pytest.raises(TrainingError, match=r"vanilla, step 4: quats: 1 of .* infinite.* row 2"):
        training.state_dict()


def test_no_views_and_no_gaussians_are_refused(views: list[View]):
    with pytest.raises(TrainingError, match="no view to train on"):
        _start([])
    training = _start(views)
    training.keep(torch.zeros(100, dtype=torch.bool))
    with pytest.raises(TrainingError, match="no Gaussian is left"):
        _run(training)


def test_a_state_that_lacks_a_parameter_is_refused(views: list[View]):
    state = _start(views).state_dict()
    del state["params.quats"]
    with pytest.raises(TrainingError, match="holds no quats"):
        _start(views).load_state_dict(state)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")
def test_a_small_scene_is_recovered_on_the_gpu_and_a_stored_state_continues_there(views: list[View]):
    training = _start(views[1:], RECIPE, device="cuda", variation=Disturbance())
    _run(training, 150)
    resumed = _start(views[1:], RECIPE, device="cuda")
    resumed.load_state_dict({name: tensor.cpu() for name, tensor in training.state_dict().items()})
    _run(resumed)
    assert resumed.live.means.is_cuda
    assert _psnr(resumed.gaussians().to("cpu"), views[1:]) > 23
