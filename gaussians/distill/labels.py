"""Soft labels: what the teachers see together from training and unseen poses, rendered once and kept.

Views and poses have one numbering: the training views, then the unseen poses. A student that looks at labels
of unseen poses alone needs no others, and none are rendered.

The teachers are frozen, so a label never changes and they may leave memory when all are rendered.
Labels are stored with 8 bits a channel, as the photos are: the error is at most 0.5/255, and measured
0.29/255 (58.9 dB) root mean square, far below what tells the teachers apart. float16 has at most 0.06/255
(79.4 dB), but takes twice the memory.
"""

import functools
import hashlib
import itertools
import math
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from gaussians.camera import Camera
from gaussians.distill.recipe import Labels as LabelOptions
from gaussians.errors import RecipeError
from gaussians.model import Gaussians
from gaussians.raster import rasterize
from gaussians.storage import replacing
from gaussians.train.photos import as_tensor

_FORMAT = b"soft labels 1: uint8 RGB of every view, then float32 disagreement of every view"
_SUFFIX = ".labels"


@dataclass(frozen=True, eq=False)
class Blending:
    """How the teachers' renders become a label.

    Attributes:
        combine: "mean"; "median" of the teachers whatever their weights; "nearest": at each pixel the render
            of the teacher nearest to the mean. The latter two don't blur.
        agreement: σ of the teachers at which a photo has 1 - 1/e of the label; 0: none.
        photos: [H, W, 3] uint8 of each view, as far as there are any.
    """

    combine: str = "mean"
    agreement: float = 0.0
    photos: Sequence[np.ndarray] = ()

    @classmethod
    def of(cls, options: LabelOptions, photos: Sequence[np.ndarray]) -> "Blending":
        """As the recipe has it."""
        return cls(options.combine, options.agreement, photos)

    def key(self) -> bytes:
        """What tells labels apart that were made otherwise."""
        return f"{self.combine} {self.agreement}".encode()


MEAN = Blending()


class Labels(Protocol):
    """What a student takes its labels from."""

    def image(self, view: int) -> Tensor:
        """[H, W, 3] uint8 on the CPU, the label of a training view or unseen pose by its index."""
        ...


@dataclass(frozen=True, eq=False)
class SoftLabels:
    """The labels of all training views, where they are wanted, then of all unseen poses.

    Made by `render_labels`.

    Attributes:
        pixels: all labels' values one after the other, uint8 sRGB; in memory or mapped from a file.
        shapes: (height, width) of each view.
        disagreement: [V] float32, the weighted standard deviation of the teachers' values about their
            mean, averaged over the view's pixels and channels; in [0, 0.5]; 0 with one teacher.
        first: number of the view or pose that the first label is of.
    """

    pixels: np.ndarray
    shapes: tuple[tuple[int, int], ...]
    disagreement: np.ndarray
    first: int = 0

    def __len__(self) -> int:
        return len(self.shapes)

    def image(self, view: int) -> Tensor:
        """[H, W, 3] uint8 on the CPU, the label of a training view or unseen pose by its index."""
        place = view - self.first
        assert place >= 0, "no label was wanted of this view"
        start, end = self._bounds[place : place + 2]
        stored = np.array(self.pixels[start:end])  # a copy, as the map cannot be written
        return torch.from_numpy(stored).reshape(*self.shapes[place], 3)

    @functools.cached_property
    def _bounds(self) -> list[int]:
        """Where each label begins, and where the last one ends."""
        return [0, *itertools.accumulate(3 * height * width for height, width in self.shapes)]

    def label(self, view: int) -> Tensor:
        """[H, W, 3] float32 in [0, 1] on the CPU, the label of a training view by its index."""
        return self.image(view) / 255


def render_labels(
    teachers: Mapping[str, Gaussians],
    weights: Mapping[str, float],
    cameras: Sequence[Camera],
    background: Sequence[float],
    folder: Path,
    memory_mb: float,
    blending: Blending = MEAN,
    first: int = 0,
) -> Generator[int, None, SoftLabels]:
    """Render the label of every camera, yielding the number of finished ones after each.

    `labels = yield from render_labels(...)` in a pipeline; to pause is not to call next. Labels of more
    than `memory_mb` million bytes go to a file in `folder`, written atomically; if a finished one is there
    that was made from the same teachers, weights and cameras, it is used and nothing is rendered.

    Args:
        teachers: by name.
        weights: of each teacher in the mean; they are normalised, and 0 leaves a teacher out.
        cameras: of the training views and unseen poses that labels are wanted of, in their order.
        background: RGB in [0, 1].
        folder: for the file.
        memory_mb: largest size kept in memory.
        blending: of the renders.
        first: number of the view or pose that the first camera is of.

    Raises:
        RecipeError: weights that are negative or not finite, or no teacher left.
        StorageError: the file could not be written.
    """
    shares = label_shares({name: weights[name] for name in teachers})
    taking_part = {name: gaussians for name, gaussians in teachers.items() if name in shares}
    shapes = tuple((camera.height, camera.width) for camera in cameras)
    size = sum(3 * height * width for height, width in shapes)
    rendered = _render_all(taking_part, shares, cameras, background, blending, first)
    if size <= memory_mb * 1e6:
        pixels, disagreement = np.empty(size, np.uint8), np.empty(len(cameras), np.float32)
        end = 0
        for done, (label, spread) in enumerate(rendered):
            start, end = end, end + label.size
            pixels[start:end], disagreement[done] = label.ravel(), spread
            yield done + 1
        _remove_others(folder)
        return SoftLabels(pixels, shapes, disagreement, first)
    path = folder / f"{_key(taking_part, shares, cameras, background, blending)}{_SUFFIX}"
    if not path.is_file() or path.stat().st_size != size + 4 * len(cameras):
        yield from _write(path, rendered)
    _remove_others(folder, path)
    # Mapped for reading only: to write through a map on a full disk kills the process.
    disagreement = np.fromfile(path, np.float32, offset=size)
    return SoftLabels(np.memmap(path, np.uint8, "r", shape=(size,)), shapes, disagreement, first)


