"""How close a render is to a photo: PSNR, SSIM, FLIP, and LPIPS where its weights are on this machine.

All take the render [H, W, 3], clamped to [0, 1] and not quantised, as the field does; the photo [H, W, 3],
uint8 or float in [0, 1]; and a mask [H, W], True where a pixel counts, or None. Outside the mask the render
is taken to be the photo.
"""

import functools
import importlib
import importlib.util
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gaussians.train.flips import flip_errors, mean_flip
from gaussians.train.losses import color_loss

Image = np.ndarray | Tensor

MAX_PSNR = 100.0  # dB, in place of infinity, which JSON cannot hold


@dataclass(frozen=True)
class ImageMetrics:
    """What one render scores against its photo.

    Attributes:
        psnr: dB, at most MAX_PSNR; higher is better.
        ssim: mean structural similarity, -1 to 1; higher is better.
        flip: mean FLIP error, 0 to 1; lower is better.
        lpips: perceptual distance (VGG); lower is better. None where its weights are not on this machine.
    """

    psnr: float
    ssim: float
    flip: float
    lpips: float | None


def measure(
    rendered: Image, target: Image, mask: Image | None = None, flip_mean: float | None = None
) -> ImageMetrics:
    """Every metric of one render; `flip_mean` is its FLIP, where that is known."""
    return ImageMetrics(
        psnr=psnr(rendered, target, mask),
        ssim=ssim(rendered, target, mask),
        flip=flip(rendered, target, mask) if flip_mean is None else flip_mean,
        lpips=lpips(rendered, target, mask),
    )


def psnr(rendered: Image, target: Image, mask: Image | None = None) -> float:
    """Peak signal-to-noise ratio in dB: -10 log₁₀ of the mean squared error over the pixels that count."""
    image, photo, counted = _prepared(rendered, target, mask)
    count = 3 * int(counted.sum()) if counted is not None else image.numel()
    error = (image - photo).double().square().sum().item() / max(count, 1)
    if math.isnan(error):
        return error
    return min(MAX_PSNR, -10 * math.log10(error)) if error else MAX_PSNR


def ssim(rendered: Image, target: Image, mask: Image | None = None) -> float:
    """Mean SSIM (Wang et al. 2004), window and zero padding those of the loss and of 3DGS's figures."""
    image, photo, counted = _prepared(rendered, target, mask)
    with torch.no_grad():
        return 1 - color_loss(image, photo, mask=counted).dssim.item()


def flip(rendered: Image, target: Image, mask: Image | None = None) -> float:
    """Mean of `flip_map` over the pixels that count; 0 when none does."""
    return mean_flip(*flip_pair(rendered, target, mask))


def flip_map(rendered: Image, target: Image, mask: Image | None = None) -> np.ndarray:
    """[H, W] float32 in [0, 1]: FLIP of the images, see `flip_errors`."""
    return flip_errors(*flip_pair(rendered, target, mask)[:2])


def flip_pair(
    rendered: Image, target: Image, mask: Image | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Photo, render and mask as `mean_flip` takes them."""
    image, photo, counted = _prepared(rendered, target, mask)
    reference, test = (np.ascontiguousarray(tensor.cpu().numpy()) for tensor in (photo, image))
    return reference, test, None if counted is None else counted.cpu().numpy()


def lpips(rendered: Image, target: Image, mask: Image | None = None) -> float | None:
    """LPIPS (Zhang et al. 2018) with VGG, as in 3DGS's figures; None without package or weights.

    Nothing is ever downloaded: the package `lpips` and torchvision's VGG-16 weights must be here already.
    """
    image, photo, _ = _prepared(rendered, target, mask)
    model = _lpips_model(image.device)
    if model is None:
        return None
    with torch.no_grad():
        return float(model(*(2 * tensor.permute(2, 0, 1)[None] - 1 for tensor in (image, photo))))


def lpips_weights() -> Path:
    """Where torchvision keeps the VGG-16 weights that LPIPS needs."""
    return Path(torch.hub.get_dir()) / "checkpoints" / "vgg16-397923af.pth"


@functools.lru_cache(maxsize=1)
def _lpips_model(device: torch.device) -> Any:
    packages = all(importlib.util.find_spec(name) for name in ("lpips", "torchvision"))
    if not packages or not lpips_weights().is_file():
        return None
    return importlib.import_module("lpips").LPIPS(net="vgg", verbose=False).eval().to(device)


def _prepared(rendered: Image, target: Image, mask: Image | None) -> tuple[Tensor, Tensor, Tensor | None]:
    """Render (the photo outside the mask) and photo [H, W, 3] float32, and mask, on the render's device."""
    image = _unit(rendered).detach().clamp(0, 1)
    photo = _unit(target).to(image.device)
    if image.shape != photo.shape:
        raise ValueError(f"render {tuple(image.shape)} and photo {tuple(photo.shape)} differ in shape")
    if mask is None:
        return image, photo, None
    counted = _tensor(mask).to(image.device)
    return torch.where(counted[..., None], image, photo), photo, counted


def _unit(image: Image) -> Tensor:
    """As float32 in [0, 1]; 8-bit values are divided by 255, whichever side they come from."""
    tensor = _tensor(image)
    return tensor.float() if tensor.is_floating_point() else tensor.float() / 255


def _tensor(image: Image) -> Tensor:
    """Arrays are copied: PyTorch cannot share read-only ones, which decoders return, nor flipped ones."""
    return image if isinstance(image, Tensor) else torch.from_numpy(np.array(image))
