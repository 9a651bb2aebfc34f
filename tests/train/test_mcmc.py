import pytest
import torch

from gaussians.model import Gaussians
from gaussians.raster import rasterize
from gaussians.train.mcmc import McmcRefinement, relocated
from gaussians.train.parameters import Parameters
from gaussians.train.recipe import Densify
from gaussians.train.schedule import Draws

from .synthetic import random_gaussians

DENSIFY = Densify(method="mcmc", start=0, stop=50, every=10, cap=260, prune_opacity=0.01)


def prepared(count: int = 200) -> Parameters:
    parameters = Parameters(random_gaussians(count, sh_degree=1))
    for tensor in parameters.tensors.values():
        tensor.grad = torch.ones_like(tensor)
    parameters.step(dict.fromkeys(parameters.tensors, 0.0))
    return parameters


def test_copies_look_together_as_one() -> None:
    """A line through the middle of n relocated Gaussians integrates to that of the one they came from."""
    x = torch.linspace(-8, 8, 4001, dtype=torch.float64)
    for opacity, n in [(0.9, 2), (0.5, 3), (0.99, 7), (0.3, 1)]:
        new, factor = relocated(torch.tensor([opacity]), torch.tensor([n]))
        alpha = new.double() * torch.exp(-0.5 * (x / factor.double()) ** 2)
        together = (1 - (1 - alpha) ** n).sum()
        alone = (opacity * torch.exp(-0.5 * x**2)).sum()
        assert float(together / alone) == pytest.approx(1, abs=1e-4)  # worst seen 1e-6
        assert float(1 - (1 - new) ** n) == pytest.approx(opacity, abs=1e-5)


def test_the_dead_move_onto_the_living_and_the_image_stays() -> None:
    parameters = prepared()
    with torch.no_grad():
        parameters.tensors["opacities"][:50] = -9.0
    dead = parameters.tensors["means"][:50].clone()

    def image(gaussians: Gaussians) -> torch.Tensor:
        view = {"viewmats": torch.eye(4)[None].clone(), "width": 48, "height": 48}
        view["viewmats"][0, 2, 3] = 5.0
        K = torch.tensor([[[40.0, 0, 24], [0, 40, 24], [0, 0, 1]]])
        return rasterize(**gaussians.render_args(), **view, Ks=K)[0].detach()

    before = image(parameters.gaussians())
    refinement = McmcRefinement(
        Densify(method="mcmc", start=0, stop=50, every=10, cap=200, prune_opacity=0.01)
    )
    parameters.optimizers["means"].param_groups[0]["lr"] = 0.0  # and so no noise
    assert refinement.after_step(parameters, {}, 10, Draws(0, "vanilla"))
    assert len(parameters) == 200
    assert float(torch.cdist(dead.detach(), parameters.tensors["means"].detach()[:50]).diagonal().min()) > 0
    assert bool((parameters.tensors["opacities"].sigmoid() > 0.01).all())
    # Off the line through the middle copies differ a little from the one. Worst seen 0.004.
    assert float((image(parameters.gaussians()) - before).abs().mean()) < 0.02


def test_growth_stops_at_the_cap_and_moments_follow() -> None:
    parameters, refinement = prepared(), McmcRefinement(DENSIFY)
    counts = []
    for step in range(0, 70, 10):
        refinement.after_step(parameters, {}, step, Draws(0, "vanilla"))
        counts.append(len(parameters))
    assert counts == [200, 210, 220, 231, 242, 242, 242]
    for name, optimizer in parameters.optimizers.items():
        state = optimizer.state[parameters.tensors[name]]
        assert len(state["exp_avg"]) == 242
        assert float(state["exp_avg"][200:].abs().max()) == 0


def test_noise_moves_the_transparent_along_their_axes_only() -> None:
    parameters = prepared()
    with torch.no_grad():
        parameters.tensors["opacities"][:100] = -9.0
        parameters.tensors["opacities"][100:] = 3.0
        parameters.tensors["scales"][:] = torch.tensor([-2.0, -9.0, -9.0])
        parameters.tensors["quats"][:] = torch.tensor([1.0, 0, 0, 0])
    parameters.optimizers["means"].param_groups[0]["lr"] = 1e-4
    before = parameters.tensors["means"].detach().clone()
    McmcRefinement(DENSIFY).after_step(parameters, {}, 3, Draws(0, "vanilla"))
    moved = (parameters.tensors["means"].detach() - before).abs()
    assert float(moved[:100, 0].mean()) > 0.1
    assert float(moved[:, 1:].max()) < 1e-4
    assert float(moved[100:].max()) < 1e-6
