"""Image metrics: values known in closed form, masks, and LPIPS that never downloads."""

import dataclasses
import json
import math
import sys
import types
from collections.abc import Callable, Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from gaussians.train import metrics
from gaussians.train.plain_loss import ssim as plain_ssim


@pytest.fixture
def photo() -> np.ndarray:
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:40, :60] / 8.0
    smooth = np.stack([np.sin(x + c) * np.cos(y) for c in range(3)], axis=-1)
    return (127 + 90 * smooth + rng.integers(-20, 21, (40, 60, 3))).clip(0, 255).astype(np.uint8)


@pytest.fixture(autouse=True)
def fresh_lpips() -> Iterator[None]:
    metrics._lpips_model.cache_clear()
    yield
    metrics._lpips_model.cache_clear()


def test_identical_images_score_best_and_fit_json(photo: np.ndarray) -> None:
    score = metrics.measure(photo / 255.0, photo)
    assert score.psnr == 100.0
    assert score.ssim == pytest.approx(1, abs=1e-6)
    assert score.flip == 0
    json.dumps(dataclasses.asdict(score), allow_nan=False)


@pytest.mark.parametrize("offset", [0.1, 0.01, 1e-4])
def test_psnr_of_a_constant_offset(offset: float) -> None:
    target = np.full((8, 9, 3), 0.25, np.float32)
    expected = min(100.0, -20 * math.log10(offset))
    assert metrics.psnr(target + np.float32(offset), target) == pytest.approx(
        expected, abs=0.01
    )  # 1e-4 + 0.25 rounds


def test_psnr_is_of_values_clamped_but_not_rounded() -> None:
    target = np.full((4, 4, 3), 255, np.uint8)
    assert metrics.psnr(np.full((4, 4, 3), 7.0, np.float32), target) == 100.0
    nearly = np.full((4, 4, 3), 1 - 0.001, np.float32)  # rounds to 255
    assert metrics.psnr(nearly, target) == pytest.approx(60, abs=1e-3)
    black = np.full((4, 4, 3), -3.0, np.float32)
    assert metrics.psnr(black, target) == pytest.approx(0, abs=1e-9)


def test_nan_is_not_a_good_score() -> None:
    target = np.zeros((4, 4, 3), np.uint8)
    broken = np.full((4, 4, 3), np.nan, np.float32)
    assert math.isnan(metrics.psnr(broken, target))
    assert math.isnan(metrics.ssim(broken, target))


def test_ssim_is_that_of_the_oracle(photo: np.ndarray) -> None:
    noisy = (photo / 255.0 + np.random.default_rng(1).normal(0, 0.1, photo.shape)).clip(0, 1)
    exact = plain_ssim(torch.tensor(noisy), torch.tensor(photo / 255.0)).item()
    assert 0.3 < exact < 0.95
    assert metrics.ssim(noisy, photo) == pytest.approx(exact, abs=1e-5)


def test_ssim_of_two_flat_greys() -> None:
    # Away from the border variances vanish and only the luminance term is left.
    luminance = (2 * 0.3 * 0.6 + 1e-4) / (0.3**2 + 0.6**2 + 1e-4)
    large = (np.full((500, 500, 3), value) for value in (0.3, 0.6))
    assert metrics.ssim(*large) == pytest.approx(luminance, abs=0.01)


def test_flip_of_black_and_white_is_its_largest(photo: np.ndarray) -> None:
    black, white = np.zeros((20, 20, 3), np.uint8), np.ones((20, 20, 3), np.float32)
    assert metrics.flip(white, black) == pytest.approx(0.967, abs=0.002)
    error = metrics.flip_map(photo[::-1] / 255.0, photo)
    assert error.shape == photo.shape[:2]
    assert error.dtype == np.float32
    assert 0 <= error.min() < error.max() <= 1
    assert metrics.flip(photo[::-1] / 255.0, photo) == pytest.approx(float(error.mean()), rel=1e-5)


def test_flip_rises_with_the_noise(photo: np.ndarray) -> None:
    noise = np.random.default_rng(1).normal(0, 1, photo.shape)
    errors = [metrics.flip((photo / 255.0 + s * noise).clip(0, 1), photo) for s in (0, 0.02, 0.05, 0.2)]
    assert errors == sorted(errors)
    assert errors[0] == 0


