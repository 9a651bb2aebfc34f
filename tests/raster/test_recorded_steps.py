"""Steps as CUDA graphs: what is recorded, over stand-in kernels; and recorded, where there is a GPU."""

import dataclasses
import itertools
from typing import Any

import pytest
import torch

from gaussians.model import Gaussians
from gaussians.train import optimisation, recorded
from gaussians.train import recording as recording_of_a_step
from gaussians.train.objective import ColorTargets
from gaussians.train.optimisation import Optimisation
from gaussians.train.plain_loss import ColorLoss
from gaussians.train.recipe import Coarse, Densify, Optimise
from gaussians.train.recorded import Recorder
from gaussians.train.variation import StepStats
from tests.on_triton import on_a_gpu
from tests.train.synthetic import BLACK, EXTENT, photos, random_gaussians, ring_cameras

GROWTH = Densify(start=10**6, stop=10**6, reset_every=10**6)  # gathers statistics, and never grows
RECIPE = Optimise(steps=20, sh_degree=1, sh_every=6, log_every=1, average=0.5, densify=GROWTH)


@pytest.fixture
def few_steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Recording begins after two steps without a change; which steps it took."""
    taken: list[int] = []
    run = recording_of_a_step.Recording.run
    monkeypatch.setattr(recorded, "PATIENCE", 2)
    for module in (optimisation, recorded):
        monkeypatch.setattr(module, "LOOKS_EVERY", 5)
    monkeypatch.setattr(recording_of_a_step.Recording, "run", lambda self: taken.append(1) or run(self))
    return taken


def started(size: int, count: int, recipe: Optimise, device: str = "cpu") -> Optimisation:
    truth = random_gaussians(count, sh_degree=1)
    start = dataclasses.replace(truth, sh0=torch.zeros_like(truth.sh0), shN=torch.zeros_like(truth.shN))
    return Optimisation(
        start, photos(truth, ring_cameras(3, size)), recipe,
        extent=EXTENT, background=BLACK, seed=0, stream="student", device=device, backend="cuda",
    )  # fmt: skip


def recording(training: Optimisation) -> Optimisation:
    training.shortcut = Recorder(
        training._parameters, training._cameras, training._background, training._refinement
    )
    return training


def recorder_of(training: Optimisation) -> Recorder:
    assert isinstance(training.shortcut, Recorder)
    return training.shortcut


def assert_alike(found: list[StepStats], wanted: list[StepStats], ours: Gaussians, theirs: Gaussians) -> None:
    for one, other in zip(found, wanted, strict=True):
        assert one.terms == pytest.approx(other.terms, rel=1e-4, abs=1e-6)
        assert (one.view, one.step, one.count) == (other.view, other.step, other.count)
    for name, tensor in ours.tensors().items():
        assert torch.allclose(tensor, theirs.tensors()[name], atol=1e-4), name


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize("masked", [False, True])
def test_a_repeated_step_is_the_step(few_steps: list[int], masked: bool) -> None:
    coarse = Coarse(stop=8, pixels=50, most=2)
    recipe = dataclasses.replace(RECIPE, coarse=coarse)
    runs = []
    for records in (False, True):
        training = started(18, 20, recipe)
        training.shortcut = None
        if masked:
            mask = (torch.arange(18) < 12).expand(18, 18).numpy().copy()
            views = [
                dataclasses.replace(view, mask=mask)
                for view in photos(random_gaussians(20), ring_cameras(3, 18))
            ]
            training._objective = optimisation.PhotoObjective(views, 0.2, BLACK, "cpu")
        steps = list((recording(training) if records else training).steps())
        runs.append((steps, training))
    # Anew after the change of degree at step 6 and of size at step 8, when both have come twice.
    assert 5 <= len(few_steps) <= 12
    (plain, one), (repeated, other) = runs
    assert_alike(repeated, plain, other.gaussians(), one.gaussians())
    for name, tensor in one.state_dict().items():
        if name.endswith(".step"):
            assert torch.equal(other.state_dict()[name], tensor), name
    gradients = one.mean_gradients()
    assert gradients is not None
    ours = other.mean_gradients()
    assert ours is not None
    assert torch.allclose(gradients, ours, rtol=1e-3, atol=1e-6)


@pytest.mark.usefixtures("stand_in")
def test_what_outgrows_its_room_is_recorded_anew(
    few_steps: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    training = recording(started(18, 20, dataclasses.replace(RECIPE, sh_degree=0)))
    recorder = recorder_of(training)
    rooms = iter([3, 4000])
    monkeypatch.setattr(recorder, "_room", lambda kind, binning: next(rooms))
    list(training.steps(7))
    assert recorder._margin == 1.5**2
    list(training.steps(18))
    assert recorder._margin == 1.5**2
    assert [recording._room for recording in recorder._recordings.values()] == [4000]


@pytest.mark.usefixtures("stand_in")
def test_a_room_is_looked_at_though_no_logged_step_is_recorded(
    few_steps: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    seldom = dataclasses.replace(RECIPE, sh_degree=0, log_every=5)  # as often as NaN is looked for
    training = recording(started(18, 20, seldom))
    recorder = recorder_of(training)
    rooms = iter([3, 4000])
    monkeypatch.setattr(recorder, "_room", lambda kind, binning: next(rooms))
    list(training.steps(18))
    assert recorder._margin == 1.5**2
    assert [recording._room for recording in recorder._recordings.values()] == [4000]


@pytest.mark.usefixtures("stand_in")
def test_where_it_fails_steps_are_taken_as_ever(
    few_steps: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, failing = started(18, 20, RECIPE), recording(started(18, 20, RECIPE))

    def fail(*args: Any) -> None:
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(recording_of_a_step, "step_by", fail)
    with pytest.warns(UserWarning, match="steps are not recorded, and so slower: operation not permitted"):
        found = list(failing.steps())
    assert len(few_steps) == 1
    assert [step.terms for step in found][:6] == [step.terms for step in plain.steps()][:6]


@pytest.mark.usefixtures("stand_in")
def test_what_needs_too_much_room_is_not_recorded(
    few_steps: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorded, "_MOST_ROOM", 4100)
    training = recording(started(18, 20, dataclasses.replace(RECIPE, sh_degree=0)))
    asked, count = [], recorded.cuda.intersection_count

    def counted(*shown: Any, **camera: Any) -> torch.Tensor:
        asked.append(count(*shown, **camera))
        return asked[-1]

    monkeypatch.setattr(recorded.cuda, "intersection_count", counted)
    list(training.steps())
    assert not few_steps
    assert len(asked) == 3, "views, counted once"
    assert max(asked) > 3


@pytest.mark.usefixtures("stand_in")
def test_weights_that_change_in_every_step_are_not_recorded(
    few_steps: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    training = recording(started(18, 20, dataclasses.replace(RECIPE, sh_degree=0)))
    colors, weights = training._objective.colors, itertools.count(1.0)

    def weighted(view: int, step: int, binning: int, background: Any = None) -> ColorTargets:
        targets = colors(view, step, binning, background)
        assert targets is not None
        return dataclasses.replace(targets, weights=(next(weights),))

    monkeypatch.setattr(training._objective, "colors", weighted)
    list(training.steps())
    assert not few_steps


@pytest.mark.usefixtures("stand_in")
def test_only_so_many_kinds_are_recorded(few_steps: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded, "_MOST", 1)
    training = recording(started(18, 20, dataclasses.replace(RECIPE, sh_degree=0)))
    colors, weights = training._objective.colors, iter([1.0, 2.0] * 20)

    def weighted(view: int, step: int, binning: int, background: Any = None) -> ColorTargets:
        targets = colors(view, step, binning, background)
        assert targets is not None
        return dataclasses.replace(targets, weights=(next(weights),))

    monkeypatch.setattr(training._objective, "colors", weighted)
    list(training.steps())
    assert len(recorder_of(training)._recordings) == 1
    assert 0 < len(few_steps) < 9


@pytest.mark.usefixtures("stand_in")
def test_shared_memory_is_kept_by_the_last_that_was_recorded_alone(few_steps: list[int]) -> None:
    training = recording(started(18, 20, dataclasses.replace(RECIPE, sh_degree=0, steps=60)))
    stepping = training.steps()

    def begun_anew() -> recording_of_a_step.Recording:
        recorder_of(training)._recordings.clear()
        before = recorder_of(training)._last
        while recorder_of(training)._last is before:
            next(stepping)
        last = recorder_of(training)._last
        assert last is not None
        return last

    first = begun_anew()
    graph: Any = object()  # there is none without a GPU
    first._graph = graph
    assert first.keeper is first
    second, third = begun_anew(), begun_anew()
    assert second.keeper is third.keeper is first
    third._graph = graph
    assert begun_anew().keeper is third


def test_targets_of_two_images_name_their_parts() -> None:
    image = torch.rand(4, 4, 3)
    targets = ColorTargets(("photo", "label"), (image, image), (0.5, 0.25), (0.2, 1.0), None)
    loss = ColorLoss(torch.tensor(0.4), torch.tensor([0.1, 0.2]), torch.tensor([0.3, 0.4]))
    terms = targets.terms(loss)
    assert list(terms) == ["photo", "label"]
    assert terms["photo"].item() == pytest.approx(0.5 * (0.8 * 0.1 + 0.2 * 0.3))
    assert float(sum(terms.values())) == pytest.approx(0.4)


class TestOnAGpu:
    pytestmark = on_a_gpu

    @pytest.mark.parametrize("size", [48, 200])
    def test_a_recording_trains_as_steps_do(self, few_steps: list[int], size: int) -> None:
        recipe = dataclasses.replace(RECIPE, steps=60, sh_every=20)
        plain = started(size, 300, recipe, "cuda")
        plain.shortcut = None
        wanted = list(plain.steps())
        recorded_one = started(size, 300, recipe, "cuda")
        found = list(recorded_one.steps())
        graphs = [one._graph for one in recorder_of(recorded_one)._recordings.values()]
        assert len(graphs) == 1
        assert graphs[0] is not None
        assert len(few_steps) > 30
        assert wanted[-1].terms is not None
        assert found[-1].terms == pytest.approx(wanted[-1].terms, rel=1e-2)
        for name, tensor in plain.gaussians().tensors().items():
            # gsplat adds gradients in any order, and Adam makes much of little.
            difference = (recorded_one.gaussians().tensors()[name] - tensor).abs().mean()
            assert difference <= 2e-2 * tensor.abs().mean() + 1e-3, name

    def test_the_host_does_not_wait_for_a_repeated_step(self, few_steps: list[int]) -> None:
        training = started(48, 300, dataclasses.replace(RECIPE, steps=200, log_every=100, sh_every=0), "cuda")
        stepping = training.steps()
        taken = [next(stepping) for _ in range(10)]
        torch.cuda.set_sync_debug_mode("error")
        try:
            taken += [next(stepping) for _ in range(3)]
        finally:
            torch.cuda.set_sync_debug_mode("default")
        assert len(few_steps) > 5
        assert [step.terms for step in taken] == [None] * 13
