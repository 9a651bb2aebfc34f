"""Growth by relocation and noise: 3D Gaussian Splatting as Markov Chain Monte Carlo (Kheradmand et al. 2024).

Own code in PyTorch, for both devices: gsplat's strategy of that name needs a CUDA kernel.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from gaussians.train.parameters import Parameters
from gaussians.train.recipe import Densify
from gaussians.train.schedule import Draws

_GROWTH = 1.05  # a refinement adds 5 % (§5.1)
_NOISE = 5e5  # x the positions' learning rate (§5.1)
_STEEPNESS, _ALMOST_GONE = 100, 0.005  # of the noise's fall with opacity (eq. 8)
_MOST_COPIES = 51  # of one Gaussian in a relocation, as in the released code
_LEAST_SCALE = 1e-10  # world units; far below a pixel of any scene


class McmcRefinement:
    """Dead Gaussians move onto live ones, the count grows to `densify.cap`, and all positions get noise.

    Uses start, stop, every, cap and prune_opacity of `densify`; no gradients, no opacity resets. Wants the
    regularisers of opacity and scale in the loss, which kill what is not needed.
    """

    absgrad = False

    def __init__(self, densify: Densify) -> None:
        self._densify = densify

    def before_backward(self, meta: dict[str, Any]) -> None:
        """Nothing: no gradient is looked at."""

    def after_step(self, parameters: Parameters, meta: dict[str, Any], step: int, draws: Draws) -> bool:
        """Relocate and grow where it is due, then add the noise; whether Gaussians changed."""
        densify, device = self._densify, parameters.tensors["means"].device
        changed = False
        if densify.start < step < densify.stop and step % densify.every == 0:
            generator = draws.generator(step, "mcmc", device)
            changed = self._relocate(parameters, generator) | self._grow(parameters, generator)
        rate = parameters.optimizers["means"].param_groups[0]["lr"]
        _add_noise(parameters, _NOISE * rate, draws.generator(step, "noise", device))
        return changed

    def mean_gradients(self) -> Tensor | None:
        """None: there are no such statistics."""
        return None

    def keep(self, mask: Tensor) -> None:
        """Nothing is kept by Gaussian."""

    def state_dict(self) -> dict[str, Tensor]:
        """Empty: the step alone says what is due."""
        return {}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Nothing to load."""

    @torch.no_grad()
    def _relocate(self, parameters: Parameters, generator: torch.Generator) -> bool:
        """Move Gaussians below `prune_opacity` onto live ones, drawn by opacity."""
        opacities = parameters.tensors["opacities"].sigmoid()
        dead = opacities <= self._densify.prune_opacity
        if not bool(dead.any()) or bool(dead.all()):
            return False
        live = (~dead).nonzero()[:, 0]
        drawn = live[_draw(opacities[live], int(dead.sum()), generator)]
        _share_out(parameters, drawn)
        for name, tensor in parameters.tensors.items():
            tensor[dead] = tensor[drawn]
            state = parameters.optimizers[name].state.get(tensor, {})
            for moment in ("exp_avg", "exp_avg_sq"):
                if moment in state:
                    state[moment][drawn] = 0
        return True

    @torch.no_grad()
    def _grow(self, parameters: Parameters, generator: torch.Generator) -> bool:
        """Add copies of Gaussians drawn by opacity, 5 % more than there are, up to the cap."""
        count = len(parameters)
        added = min(self._densify.cap, int(_GROWTH * count)) - count
        if added <= 0:
            return False
        drawn = _draw(parameters.tensors["opacities"].sigmoid(), added, generator)
        _share_out(parameters, drawn)
        parameters.append(drawn)
        return True


def _draw(weights: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """[count] indices drawn with replacement, in proportion to weights [N]; N may exceed 2²⁴."""
    ends = weights.double().cumsum(0)
    at = torch.rand(count, generator=generator, device=weights.device, dtype=torch.float64) * ends[-1]
    return torch.searchsorted(ends, at).clamp(max=len(weights) - 1)


def _share_out(parameters: Parameters, drawn: Tensor) -> None:
    """Let those drawn, who are about to be copied, look together with their copies as they did alone."""
    opacities, log_scales = parameters.tensors["opacities"], parameters.tensors["scales"]
    total = (1 + torch.bincount(drawn, minlength=len(parameters))).clamp(max=_MOST_COPIES)
    chosen = (total > 1).nonzero()[:, 0]
    opacity, factor = relocated(opacities[chosen].sigmoid(), total[chosen])
    opacities[chosen] = opacity.logit()
    scales = (log_scales[chosen].exp() * factor[:, None]).clamp(min=_LEAST_SCALE)
    log_scales[chosen] = scales.log()


def relocated(opacities: Tensor, copies: Tensor) -> tuple[Tensor, Tensor]:
    """(opacity, factor on the scales) of each of n Gaussians in one place that look like one (eq. 9).

    o' = 1 - (1 - o)^(1/n), and σ' / σ = o / Σ_{i=1..n} Σ_{k=0..i-1} C(i-1, k) (-1)^k o'^(k+1) / √(k+1), which
    keeps the integral along a line through the middle.

    Args:
        opacities: [N] o, in (0, 1).
        copies: [N] n, whole numbers from 1 to 51.
    """
    old = opacities.double().clamp(1e-6, 1 - 1e-6)
    new = 1 - (1 - old) ** (1 / copies.double())
    denominator = torch.zeros_like(old)
    for k in range(int(copies.max()) if len(copies) else 0):
        # Σ_i C(i-1, k) over i = k+1 .. n is C(n, k+1) (the hockey-stick identity).
        ways = torch.tensor([math.comb(n, k + 1) for n in range(_MOST_COPIES + 1)], dtype=torch.float64)
        term = ways.to(old.device)[copies] * (-1) ** k / math.sqrt(k + 1) * new ** (k + 1)
        denominator += term
    limit = 1 - torch.finfo(torch.float32).eps
    return new.clamp(max=limit).to(opacities), (old / denominator).to(opacities)


@torch.no_grad()
def _add_noise(parameters: Parameters, size: float, generator: torch.Generator) -> None:
    """Move centres by Σ ε, times `size` and 1 for the transparent, hardly at all for the opaque (eq. 8)."""
    from gsplat.utils import normalized_quat_to_rotmat

    means, opacities = parameters.tensors["means"], parameters.tensors["opacities"].sigmoid()
    transparent = torch.sigmoid(_STEEPNESS * (_ALMOST_GONE - opacities))
    noise = torch.randn(means.shape, generator=generator, device=means.device) * transparent[:, None] * size
    axes = normalized_quat_to_rotmat(torch.nn.functional.normalize(parameters.tensors["quats"], dim=-1))
    variances = (2 * parameters.tensors["scales"]).exp()
    along = torch.einsum("nji,nj->ni", axes, noise) * variances
    means += torch.einsum("nij,nj->ni", axes, along)
