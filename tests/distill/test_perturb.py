import dataclasses

import pytest
import torch

from gaussians.distill.perturb import Perturbation
from gaussians.distill.recipe import Perturb
from gaussians.distill.rotation import quats_to_matrices
from gaussians.model import Gaussians
from gaussians.train.optimisation import Optimisation
from gaussians.train.recipe import Densify, Optimise

from .scenes import BACKGROUND, EXTENT, orbit, photos, random_gaussians

DENSIFY = Densify(grad_threshold=1.0, grow_scale=0.1)  # small: at most 0.2 units


def perturbation(unit: str = "size", std: float = 0.1) -> Perturbation:
    return Perturbation(Perturb(start=500, stop=1600, every=500, std=std, unit=unit), DENSIFY, EXTENT)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def disturbed(gaussians: Gaussians, index: torch.Tensor, change: Perturbation, seed: int = 0) -> Gaussians:
    copy = gaussians.detached()
    change.disturb(copy, index, generator(seed))
    return copy


def test_due_at_intervals_within_the_window() -> None:
    due = [step for step in range(3000) if perturbation().is_due(step)]
    assert due == [500, 1000, 1500]


def test_only_small_ones_of_high_gradient_are_chosen() -> None:
    gaussians = random_gaussians(4)
    log_scales = torch.tensor([[0.19, 0.1, 0.1], [0.01, 0.21, 0.01], [0.1, 0.1, 0.1], [0.1, 0.1, 0.19]]).log()
    gaussians = dataclasses.replace(gaussians, log_scales=log_scales)
    gradients = torch.tensor([1.1, 5.0, 0.9, 2.0])
    assert perturbation().disturbed(gaussians, gradients).tolist() == [0, 3]


def test_only_the_chosen_rows_change_and_all_their_shape_does() -> None:
    gaussians, index = random_gaussians(50), torch.tensor([3, 17, 42])
    after = disturbed(gaussians, index, perturbation())
    rows = torch.zeros(50, dtype=torch.bool)
    rows[index] = True
    for name, before in gaussians.tensors().items():
        same = (after.tensors()[name] == before).reshape(50, -1)
        assert same[~rows].all(), name
        assert same[rows].all() == (name in ("sh0", "shN")), name
    nothing = disturbed(gaussians, index[:0], perturbation())
    assert torch.equal(nothing.means, gaussians.means)


def test_noise_has_the_stated_deviations() -> None:
    gaussians, index = random_gaussians(20_000, scale=0.02), torch.arange(20_000)
    after = disturbed(gaussians, index, perturbation())
    size = 0.2
    moved = (after.means - gaussians.means) / size
    assert float(moved.std()) == pytest.approx(0.1, rel=0.02)
    scaled = after.log_scales - gaussians.log_scales
    expected = 0.1 * float((gaussians.scales / size).log().abs().mean())
    assert expected > 0.15
    assert float(scaled.std()) == pytest.approx(expected, rel=0.02)
    faded = after.logit_opacities - gaussians.logit_opacities
    expected = 0.1 * max(1.0, float(gaussians.logit_opacities.abs().mean()))
    assert float(faded.std()) == pytest.approx(expected, rel=0.02)


def test_rotations_stay_rotations_near_what_they_were() -> None:
    gaussians, index = random_gaussians(5000), torch.arange(5000)
    after = disturbed(gaussians, index, perturbation())
    torch.testing.assert_close(after.quats.norm(dim=1), gaussians.quats.norm(dim=1))
    assert float((after.quats * gaussians.quats).sum(1).min()) > 0
    relative = quats_to_matrices(gaussians.quats).mT @ quats_to_matrices(after.quats)
    angle = ((relative.diagonal(dim1=1, dim2=2).sum(1) - 1) / 2).clamp(-1, 1).acos()
    assert 0.1 < float(angle.mean()) < 0.2  # radians; √(8/π) 0.1 = 0.16 if all axes had std 0.1


def test_relative_noise_does_not_depend_on_the_worlds_origin_and_unit() -> None:
    gaussians, index = random_gaussians(300), torch.arange(300)
    elsewhere = dataclasses.replace(
        gaussians, means=gaussians.means * 8 + 100, log_scales=gaussians.log_scales + torch.tensor(8.0).log()
    )
    here = disturbed(gaussians, index, perturbation())
    larger = Perturbation(Perturb(), DENSIFY, 8 * EXTENT)
    there = disturbed(elsewhere, index, larger)
    torch.testing.assert_close((there.means - 100) / 8, here.means, atol=2e-5, rtol=0)
    torch.testing.assert_close(there.log_scales - torch.tensor(8.0).log(), here.log_scales)
    torch.testing.assert_close(there.quats, here.quats)


def test_the_papers_noise_grows_with_the_distance_from_the_origin() -> None:
    gaussians, index = random_gaussians(5000), torch.arange(5000)
    far = dataclasses.replace(gaussians, means=gaussians.means + 30)
    after = disturbed(far, index, perturbation("world"))
    assert float((after.means - far.means).std()) == pytest.approx(3, rel=0.05)


def test_in_an_optimisation_it_strikes_when_due_and_leaves_the_moments() -> None:
    views = photos(random_gaussians(), orbit())
    change = Perturbation(Perturb(start=3, stop=4, every=1), Densify(grad_threshold=0, grow_scale=1), EXTENT)

    def run(variation: Perturbation | None, until: int) -> Optimisation:
        optimisation = Optimisation(
            random_gaussians(60, seed=1),
            views,
            Optimise(steps=10, sh_degree=0),
            extent=EXTENT,
            background=BACKGROUND,
            seed=0,
            stream="test",
            variation=variation,
        )
        for _ in optimisation.steps(until):
            pass
        return optimisation

    assert torch.equal(run(change, 3).gaussians().means, run(None, 3).gaussians().means)
    plain, noisy = run(None, 4), run(change, 4)
    gradients = plain.mean_gradients()
    assert gradients is not None
    moved = (noisy.gaussians().means - plain.gaussians().means).abs().amax(1)
    assert int((moved > 1e-2).sum()) > 30
    for name, value in plain.state_dict().items():
        if name.startswith("adam."):
            assert torch.equal(value, noisy.state_dict()[name])
    repeated = run(change, 4).gaussians()
    assert torch.equal(noisy.gaussians().means, repeated.means)