def label_shares(weights: Mapping[str, float]) -> dict[str, float]:
    """Each teacher's share of the label: the weights over their sum, teachers of weight 0 left out.

    Raises:
        RecipeError: a weight is negative or not finite, or all are 0.
    """
    for name, weight in weights.items():
        if not (math.isfinite(weight) and weight >= 0):
            raise RecipeError(f"labels.{name} = {weight}: must be at least 0")
    total = sum(weights.values())
    if total == 0:
        raise RecipeError(f"labels: every teacher ({', '.join(weights)}) has weight 0; raise one of them")
    return {name: weight / total for name, weight in weights.items() if weight > 0}


def _render_all(
    teachers: Mapping[str, Gaussians],
    shares: Mapping[str, float],
    cameras: Sequence[Camera],
    background: Sequence[float],
    blending: Blending,
    first: int,
) -> Iterator[tuple[np.ndarray, float]]:
    for view, camera in enumerate(cameras, start=first):
        yield render_label(teachers, shares, camera, background, blending, view)


@torch.no_grad()  # on a function and not a generator: there it would leak out at each yield
def render_label(
    teachers: Mapping[str, Gaussians],
    shares: Mapping[str, float],
    camera: Camera,
    background: Sequence[float],
    blending: Blending = MEAN,
    view: int = 0,
) -> tuple[np.ndarray, float]:
    """One label [H, W, 3] uint8, and its teachers' disagreement; every one of them has a share."""
    images = []
    for gaussians in teachers.values():
        behind = torch.tensor([list(background)], dtype=torch.float32, device=gaussians.device)
        image, _, _ = rasterize(
            **gaussians.render_args(), **camera.tensors(gaussians.device), backgrounds=behind
        )
        images.append(image[0].clamp(0, 1))
    stack = torch.stack([image.to(images[0].device) for image in images])
    share = torch.tensor([shares[name] for name in teachers], device=stack.device).reshape(-1, 1, 1, 1)
    mean = (share * stack).sum(dim=0)
    variance = (share * (stack - mean).square()).sum(dim=0)
    label = combined(stack, mean, blending.combine)
    if blending.agreement > 0 and view < len(blending.photos):
        trusted = torch.exp(-variance.mean(dim=-1, keepdim=True) / blending.agreement**2)
        photo = as_tensor(blending.photos[view]).to(stack.device)
        label = trusted * label + (1 - trusted) * photo / 255
    return (label * 255).round().to(torch.uint8).cpu().numpy(), float(variance.sqrt().mean())


def seen_together(renders: Sequence[Tensor], shares: Sequence[float], combine: str) -> Tensor:
    """[H, W, 3] what teachers that render a view so show of it together.

    Args:
        renders: [H, W, 3] each.
        shares: of each in their mean, see `label_shares`.
        combine: see `Blending.combine`.
    """
    weighted = [share * render for share, render in zip(shares, renders, strict=True)]
    mean = torch.stack(weighted).sum(dim=0)
    return mean if combine == MEAN.combine else combined(torch.stack(list(renders)), mean, combine)


def combined(stack: Tensor, mean: Tensor, combine: str) -> Tensor:
    """[H, W, 3] from the renders [T, H, W, 3] and their weighted mean, see `Blending.combine`."""
    if combine == "median":
        ordered = stack.sort(dim=0).values
        return (ordered[(len(stack) - 1) // 2] + ordered[len(stack) // 2]) / 2
    if combine == "nearest":
        nearest = (stack - mean).square().sum(dim=-1, keepdim=True).argmin(dim=0, keepdim=True)
        return stack.gather(0, nearest.expand(1, *mean.shape))[0]
    return mean


def _write(path: Path, rendered: Iterator[tuple[np.ndarray, float]]) -> Iterator[int]:
    spreads = []
    with replacing(path) as temporary, temporary.open("wb") as file:
        for done, (label, spread) in enumerate(rendered):
            file.write(label.tobytes())
            spreads.append(spread)
            yield done + 1
        file.write(np.array(spreads, np.float32).tobytes())


def _remove_others(folder: Path, path: Path | None = None) -> None:
    """Labels of other weights, teachers or views are of no more use, and large."""
    for other in folder.glob(f"*{_SUFFIX}"):
        if other != path:
            other.unlink(missing_ok=True)


def _key(
    teachers: Mapping[str, Gaussians],
    shares: Mapping[str, float],
    cameras: Sequence[Camera],
    background: Sequence[float],
    blending: Blending,
) -> str:
    """A hash of all that decides the labels: 1 GB of teachers takes about a second."""
    digest = hashlib.blake2b(_FORMAT, digest_size=16)
    digest.update(blending.key())
    if blending.agreement > 0:
        for photo in blending.photos:
            digest.update(photo.tobytes())
    digest.update(np.array(background, np.float64).tobytes())
    for camera in cameras:
        digest.update(np.array([camera.width, camera.height], np.int64).tobytes())
        digest.update(np.ascontiguousarray(camera.viewmat, np.float64).tobytes())
        digest.update(np.ascontiguousarray(camera.K, np.float64).tobytes())
    for name, gaussians in teachers.items():
        digest.update(np.array([shares[name]], np.float64).tobytes())
        for tensor in gaussians.tensors().values():
            digest.update(str(tuple(tensor.shape)).encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
