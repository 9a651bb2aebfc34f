"""Blending as one would write it down: what the shipped kernels are faster than, and a second opinion.

Scalar loops over a tile's pixels and its list, tiles dealt in equal parts. `python -m
tests.raster.plain_kernels` times both on the workload of `bench raster`, in turns in one run.
"""

import math
from statistics import median
from time import perf_counter
from typing import Any

import numba
import numpy as np
import torch

from gaussians.cli.bench_raster import _projected
from gaussians.cli.workload import workload
from gaussians.raster.constants import ALPHA_MAX, ALPHA_MIN, TRANSMITTANCE_MIN
from gaussians.raster.constants import TILE_SIZE as TILE
from gaussians.raster.cpu.functions import Bins, Blend
from gaussians.raster.cpu.layout import WHO

_MOST, _LEAST, _END = np.float32(ALPHA_MAX), np.float32(ALPHA_MIN), np.float32(TRANSMITTANCE_MIN)
_HALF, _ONE = np.float32(0.5), np.float32(1)
RUNS = 9
MEAN, CONIC, OPACITY, COLOR = 0, 2, 5, 6  # where in a row of nine gradients


@numba.njit(parallel=True, cache=True, error_model="numpy")
def plain_forward(order, starts, ranks, tiles_x, means, conics, opacities, colors, image, left_over):
    """Image [H, W, 3] on black and transmittance [H, W], pixel by pixel."""
    height, width = left_over.shape
    for tile in numba.prange(len(starts) - 1):
        x0, y0 = (tile % tiles_x) * TILE, (tile // tiles_x) * TILE
        for y in range(y0, min(y0 + TILE, height)):
            for x in range(x0, min(x0 + TILE, width)):
                t = _ONE
                red, green, blue = np.float32(0), np.float32(0), np.float32(0)
                for place in range(starts[tile], starts[tile + 1]):
                    n = order[ranks[place]]
                    dx, dy = np.float32(x) + _HALF - means[n, 0], np.float32(y) + _HALF - means[n, 1]
                    sigma = _HALF * (conics[n, 0] * dx * dx + conics[n, 2] * dy * dy)
                    sigma += conics[n, 1] * dx * dy
                    alpha = min(_MOST, opacities[n] * math.exp(-sigma))
                    if sigma < 0 or alpha < _LEAST:
                        continue
                    if t * (_ONE - alpha) <= _END:
                        break
                    red += colors[n, 0] * alpha * t
                    green += colors[n, 1] * alpha * t
                    blue += colors[n, 2] * alpha * t
                    t *= _ONE - alpha
                image[y, x, 0], image[y, x, 1], image[y, x, 2] = red, green, blue
                left_over[y, x] = t


@numba.njit(parallel=True, cache=True, error_model="numpy")
def plain_backward(order, starts, ranks, tiles_x, means, conics, opacities, colors, image, v_image, parts):
    """Gradients of each (tile, Gaussian) [M, 9]; what is behind one is the image less what is before."""
    height, width = image.shape[:2]
    for tile in numba.prange(len(starts) - 1):
        x0, y0 = (tile % tiles_x) * TILE, (tile // tiles_x) * TILE
        for place in range(starts[tile], starts[tile + 1]):
            parts[place] = 0
        for y in range(y0, min(y0 + TILE, height)):
            for x in range(x0, min(x0 + TILE, width)):
                t = _ONE
                behind = np.float32(0)
                for channel in range(3):
                    behind += image[y, x, channel] * v_image[y, x, channel]
                for place in range(starts[tile], starts[tile + 1]):
                    n = order[ranks[place]]
                    dx, dy = np.float32(x) + _HALF - means[n, 0], np.float32(y) + _HALF - means[n, 1]
                    sigma = _HALF * (conics[n, 0] * dx * dx + conics[n, 2] * dy * dy)
                    sigma += conics[n, 1] * dx * dy
                    bell = math.exp(-sigma)
                    alpha = min(_MOST, opacities[n] * bell)
                    if sigma < 0 or alpha < _LEAST:
                        continue
                    if t * (_ONE - alpha) <= _END:
                        break
                    own = np.float32(0)
                    for channel in range(3):
                        parts[place, COLOR + channel] += alpha * t * v_image[y, x, channel]
                        own += colors[n, channel] * v_image[y, x, channel]
                    behind -= alpha * t * own
                    v_alpha = t * own - behind / (_ONE - alpha)
                    t *= _ONE - alpha
                    if opacities[n] * bell < _MOST:
                        slope = -v_alpha * opacities[n] * bell
                        parts[place, OPACITY] += v_alpha * bell
                        parts[place, CONIC] += _HALF * dx * dx * slope
                        parts[place, CONIC + 1] += dx * dy * slope
                        parts[place, CONIC + 2] += _HALF * dy * dy * slope
                        parts[place, MEAN] -= slope * (conics[n, 0] * dx + conics[n, 1] * dy)
                        parts[place, MEAN + 1] -= slope * (conics[n, 1] * dx + conics[n, 2] * dy)


@numba.njit(cache=True)
def added_up(order, ranks, parts, total):
    """Sum the parts per Gaussian into total [N, 9]."""
    total[:] = 0
    for place in range(len(ranks)):
        total[order[ranks[place]]] += parts[place]


class Plain:
    """One camera's blending and its gradient.

    Args:
        bins: sorted and dealt.
        fields: means2d, conics, colors, opacities, each [1, N, ...].
        size: width and height, px.
    """

    def __init__(self, bins: Bins, fields: list[torch.Tensor], size: tuple[int, int]) -> None:
        means, conics, colors, opacities = (field[0].detach().numpy() for field in fields)
        self._lists = (
            bins.visible,
            bins.starts,
            np.ascontiguousarray(bins.members[:, WHO]),
            bins.tiles_x,
            means,
            conics,
            opacities,
            colors,
        )
        self.image = np.empty((size[1], size[0], 3), np.float32)
        self.transmittance = np.empty((size[1], size[0]), np.float32)
        self.gradients = np.empty((len(means), 9), np.float32)
        self._parts = np.empty((len(bins.members), 9), np.float32)

    def forward(self) -> None:
        """Image and transmittance."""
        plain_forward(*self._lists, self.image, self.transmittance)

    def backward(self, v_image: np.ndarray) -> None:
        """Gradients [N, 9] of (image * v_image).sum()."""
        plain_backward(*self._lists, self.image, v_image, self._parts)
        added_up(self._lists[0], self._lists[2], self._parts, self.gradients)


def shipped(fields: list[torch.Tensor], bins: Bins, size: tuple[int, int]) -> Any:
    """The image by the kernels that the CPU backend uses."""
    background = torch.zeros(1, 3)
    return Blend.apply(*fields, background, [bins], size, False, True)  # pyright: ignore[reportGeneralTypeIssues] - torch's stubs don't type apply


def main() -> None:
    """Time both, alternating, and print medians and ratios."""
    work = workload(None)
    size = (work.camera.width, work.camera.height)
    (means2d, conics, depths, radii), _ = _projected(work)
    outlines, depth = (means2d[0].numpy(), conics[0].numpy(), work.opacities), depths[0].numpy()
    bins = Bins.of(*outlines, depth, radii[0].numpy(), *size)
    colors, opacities = torch.from_numpy(work.colors)[None], torch.from_numpy(work.opacities)[None]
    fields = [field.requires_grad_() for field in (means2d, conics, colors, opacities)]
    plain, v_image = Plain(bins, fields, size), torch.rand(1, size[1], size[0], 3)
    times: dict[str, list[float]] = {}
    for _ in range(RUNS + 2):
        for name, action in (
            ("forward, plain", plain.forward),
            ("forward, shipped", lambda: shipped(fields, bins, size)),
            ("backward, plain", lambda: plain.backward(v_image[0].numpy())),
        ):
            began = perf_counter()
            action()
            times.setdefault(name, []).append(perf_counter() - began)
        image = shipped(fields, bins, size)[0]
        began = perf_counter()
        torch.autograd.grad(image, fields, v_image)
        times.setdefault("backward, shipped", []).append(perf_counter() - began)
    ms = {name: 1e3 * median(seconds[2:]) for name, seconds in times.items()}
    for way in ("forward", "backward"):
        plain_ms, own = ms[f"{way}, plain"], ms[f"{way}, shipped"]
        print(f"{work.name} {way}: plain {plain_ms:.1f} ms, shipped {own:.1f} ms, {plain_ms / own:.1f} x")


if __name__ == "__main__":
    main()