@pytest.mark.parametrize("form", [np.asarray, torch.as_tensor], ids=["numpy", "torch"])
def test_outside_the_mask_nothing_counts(
    photo: np.ndarray, form: Callable[[np.ndarray], metrics.Image]
) -> None:
    rendered = (photo / 255.0 + 0.1).clip(0, 1).astype(np.float32)
    mask = np.zeros(photo.shape[:2], bool)
    mask[5:25, 10:50] = True
    ruined = rendered.copy()
    ruined[~mask] = 0.5
    scores = [metrics.measure(form(image), form(photo), form(mask)) for image in (rendered, ruined)]
    assert scores[0] == scores[1]
    error = np.square(rendered - np.float32(photo / 255.0))[mask].mean()
    assert scores[0].psnr == pytest.approx(-10 * math.log10(error), abs=1e-3)
    assert scores[0].flip > metrics.flip(rendered, photo) * 0.5


def test_an_empty_mask_scores_as_identical(photo: np.ndarray) -> None:
    score = metrics.measure(np.zeros(photo.shape, np.float32), photo, np.zeros(photo.shape[:2], bool))
    assert (score.psnr, score.ssim, score.flip) == (100.0, 1.0, 0.0)


@pytest.mark.filterwarnings("error")
def test_arrays_may_be_read_only_or_flipped(photo: np.ndarray) -> None:
    rendered, flipped = (photo / 255.0)[::-1], photo[::-1]
    photo.setflags(write=False)
    assert metrics.measure(rendered, flipped).psnr == 100.0
    assert metrics.measure(rendered[::-1], photo, np.ones((40, 60), bool)[::-1]).psnr == 100.0


def test_shapes_must_agree(photo: np.ndarray) -> None:
    with pytest.raises(ValueError, match="differ in shape"):
        metrics.psnr(photo[:-1] / 255.0, photo)


class FakeLpips:
    """Stands in for lpips.LPIPS: checks what it is given, returns the mean absolute difference."""

    def __init__(self, net: str, verbose: bool) -> None:
        assert (net, verbose) == ("vgg", False)

    def eval(self) -> "FakeLpips":
        return self

    def to(self, device: torch.device) -> "FakeLpips":
        assert device.type == "cpu"
        return self

    def __call__(self, one: Tensor, other: Tensor) -> Tensor:
        assert one.shape == other.shape == (1, 3, 40, 60)
        assert other.min() >= -1
        assert other.min() < 0
        return (one - other).abs().mean().reshape(1, 1, 1, 1)


def install(monkeypatch: pytest.MonkeyPatch, hub: Path, *, weights: bool) -> None:
    for name in ("lpips", "torchvision"):
        module = types.ModuleType(name)
        module.__spec__ = ModuleSpec(name, None)
        module.__dict__["LPIPS"] = FakeLpips
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(hub))
    if weights:
        (hub / "checkpoints").mkdir()
        (hub / "checkpoints" / "vgg16-397923af.pth").touch()


def test_lpips_is_none_without_weights(
    photo: np.ndarray, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(monkeypatch, tmp_path, weights=False)
    assert metrics.lpips(photo / 255.0, photo) is None


def test_lpips_gets_images_from_minus_one_to_one(
    photo: np.ndarray, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install(monkeypatch, tmp_path, weights=True)
    assert metrics.lpips(photo / 255.0, photo) == pytest.approx(0, abs=1e-6)
    assert metrics.measure(1 - photo / 255.0, photo).lpips == pytest.approx(
        2 * np.abs(1 - 2 * (photo / 255.0)).mean(), rel=1e-5
    )


def test_render_in_8_bits_scores_as_the_same_in_float():
    rng = np.random.default_rng(5)
    photo = rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)
    render = np.clip(photo.astype(int) + rng.integers(-9, 10, photo.shape), 0, 255).astype(np.uint8)
    assert metrics.measure(render, photo) == metrics.measure(render.astype(np.float32) / 255, photo)
    assert metrics.flip_map(render, photo).mean() < 0.2
