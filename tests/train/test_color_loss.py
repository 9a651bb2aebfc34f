"""The fused colour loss against plain PyTorch in float64, against finite differences, and at its edges."""

import numba
import numpy as np
import pytest
import torch
from torch import Tensor

from gaussians.train.losses import color_loss, color_losses
from gaussians.train.plain_loss import plain_color_losses, ssim
from tests.train.loss_images import images, masks

SIZES = [(1, 1), (1, 40), (5, 3), (11, 11), (16, 33), (37, 50), (70, 20), (60, 350)]  # the last in patches


def brute_force_ssim(x: np.ndarray, y: np.ndarray) -> float:
    """Wang et al. 2004, eqs. 13-16, pixel by pixel with a 2-D window, on [H, W, 3] float64."""
    line = np.exp(-((np.arange(11) - 5.0) ** 2) / (2 * 1.5**2))
    window = np.outer(line, line) / line.sum() ** 2
    padded_x, padded_y = (np.pad(image, ((5, 5), (5, 5), (0, 0))) for image in (x, y))
    total = 0.0
    for row, column, channel in np.ndindex(x.shape):
        a, b = (p[row : row + 11, column : column + 11, channel] for p in (padded_x, padded_y))
        mean_a, mean_b = (window * a).sum(), (window * b).sum()
        var_a, var_b = ((window * p * p).sum() for p in (a, b))
        var_a, var_b = var_a - mean_a**2, var_b - mean_b**2
        covariance = (window * a * b).sum() - mean_a * mean_b
        top = (2 * mean_a * mean_b + 1e-4) * (2 * covariance + 9e-4)
        total += top / ((mean_a**2 + mean_b**2 + 1e-4) * (var_a + var_b + 9e-4))
    return total / x.size


def test_the_oracle_is_ssim_as_published() -> None:
    x, y = (image.double() for image in images(14, 9, 2))
    assert ssim(x, y).item() == pytest.approx(brute_force_ssim(x.numpy(), y.numpy()), abs=1e-12)


def test_the_oracles_gradient_is_its_slope() -> None:
    x, y = (image.double() for image in images(6, 7, 2))
    mask = masks(6, 7)["half"]
    x = (x + 0.003).requires_grad_()  # off the kink of |x - y| in the clipped parts

    def total(image: Tensor) -> Tensor:
        return plain_color_losses(image, [y], [1.3], [0.3], mask).total

    assert torch.autograd.gradcheck(total, x, eps=1e-6, atol=1e-8)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("mask_name", ["none", "half", "all", "one"])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_kernels_agree_with_float64(size: tuple[int, int], mask_name: str, count: int) -> None:
    rendered, *targets = images(*size, count + 1)
    mask, weights, mixes = masks(*size)[mask_name], [1.0, 0.5, 0.25][:count], [0.2, 1.0, 0.0][:count]
    targets[-1] = (targets[-1] * 255).byte()
    rendered.requires_grad_()
    fused = color_losses(rendered, targets, weights, mixes, mask)
    fused.total.backward()
    exact = rendered.detach().double().requires_grad_()
    plain = plain_color_losses(exact, targets, weights, mixes, mask)
    plain.total.backward()
    assert rendered.grad is not None
    assert exact.grad is not None
    # Worst seen: L1 4e-8, D-SSIM 2.9e-6, gradient 5.2e-6 of its largest entry (plain float32: 7.7e-6).
    assert torch.allclose(fused.l1.double(), plain.l1, atol=1e-6)
    assert torch.allclose(fused.dssim.double(), plain.dssim, atol=1e-5)
    assert fused.total.item() == pytest.approx(plain.total.item(), abs=1e-5)
    largest = exact.grad.abs().max().item()
    assert (rendered.grad - exact.grad).abs().max().item() <= 5e-5 * largest


