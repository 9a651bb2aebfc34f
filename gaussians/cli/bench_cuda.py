"""`bench raster` where there is a GPU: gsplat's kernels and the colour loss, on the workload of the CPU's."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gaussians.cli.peaks import median_ms, waiting
from gaussians.cli.workload import Workload
from gaussians.raster import cuda
from gaussians.train.losses import color_losses
from gaussians.train.plain_loss import plain_color_losses

_FIELDS = ("means", "quats", "scales", "opacities", "colors")
_SSIM_WEIGHT = 0.2


def bench_cuda(workload: Workload, device: torch.device) -> dict[str, Any]:
    """Medians in ms of the whole of `rasterize`, unpacked and packed, and of the loss with its gradient.

    Args:
        workload: what to render.
        device: of the kernels.
    """
    inputs = {name: torch.from_numpy(getattr(workload, name)).to(device).requires_grad_() for name in _FIELDS}
    settings: dict[str, Any] = inputs | workload.camera.tensors(device)
    wait = waiting(device)
    result: dict[str, Any] = {}
    for name, packed in (("unpacked", False), ("packed", True)):
        for part, milliseconds in _rasterized(settings, list(inputs.values()), packed, wait).items():
            result[f"{name}_{part}"] = milliseconds
    with torch.no_grad():
        image = cuda.rasterize(**settings)[0][0]
    photo = (255 * image.flip(0).clamp(0, 1)).to(torch.uint8)
    for name, loss in (("loss_ms", color_losses), ("plain_loss_ms", plain_color_losses)):
        result[name] = _timed(lambda loss=loss: _slope(loss, image, photo), wait)
    return result


def _rasterized(
    settings: dict[str, Any], inputs: list[Tensor], packed: bool, wait: Callable[[], None]
) -> dict[str, float]:
    with torch.no_grad():
        forward = _timed(lambda: cuda.rasterize(**settings, packed=packed), wait)
    image = cuda.rasterize(**settings, packed=packed)[0]
    slope = torch.rand_like(image)
    backward = _timed(lambda: torch.autograd.grad(image, inputs, slope, retain_graph=True), wait)
    return {"forward_ms": forward, "backward_ms": backward}


def _slope(loss: Callable[..., Any], image: Tensor, photo: Tensor) -> Tensor:
    leaf = image.detach().requires_grad_()
    return torch.autograd.grad(loss(leaf, [photo], [1.0], [_SSIM_WEIGHT], None).total, leaf)[0]


def _timed(function: Callable[[], Any], wait: Callable[[], None]) -> float:
    """Median of the milliseconds until the device has done what was asked of it."""

    def call() -> None:
        function()
        wait()

    return median_ms(call)
