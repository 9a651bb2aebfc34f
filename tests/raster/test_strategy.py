"""gsplat's adaptive density control works from our meta."""

import pytest
import torch
from gsplat import DefaultStrategy

from gaussians.raster import rasterize

from .scenes import SCENES
from .test_backends import DEVICES


@pytest.mark.parametrize("absgrad", [False, True])
def test_default_strategy_grows(backend: str, absgrad: bool) -> None:
    device = DEVICES[backend]
    scene = SCENES["two cameras"](6).to(device)
    params = {
        "means": scene.means, "quats": scene.quats, "scales": scene.scales.log(),
        "opacities": scene.opacities.logit(), "colors": scene.colors,
    }  # fmt: skip
    params = {name: torch.nn.Parameter(value.clone()) for name, value in params.items()}
    optimizers: dict[str, torch.optim.Optimizer] = {
        name: torch.optim.Adam([value], lr=1e-3) for name, value in params.items()
    }
    strategy = DefaultStrategy(refine_start_iter=0, refine_every=3, reset_every=5, absgrad=absgrad)
    strategy.check_sanity(params, optimizers)
    state = strategy.initialize_state(scene_scale=1.0)
    target = torch.rand(2, scene.height, scene.width, 3, generator=torch.Generator().manual_seed(0)).to(
        device
    )
    counts = []
    for step in range(1, 5):
        render, _, meta = rasterize(
            params["means"], params["quats"], params["scales"].exp(), params["opacities"].sigmoid(),
            params["colors"], scene.viewmats, scene.Ks, scene.width, scene.height,
            **scene.settings, absgrad=absgrad, backend=backend,
        )  # fmt: skip
        strategy.step_pre_backward(params, optimizers, state, step, meta)
        (render - target).abs().mean().backward()
        strategy.step_post_backward(params, optimizers, state, step, meta)
        for optimizer in optimizers.values():
            optimizer.step()
            optimizer.zero_grad()
        counts.append(len(params["means"]))
        if step == 1:
            visible = (meta["radii"] > 0).all(dim=-1).sum(dim=0)
            assert torch.equal(state["count"], visible.float())
            assert (state["grad2d"] > 0).sum() > 50
    assert counts[0] == counts[1] == 100
    assert counts[3] > 110
    assert all(len(value) == counts[3] for value in params.values())
