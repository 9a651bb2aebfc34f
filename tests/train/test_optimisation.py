"""An optimisation as a whole: what it comes to, what its steps tell, and what it refuses."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from gaussians.errors import TrainingError
from gaussians.model import Gaussians
from gaussians.raster import rasterize
from gaussians.scene.types import View
from gaussians.train.direct import Direct
from gaussians.train.objective import Objective, Rendered
from gaussians.train.optimisation import Optimisation

from .runs import QUICK, RECIPE, TRUTH, begin, psnr, run, states_equal
from .synthetic import BLACK, EXTENT, photos, random_gaussians, ring_cameras


@pytest.fixture(scope="module")
def views() -> list[View]:
    return photos(TRUTH, ring_cameras(13))


def test_a_small_scene_is_recovered_and_a_view_never_seen_with_it(views: list[View]):
    training = begin(views[1:], RECIPE)
    before = psnr(training.gaussians(), views[:1])
    stats = run(training)
    after, unseen = psnr(training.gaussians(), views[1:]), psnr(training.gaussians(), views[:1])
    assert before < 17
    assert after > 24.5  # 25.5
    assert unseen > 22.5  # 23.4
    assert [step.step for step in stats] == list(range(1, 301))
    assert stats[-1].count == len(training) > 200


def by_activated_parameters(gaussians: Gaussians, *, sh_degree: int, **settings: Any) -> Any:
    colors = gaussians.sh0 if sh_degree == 0 else (gaussians.sh0, gaussians.shN)
    means, quats, scales = gaussians.means, gaussians.quats, gaussians.scales
    return rasterize(means, quats, scales, gaussians.opacities, colors, sh_degree=sh_degree, **settings)


@pytest.mark.parametrize("sh_degree", [0, 2, 3])
@pytest.mark.parametrize("absgrad", [False, True])
def test_whichever_way_a_step_goes_it_is_the_same_to_the_bit(
    views: list[View], monkeypatch: pytest.MonkeyPatch, absgrad: bool, sh_degree: int
):
    densify = dataclasses.replace(QUICK.densify, absgrad=absgrad)
    recipe = dataclasses.replace(QUICK, densify=densify, sh_degree=sh_degree, sh_every=20)
    direct = begin(views, recipe)
    assert isinstance(direct.shortcut, Direct)
    long_way = begin(views, recipe)
    long_way.shortcut = None
    told = [run(direct), run(long_way)]
    monkeypatch.setattr("gaussians.train.renderer.rasterize_stored", by_activated_parameters)
    activated = begin(views, recipe)
    activated.shortcut = None
    told.append(run(activated))
    assert len(direct) != 100
    assert states_equal(direct.state_dict(), long_way.state_dict())
    assert states_equal(direct.state_dict(), activated.state_dict())
    terms = [[stats.terms for stats in steps] for steps in told]
    assert terms[0] == terms[1] == terms[2]
    assert any(terms[0])


@pytest.mark.parametrize("sh_degree", [0, 3])
def test_so_it_is_for_many_gaussians(views: list[View], sh_degree: int):
    recipe = dataclasses.replace(QUICK, steps=6, sh_degree=sh_degree, sh_every=3)
    many = random_gaussians(9000, sh_degree=sh_degree)
    runs = [
        Optimisation(
            many, views, recipe, extent=EXTENT, background=BLACK, seed=0, stream="s", refinement=None
        )
        for _ in range(2)
    ]
    runs[1].shortcut = None
    for training in runs:
        run(training)
    assert states_equal(runs[0].state_dict(), runs[1].state_dict())


def test_what_is_wrong_in_a_direct_step_is_told(views: list[View]):
    diverged = begin(views)
    run(diverged, 3)
    with torch.no_grad():
        diverged.live.means[5, 1] = math.nan
    with pytest.raises(TrainingError, match=r"vanilla, step 10: .*NaN"):
        run(diverged, 12)
    glaring = begin(views, dataclasses.replace(QUICK, log_every=1))
    with torch.no_grad():
        glaring.live.sh0[:] = 1e38  # finite, but no square of it is
    before = glaring.gaussians()
    with pytest.raises(TrainingError, match=r"vanilla, step 1: the loss is not finite"):
        run(glaring, 12)
    assert torch.equal(glaring.gaussians().means, before.means)
    other = dataclasses.replace(views[0], image=np.zeros((24, 96, 3), np.uint8))
    with pytest.raises(ValueError, match=r"rendered \(48, 48, 3\), targets \[\(24, 96, 3\)\]"):
        run(begin([other]))


def test_every_view_is_trained_on_once_an_epoch(views: list[View]):
    seen = [stats.view for stats in run(begin(views), 26)]
    assert sorted(seen[:13]) == sorted(seen[13:]) == list(range(13))


def test_terms_come_every_log_step_and_at_the_last(views: list[View]):
    stats = run(begin(views), 25)
    assert [step.step for step in stats if step.terms is not None] == [10, 20, 25]
    assert all(step.terms.keys() == {"photo"} for step in stats if step.terms)


def test_two_streams_and_two_seeds_part_ways_and_equal_ones_do_not(views: list[View]):
    def trained(**settings: Any) -> Tensor:
        start = begin(views, **settings)
        run(start, 15)
        return start.gaussians().sh0

    assert torch.equal(trained(), trained())
    assert not torch.equal(trained(), trained(stream="dropout"))
    assert not torch.equal(trained(), trained(seed=1))


def test_opacities_fall_at_the_reset_and_only_there(views: list[View]):
    training = begin(views)
    highest = [float(training.live.opacities.max().detach()) for _ in training.steps()]
    assert [step for step, opacity in enumerate(highest) if opacity < 0.0101] == [35]
    assert highest[-1] > 0.1


def test_growth_stops_at_the_cap(views: list[View]):
    recipe = dataclasses.replace(QUICK, densify=dataclasses.replace(QUICK.densify, cap=120, grad_threshold=0))
    assert max(step.count for step in run(begin(views, recipe))) == 120


def test_without_refinement_the_count_stays(views: list[View]):
    assert {step.count for step in run(begin(views, refinement=None))} == {100}


def test_a_wholly_masked_view_moves_nothing(views: list[View]):
    hidden = [dataclasses.replace(view, mask=np.zeros((48, 48), dtype=bool)) for view in views]
    training = begin(hidden, refinement=None)
    before = training.gaussians()
    run(training, 5)
    assert torch.equal(training.gaussians().means, before.means)
    assert torch.equal(training.gaussians().sh0, before.sh0)


def test_bands_not_yet_active_stay_as_they_are(views: list[View]):
    training = begin(views)
    run(training, 20)
    assert not training.live.shN.any()
    run(training, 40)
    assert training.live.shN.any()


def test_sh_degree_follows_the_recipe_and_not_the_start(views: list[View]):
    start = random_gaussians(50, sh_degree=3)
    settings: dict[str, Any] = {"extent": EXTENT, "background": BLACK, "seed": 0, "stream": "student"}
    training = Optimisation(start, views, QUICK, **settings)
    assert training.live.sh_degree == 1
    assert torch.equal(training.gaussians().shN, start.shN[:, :3])


def test_a_start_amid_the_schedule(views: list[View]):
    training = begin(views, start=50)
    assert [step.step for step in training.steps()] == list(range(51, 61))


class ByFunction(Objective):
    """An objective that is more than a colour loss, so that no step takes a shortcut."""

    def __init__(self, function: Callable[[Rendered, int, int, Gaussians], dict[str, Tensor]]) -> None:
        self._function = function

    def colors(self, view_index: int, step: int, binning: int, background: Tensor | None = None) -> None:
        """None."""
        return None

    def __call__(
        self, rendered: Rendered, view_index: int, step: int, gaussians: Gaussians
    ) -> dict[str, Tensor]:
        return self._function(rendered, view_index, step, gaussians)


def test_an_objective_of_ones_own_sees_the_render_and_the_live_gaussians(views: list[View]):
    calls = []

    def objective(rendered: Rendered, view_index: int, step: int, gaussians: Gaussians) -> dict[str, Tensor]:
        calls.append((view_index, step, tuple(rendered.image.shape), tuple(rendered.alpha.shape)))
        return {"image": rendered.image.square().mean(), "centres": 10 * gaussians.means.square().mean()}

    training = begin(views, objective=ByFunction(objective), refinement=None)
    before = float(training.gaussians().means.norm())
    stats = run(training, 10)
    assert stats[-1].terms is not None
    assert stats[-1].terms.keys() == {"image", "centres"}
    assert [call[:2] for call in calls] == [(step.view, step.step - 1) for step in stats]
    assert {call[2:] for call in calls} == {((48, 48, 3), (48, 48))}
    assert float(training.gaussians().means.norm()) < before


def test_keeping_some_between_steps(views: list[View]):
    training = begin(views)
    run(training, 15)
    mask = torch.arange(len(training)) % 2 == 0
    expected = training.gaussians().select(mask)
    training.keep(mask)
    assert torch.equal(training.gaussians().means, expected.means)
    assert run(training)[-1].step == 60


def test_a_loss_that_is_not_finite_is_named_with_its_step(views: list[View]):
    def objective(rendered: Rendered, view_index: int, step: int, gaussians: Gaussians) -> dict[str, Tensor]:
        return {"photo": rendered.image.mean(), "structure": gaussians.means.sum() * math.nan}

    training = begin(views, dataclasses.replace(QUICK, log_every=1), objective=ByFunction(objective))
    with pytest.raises(TrainingError, match=r"vanilla, step 1: .*structure = nan"):
        run(training)


def test_gaussians_that_diverged_are_named_at_the_next_log_step(views: list[View]):
    def objective(rendered: Rendered, view_index: int, step: int, gaussians: Gaussians) -> dict[str, Tensor]:
        return {"photo": rendered.image.mean() * (math.nan if step == 3 else 1)}

    with pytest.raises(TrainingError, match=r"vanilla, step 10: .*learning rate"):
        run(begin(views, objective=ByFunction(objective)))


def test_no_views_and_no_gaussians_are_refused(views: list[View]):
    with pytest.raises(TrainingError, match="no view to train on"):
        begin([])
    training = begin(views)
    training.keep(torch.zeros(100, dtype=torch.bool))
    with pytest.raises(TrainingError, match="no Gaussian is left"):
        run(training)
