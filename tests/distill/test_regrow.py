import dataclasses

import torch

from gaussians.distill.importance import highest, importance
from gaussians.distill.recipe import Simplify
from gaussians.distill.regrow import Regrowth
from gaussians.train.optimisation import Optimisation
from gaussians.train.recipe import Optimise

from .scenes import BACKGROUND, EXTENT, lookout, orbit, photos, random_gaussians

SIMPLIFY = Simplify(stages=2, start=2, stop=8, regrow=0.2, regrow_every=4, regrow_stop=20, memory=0.5)


def optimisation(simplify: Simplify = SIMPLIFY, steps: int = 30) -> Optimisation:
    return Optimisation(
        random_gaussians(90, seed=1),
        photos(random_gaussians(), orbit()),
        Optimise(steps=steps, sh_degree=0),
        extent=EXTENT,
        background=BACKGROUND,
        seed=0,
        stream="student",
        refinement=Regrowth(simplify, 40, lookout(), EXTENT),
    )


def test_the_count_follows_the_stages_while_gaussians_move() -> None:
    counts = [stats.count for stats in optimisation().steps()]
    assert counts == [90] * 2 + [60] * 6 + [40] * 22


def test_the_least_important_go_and_the_most_pulled_split() -> None:
    """At step 10 a fifth is replaced; nobody but split ones and removed ones changes."""
    run = optimisation(dataclasses.replace(SIMPLIFY, memory=0.0))
    for _ in run.steps(until=10):
        pass
    before = run.gaussians()
    gradients = run.mean_gradients()
    assert gradients is not None
    scores = importance(before, lookout())
    for _ in run.steps(until=11):
        pass
    after = run.gaussians()
    assert len(after) == len(before) == 40
    kept = highest(scores, 32)
    shift = torch.cdist(before.means, after.means).amin(dim=1)
    # One step of Adam moves a centre by less than its rate, 1.6e-4 x extent an axis.
    stayed = shift < 1e-3
    assert int(stayed[~kept].sum()) <= 1  # the importance of step 10 is that after its Adam step
    # The median of what stays is pulled less than the median of what was split.
    assert int((~stayed & kept).sum()) > 0
    assert float(gradients[~stayed & kept].median()) > float(gradients[stayed].median())


def test_a_resumed_regrowth_gives_the_same_numbers() -> None:
    whole, first, second = optimisation(), optimisation(), optimisation()
    for _ in whole.steps():
        pass
    for _ in first.steps(until=13):
        pass
    second.load_state_dict(first.state_dict())
    for _ in second.steps():
        pass
    for name, tensor in whole.gaussians().tensors().items():
        assert torch.equal(tensor, second.gaussians().tensors()[name]), name


def test_memory_averages_importance() -> None:
    run = optimisation(dataclasses.replace(SIMPLIFY, regrow=0.0, stages=3, start=0, stop=4, memory=0.75))
    remembered = [run.state_dict()["refinement.importance"] for _ in run.steps(until=5)]
    assert len(remembered[0]) == remembered[0].numel() == 90 - 21
    assert torch.equal(remembered[0], remembered[1])
    now = importance(run.gaussians(), lookout())
    # After three looks, the first of which weighs 9/16: not what the last alone would say.
    assert len(remembered[4]) == len(now) == 40
    assert not torch.allclose(remembered[4], now, rtol=1e-3)