@pytest.mark.parametrize("mask_name", ["none", "half"])
def test_kernels_gradient_is_their_slope(mask_name: str) -> None:
    rendered, photo, label = images(24, 31, 3, seed=1)
    mask = masks(24, 31)[mask_name]
    rendered.requires_grad_()
    color_losses(rendered, [photo, label], [1.0, 0.7], 0.4, mask).total.backward()
    assert rendered.grad is not None
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        # A step that no |x - y| crosses zero in, large enough for float32.
        step = 2e-3 * torch.sign(torch.randn(rendered.shape, generator=generator))
        near = ((rendered - photo).abs() < 4e-3) | ((rendered - label).abs() < 4e-3)
        step[near] = 0
        ahead, behind = (
            color_losses(rendered.detach() + sign * step, [photo, label], [1.0, 0.7], 0.4, mask).total
            for sign in (1, -1)
        )
        slope = (ahead - behind).item() / 2
        # Worst seen: 1.5e-5 of the sum of the slope's terms.
        scale = (rendered.grad * step).abs().sum().item()
        assert slope == pytest.approx((rendered.grad * step).sum().item(), abs=2e-4 * scale)


def test_identical_images_have_no_loss_and_no_gradient() -> None:
    (image,) = images(20, 30, 1)
    rendered = image.clone().requires_grad_()
    loss = color_loss(rendered, image)
    loss.total.backward()
    assert rendered.grad is not None
    assert (loss.l1.item(), loss.l1.shape) == (0, ())
    assert loss.dssim.item() == pytest.approx(0, abs=1e-6)
    assert rendered.grad.abs().max().item() < 1e-7  # against 5e-4, the L1 part's 1 / (3 H W)


def test_a_mask_without_pixels_gives_zeros() -> None:
    rendered, target = images(12, 13, 2)
    for dtype in (torch.float32, torch.float64):
        image = rendered.clone().to(dtype).requires_grad_()
        loss = color_loss(image, target, mask=torch.zeros(12, 13, dtype=torch.bool))
        loss.total.backward()
        assert [value.item() for value in loss] == [0, 0, 0]
        assert image.grad is not None
        assert not image.grad.any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_is_rendered_outside_the_mask_has_no_effect(dtype: torch.dtype) -> None:
    rendered, target = (image.to(dtype) for image in images(30, 40, 2))
    mask = torch.zeros(30, 40, dtype=torch.bool)
    mask[5:20, 8:31] = True
    outcomes = []
    for outside in (0.0, 1.0, 77.0, torch.nan, torch.inf):
        image = torch.where(mask[..., None], rendered, torch.tensor(outside, dtype=dtype)).requires_grad_()
        loss = color_loss(image, target, mask=mask)
        loss.total.backward()
        assert image.grad is not None
        assert not image.grad[~mask].any()
        outcomes.append((loss, image.grad))
    for loss, gradient in outcomes[1:]:
        assert torch.equal(loss.total, outcomes[0][0].total)
        assert torch.equal(gradient, outcomes[0][1])


def test_backward_scales_and_two_losses_keep_apart() -> None:
    rendered, photo, label = images(25, 18, 3)
    leaf = rendered.clone().requires_grad_()
    first, second = color_loss(leaf, photo), color_loss(leaf, label)  # the second reuses the workspace
    (3 * first.total + second.total).backward()
    separate = []
    for target in (photo, label):
        alone = rendered.clone().requires_grad_()
        color_loss(alone, target).total.backward()
        assert alone.grad is not None
        separate.append(alone.grad)
    assert leaf.grad is not None
    assert torch.allclose(leaf.grad, 3 * separate[0] + separate[1], atol=1e-9)


def test_several_targets_are_the_sum_of_single_ones() -> None:
    rendered, photo, label = images(33, 47, 3)
    joint = color_losses(rendered, [photo, label], [1.0, 0.5], 0.2)
    one, other = color_loss(rendered, photo), color_loss(rendered, label)
    assert joint.total.item() == pytest.approx((one.total + 0.5 * other.total).item(), rel=1e-6)
    assert torch.equal(joint.l1, torch.stack([one.l1, other.l1]))
    assert torch.equal(joint.dssim, torch.stack([one.dssim, other.dssim]))


