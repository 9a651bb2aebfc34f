"""The Gaussians themselves: stored parameters, and the activations that make them what is rendered."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

SH_C0 = 0.28209479177387814  # the constant real spherical harmonic, 1 / (2 √π)


@dataclass(frozen=True, eq=False)
class Gaussians:
    """N anisotropic 3-D Gaussians with view-dependent colour (Kerbl et al. 2023).

    Attributes:
        means: [N, 3] centres in world coordinates.
        quats: [N, 4] rotations, wxyz, not necessarily normalised.
        log_scales: [N, 3] natural logarithm of the standard deviations along the rotated axes.
        logit_opacities: [N].
        sh0: [N, 1, 3] constant spherical-harmonic coefficient; colour = 0.5 + SH_C0 * sh0 + ...
        shN: [N, K-1, 3] higher coefficients, K = (degree + 1)²; K-1 may be 0.
    """

    means: Tensor
    quats: Tensor
    log_scales: Tensor
    logit_opacities: Tensor
    sh0: Tensor
    shN: Tensor

    def __len__(self) -> int:
        return self.means.shape[0]

    @property
    def scales(self) -> Tensor:
        """[N, 3] standard deviations, world units."""
        return torch.exp(self.log_scales)

    @property
    def opacities(self) -> Tensor:
        """[N] in (0, 1)."""
        return torch.sigmoid(self.logit_opacities)

    @property
    def colors(self) -> Tensor:
        """[N, K, 3] all spherical-harmonic coefficients."""
        return torch.cat([self.sh0, self.shN], dim=1)

    @property
    def sh_degree(self) -> int:
        """The degree that the stored coefficients allow: 0 to 3."""
        return {1: 0, 4: 1, 9: 2, 16: 3}[1 + self.shN.shape[1]]

    @property
    def device(self) -> torch.device:
        """Where the tensors live."""
        return self.means.device

    def tensors(self) -> dict[str, Tensor]:
        """The stored tensors by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def map(self, function: Callable[[Tensor], Tensor]) -> "Gaussians":
        """The same function applied to each stored tensor."""
        return Gaussians(**{name: function(tensor) for name, tensor in self.tensors().items()})

    def select(self, index: Tensor) -> "Gaussians":
        """The Gaussians at `index`: integers or a boolean mask, [N] or [M]."""
        return self.map(lambda tensor: tensor[index])

    def detached(self) -> "Gaussians":
        """A copy that shares neither memory nor gradients."""
        return self.map(lambda tensor: tensor.detach().clone())

    def to(self, device: torch.device | str) -> "Gaussians":
        """The same Gaussians on another device."""
        return self.map(lambda tensor: tensor.to(device))

    def render_args(self) -> dict[str, Any]:
        """The activated parameters as `rasterize` takes them, with sh_degree."""
        return {
            "means": self.means,
            "quats": self.quats,
            "scales": self.scales,
            "opacities": self.opacities,
            "colors": (self.sh0, self.shN),
            "sh_degree": self.sh_degree,
        }
