"""Measuring models on the held-out views, and proving that a written splat is what was meant."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gaussians.distill.importance import spread_views
from gaussians.distill.labels import label_shares, seen_together
from gaussians.errors import StorageError
from gaussians.io import read_splat, write_splat
from gaussians.model import Gaussians
from gaussians.scene import Scene, View
from gaussians.train.evaluate import evaluate, render_view
from gaussians.train.metrics import psnr

PROBE_VIEWS = 4  # looked at during training
PROBES = 10  # times in a stage


class Probe:
    """PSNR on a few held-out views, within their masks, while training: cheap, and without effect on it."""

    def __init__(self, scene: Scene, device: torch.device) -> None:
        self._views = [scene.test[index] for index in spread_views(len(scene.test), PROBE_VIEWS)]
        self._background, self._device = scene.background, device

    def psnr(self, gaussians: Gaussians, step: int, steps: int) -> float | None:
        """Mean PSNR in dB where it is due: every tenth of `steps`, and at the last one."""
        if not self._views or (step % max(1, steps // PROBES) and step != steps):
            return None
        values = [
            psnr(
                render_view(gaussians, view.camera, self._background, self._device),
                view.image,
                view.mask,
            )
            for view in self._views
        ]
        return sum(values) / len(values)


def verified(path: Path, written: Gaussians) -> Gaussians:
    """Read a splat back and compare it to the bit.

    Raises:
        StorageError: the file holds something else than what was written.
    """
    read = read_splat(path)
    for name, tensor in written.tensors().items():
        if not torch.equal(read.tensors()[name], tensor.cpu()):
            raise StorageError(
                f"{path}: {name} reads back other than written; check the disk and write it again"
            )
    return read


def written(
    path: Path,
    gaussians: Gaussians,
    scene: Scene,
    device: torch.device,
    on_view: Callable[[], None] | None = None,
) -> dict[str, Any]:
    """Write a model's splat file, read it back, and measure what was read: bytes and `measured`.

    Raises:
        StorageError: it can't be written, or holds something else than what was written.
    """
    write_splat(path, gaussians)
    read_back = verified(path, gaussians).to(device)
    return {"bytes": path.stat().st_size, **measured(read_back, scene, device, on_view)}


def measured(
    gaussians: Gaussians, scene: Scene, device: torch.device, on_view: Callable[[], None] | None = None
) -> dict[str, Any]:
    """The quality part of a model's report: means over the held-out views, and each view.

    `on_view` is called when a view is rendered, for progress.
    """
    return _quality(
        lambda view: render_view(gaussians, view.camera, scene.background, device), scene, on_view
    )


def measured_ensemble(
    teachers: Mapping[str, Gaussians],
    weights: Mapping[str, float],
    scene: Scene,
    device: torch.device,
    on_view: Callable[[], None] | None = None,
    combine: str = "mean",
) -> dict[str, Any]:
    """The same for the teachers' renders put together as the labels are, see `ensemble_view`."""
    return _quality(
        lambda view: ensemble_view(teachers, weights, view, scene, device, combine), scene, on_view
    )


def ensemble_view(
    teachers: Mapping[str, Gaussians],
    weights: Mapping[str, float],
    view: View,
    scene: Scene,
    device: torch.device,
    combine: str = "mean",
) -> Tensor:
    """[H, W, 3] what the teachers show of a view together: what its label would be.

    Without the photo's part where they disagree, as a held-out photo teaches nobody.
    """
    shares = label_shares(weights)
    renders = [render_view(teachers[name], view.camera, scene.background, device) for name in shares]
    return seen_together(renders, tuple(shares.values()), combine)


def _quality(
    render: Callable[[View], Tensor], scene: Scene, on_view: Callable[[], None] | None
) -> dict[str, Any]:
    """As report.json has it; None where there are no held-out views."""

    def watched(view: View) -> Tensor:
        image = render(view)
        if on_view is not None:
            on_view()
        return image

    evaluation = evaluate(watched, scene.test)
    mean = evaluation.mean
    quality: dict[str, Any] = {"psnr": None, "ssim": None, "flip": None, "lpips": None, "per_view": {}}
    if mean is not None:
        quality |= {"psnr": mean.psnr, "ssim": mean.ssim, "flip": mean.flip, "lpips": mean.lpips}
    for name, metrics in evaluation.per_view:
        quality["per_view"][name] = {"psnr": metrics.psnr, "ssim": metrics.ssim, "flip": metrics.flip}
    return quality