def test_smaller_after_larger_sees_no_leftovers() -> None:
    small_rendered, small_target = images(21, 22, 2)
    before = color_loss(small_rendered, small_target)
    larger_rendered, larger_target = images(60, 61, 2, seed=5)
    color_loss(larger_rendered, larger_target)
    assert color_loss(small_rendered, small_target).total == before.total


def test_views_of_wider_tensors_are_understood() -> None:
    rendered, target = images(15, 16, 2)
    wide = torch.cat([rendered, torch.ones(15, 16, 1)], dim=-1).requires_grad_()
    loss = color_loss(wide[..., :3], target.flip(0).flip(0))
    loss.total.backward()
    assert loss.total == color_loss(rendered, target).total
    assert wide.grad is not None
    assert wide.grad[..., :3].any()
    assert not wide.grad[..., 3].any()


def test_results_do_not_depend_on_the_threads() -> None:
    rendered, target = images(300, 60, 2)
    outcomes, threads = [], numba.get_num_threads()
    for count in (1, threads, threads):
        numba.set_num_threads(count)
        leaf = rendered.clone().requires_grad_()
        loss = color_loss(leaf, target)
        loss.total.backward()
        assert leaf.grad is not None
        outcomes.append((loss.total.item(), leaf.grad))
    for total, gradient in outcomes[1:]:
        assert total == outcomes[0][0]
        assert torch.equal(gradient, outcomes[0][1])


def test_bytes_are_the_floats_they_stand_for() -> None:
    rendered, one, other = images(40, 30, 3)
    photos = [(255 * image).byte() for image in (one, other)]
    floats = [photo.float().div_(255) for photo in photos]
    outcomes = []
    for targets in (photos, floats, [photos[0], floats[1]]):
        leaf = rendered.clone().requires_grad_()
        loss = color_losses(leaf, targets, [1.0, 0.5])
        loss.total.backward()
        assert leaf.grad is not None
        outcomes.append((loss.total.item(), leaf.grad))
    for total, gradient in outcomes[1:]:
        assert total == outcomes[0][0]
        assert torch.equal(gradient, outcomes[0][1])


def test_nan_is_seen() -> None:
    rendered, target = images(9, 9, 2)
    rendered[4, 4, 1] = torch.nan
    loss = color_loss(rendered, target)
    assert loss.total.isnan()


def test_shapes_that_do_not_fit_are_refused() -> None:
    rendered, target = images(8, 9, 2)
    for arguments in [
        (rendered, [target[:4]], [1.0]),
        (rendered[..., 0], [target[..., 0]], [1.0]),
        (rendered, [target], [1.0, 2.0]),
        (rendered, [], []),
    ]:
        with pytest.raises(ValueError, match=r"images must|weights for"):
            color_losses(*arguments)
    with pytest.raises(ValueError, match="mask"):
        color_loss(rendered, target, mask=torch.ones(9, 8, dtype=torch.bool))


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU")
def test_cuda_agrees_with_the_kernels() -> None:
    rendered, photo, label = images(37, 50, 3)
    mask = masks(37, 50)["half"]
    assert mask is not None
    on_cpu = rendered.clone().requires_grad_()
    on_gpu = rendered.cuda().requires_grad_()
    cpu = color_losses(on_cpu, [photo, label], [1.0, 0.5], 0.2, mask)
    gpu = color_losses(on_gpu, [photo.cuda(), label.cuda()], [1.0, 0.5], 0.2, mask.cuda())
    cpu.total.backward()
    gpu.total.backward()
    assert on_cpu.grad is not None
    assert on_gpu.grad is not None
    assert gpu.total.item() == pytest.approx(cpu.total.item(), abs=1e-5)
    assert (on_gpu.grad.cpu() - on_cpu.grad).abs().max() <= 1e-3 * on_cpu.grad.abs().max()
