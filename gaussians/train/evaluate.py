"""Looking at Gaussians: one rendered view, and how near held-out views are to their photos."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

import torch
from torch import Tensor

from gaussians.camera import Camera
from gaussians.model import Gaussians
from gaussians.raster import rasterize
from gaussians.scene.types import View
from gaussians.train.flips import Flips
from gaussians.train.metrics import ImageMetrics, flip_pair, measure


@dataclass(frozen=True)
class Evaluation:
    """How near a model comes to photos it was not trained on.

    Attributes:
        per_view: name and metrics of each view, in their order.
        mean: of the views' metrics; None without views.
    """

    per_view: tuple[tuple[str, ImageMetrics], ...]
    mean: ImageMetrics | None


@torch.no_grad()
def render_view(
    gaussians: Gaussians,
    camera: Camera,
    background: tuple[float, float, float],
    device: torch.device | str | None = None,
    *,
    sh_degree: int | None = None,
    backend: str = "auto",
) -> Tensor:
    """What a camera sees, without gradients.

    Args:
        gaussians: copied to `device`, if they are elsewhere.
        camera: pose, intrinsics and size.
        background: RGB in [0, 1].
        device: None: where the Gaussians are.
        sh_degree: bands to use; None: all there are.
        backend: of the rasterizer.

    Returns:
        [H, W, 3] float32 in [0, 1], on the device.

    Raises:
        SplatError: a value of the Gaussians is not finite.
        BackendUnavailableError: the device's rasterizer can't run here.
    """
    placed = gaussians if device is None else gaussians.to(device)
    settings = placed.render_args()
    if sh_degree is not None:
        settings["sh_degree"] = min(sh_degree, placed.sh_degree)
    behind = torch.tensor([background], dtype=torch.float32, device=placed.device)
    image, _, _ = rasterize(**settings, **camera.tensors(placed.device), backgrounds=behind, backend=backend)
    return image[0].clamp(0, 1)


def evaluate(render: Callable[[View], Tensor], views: Sequence[View]) -> Evaluation:
    """Measure what `render` makes of each view against the view's photo, within its mask.

    Args:
        render: a view to its render [H, W, 3] in [0, 1]: one model, or several blended.
        views: held out from training.
    """
    scores = []
    with Flips(sum(view.camera.width * view.camera.height for view in views)) as flips:
        for view in views:
            with torch.no_grad():
                image = render(view)
                flips.add(*flip_pair(image, view.image, view.mask))
                scores.append(measure(image, view.image, view.mask, flip_mean=math.nan))
        pairs = zip(scores, flips.means(), strict=True)
        metrics = [dataclasses.replace(score, flip=flip) for score, flip in pairs]
    return Evaluation(
        tuple((view.name, metric) for view, metric in zip(views, metrics, strict=True)), _mean(metrics)
    )


def _mean(metrics: Sequence[ImageMetrics]) -> ImageMetrics | None:
    """Each metric's mean over the views."""
    if not metrics:
        return None

    lpips = [metric.lpips for metric in metrics if metric.lpips is not None]
    return ImageMetrics(
        psnr=fmean(metric.psnr for metric in metrics),
        ssim=fmean(metric.ssim for metric in metrics),
        flip=fmean(metric.flip for metric in metrics),
        lpips=fmean(lpips) if lpips else None,
    )
