"""Small seeded scenes, drawn in float32 so that an oracle in float64 sees the very same numbers."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

GAUSSIANS = ("means", "quats", "scales", "opacities", "colors")


@dataclass(frozen=True)
class Scene:
    """What `rasterize` takes."""

    means: Tensor
    quats: Tensor
    scales: Tensor
    opacities: Tensor
    colors: Tensor
    viewmats: Tensor
    Ks: Tensor
    width: int
    height: int
    settings: dict[str, Any] = field(default_factory=dict)

    def to(self, target: torch.dtype | str) -> "Scene":
        """The same scene in another type or on another device."""
        tensors = {name: getattr(self, name).to(target) for name in (*GAUSSIANS, "viewmats", "Ks")}
        settings = {
            name: value.to(target) if isinstance(value, Tensor) else value
            for name, value in self.settings.items()
        }
        return replace(self, **tensors, settings=settings)

    def without_colors(self) -> tuple[Any, ...]:
        """The arguments of `blend_weights`."""
        return (
            self.means, self.quats, self.scales, self.opacities,
            self.viewmats, self.Ks, self.width, self.height,
        )  # fmt: skip

    def arguments(self) -> tuple[Any, ...]:
        """The positional arguments of `rasterize`."""
        return (*self.without_colors()[:4], self.colors, *self.without_colors()[4:])

    def with_settings(self, **settings: Any) -> "Scene":
        return replace(self, settings={**self.settings, **settings})


def camera(eye: tuple[float, float, float], roll: float = 0.0) -> Tensor:
    """[4, 4] world to camera, from `eye` towards the origin, rolled by `roll` radians."""
    centre = torch.tensor(eye, dtype=torch.float64)
    forward = -centre / centre.norm()
    right = torch.linalg.cross(torch.tensor([0.1, 1.0, 0.05], dtype=torch.float64), forward)
    right = right / right.norm()
    down = torch.linalg.cross(forward, right)
    turned = right * math.cos(roll) + down * math.sin(roll), down * math.cos(roll) - right * math.sin(roll)
    viewmat = torch.eye(4, dtype=torch.float64)
    viewmat[:3, :3] = torch.stack([*turned, forward])
    viewmat[:3, 3] = -viewmat[:3, :3] @ centre
    return viewmat.float()


def intrinsics(width: int, height: int, focal: float, shift: float = 0.0) -> Tensor:
    """[3, 3] with different focal lengths per axis and the principal point `shift` of the size off-centre."""
    cx, cy = width * (0.5 + shift), height * (0.5 - shift)
    return torch.tensor([[focal, 0, cx], [0, focal * 1.07, cy], [0, 0, 1]])


def random_scene(
    seed: int = 0,
    n: int = 120,
    width: int = 50,
    height: int = 37,
    sh_degree: int | None = None,
    channels: int = 3,
) -> Scene:
    """A cloud around the origin seen by one camera, all of it in view."""
    generator = torch.Generator().manual_seed(seed)
    colors = torch.rand(n, channels, generator=generator)
    if sh_degree is not None:
        colors = 0.6 * torch.randn(n, (sh_degree + 1) ** 2, 3, generator=generator)
    return Scene(
        means=0.7 * torch.randn(n, 3, generator=generator),
        quats=torch.randn(n, 4, generator=generator),
        scales=0.02 + 0.2 * torch.rand(n, 3, generator=generator) ** 2,
        opacities=0.05 + 0.9 * torch.rand(n, generator=generator),
        colors=colors,
        viewmats=camera((0.4, -0.3, -4.0))[None],
        Ks=intrinsics(width, height, 1.1 * width)[None],
        width=width,
        height=height,
        settings={
            "sh_degree": sh_degree,
            "backgrounds": torch.rand(1, channels if sh_degree is None else 3, generator=generator),
        },
    )


def clusters(seed: int) -> Scene:
    """Three dense, opaque heaps: long depth order, transmittance that runs out."""
    scene, generator = random_scene(seed, n=300, width=64, height=48), torch.Generator().manual_seed(seed)
    heaps = torch.tensor([[-0.9, 0.0, 0.4], [0.2, 0.3, -0.6], [0.8, -0.3, 0.2]])
    means = heaps[torch.randint(3, (300,), generator=generator)] + 0.12 * torch.randn(
        300, 3, generator=generator
    )
    return replace(scene, means=means, opacities=0.3 + 0.69 * torch.rand(300, generator=generator))


def needles(seed: int) -> Scene:
    """Fifty times longer than thick."""
    scene = random_scene(seed, n=80, sh_degree=1)
    return replace(scene, scales=torch.tensor([0.5, 0.01, 0.02]).expand(80, 3) * (0.5 + scene.scales))


def close_up(seed: int) -> Scene:
    """The camera stands in the cloud: Gaussians behind it, at its near plane, larger than the image, and
    beside the field of view, where the Jacobian is clamped."""
    scene = random_scene(seed, n=200, width=45, height=64, sh_degree=2)
    return replace(
        scene, viewmats=camera((0.1, 0.05, -0.8), roll=0.7)[None], Ks=intrinsics(45, 64, 30.0)[None]
    )


def two_cameras(seed: int) -> Scene:
    """Two cameras with different intrinsics, principal points off-centre, degree 3."""
    scene = random_scene(seed, n=100, width=61, height=33, sh_degree=3)
    viewmats = torch.stack([camera((0.4, -0.3, -4.0)), camera((2.5, 0.8, 1.5), roll=-0.4)])
    Ks = torch.stack([intrinsics(61, 33, 70.0, shift=0.1), intrinsics(61, 33, 40.0, shift=-0.2)])
    backgrounds = torch.tensor([[0.2, 0.5, 0.9], [0.0, 1.0, 0.3]])
    return replace(scene, viewmats=viewmats, Ks=Ks).with_settings(backgrounds=backgrounds)


def over_opaque(seed: int) -> Scene:
    """Opacities past 1, as dropout's scaling makes them: the clamp at 0.999 works, and tiles cut."""
    scene = random_scene(seed, n=60, width=64, height=48)
    return replace(scene, opacities=scene.opacities * 1.6, scales=scene.scales * 1.5)


SCENES: dict[str, Callable[[int], Scene]] = {
    "cloud": random_scene,
    "clusters": clusters,
    "needles": needles,
    "close-up": close_up,
    "two cameras": two_cameras,
    "over-opaque": over_opaque,
}
