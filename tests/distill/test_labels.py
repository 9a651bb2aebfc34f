import os
from collections.abc import Generator, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from gaussians.camera import Camera
from gaussians.distill.labels import Blending, SoftLabels, label_shares, render_labels
from gaussians.errors import RecipeError, StorageError
from gaussians.model import Gaussians
from gaussians.raster import rasterize

BACKGROUND = (0.2, 0.4, 0.6)


def teacher(seed: int) -> Gaussians:
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    return Gaussians(
        means=normal(60, 3) * 0.5 + torch.tensor([0.0, 0.0, 4.0]),
        quats=normal(60, 4),
        log_scales=normal(60, 3) * 0.3 - 1.5,
        logit_opacities=normal(60),
        sh0=normal(60, 1, 3),
        shN=normal(60, 3, 3) * 0.1,
    )


def cameras() -> list[Camera]:
    views = []
    for index, (width, height) in enumerate([(32, 24), (40, 30), (32, 24)]):
        viewmat = np.eye(4)
        viewmat[0, 3] = 0.2 * index
        K = np.array([[40.0, 0, width / 2], [0, 40, height / 2], [0, 0, 1]])
        views.append(Camera(viewmat, K, width, height))
    return views


def render(gaussians: Gaussians, camera: Camera) -> torch.Tensor:
    image, _, _ = rasterize(
        **gaussians.render_args(), **camera.tensors(), backgrounds=torch.tensor([BACKGROUND])
    )
    return image[0].clamp(0, 1)


def finished(run: Generator[int, None, SoftLabels]) -> tuple[list[int], SoftLabels]:
    progress = []
    while True:
        try:
            progress.append(next(run))
        except StopIteration as end:
            return progress, end.value


def build(
    weights: Mapping[str, float], folder: Path, memory_mb: float = 100, seeds: tuple[int, ...] = (0, 1, 2)
) -> tuple[list[int], SoftLabels]:
    teachers = dict(zip(weights, map(teacher, seeds), strict=True))
    return finished(render_labels(teachers, weights, cameras(), BACKGROUND, folder, memory_mb))


WEIGHTS = {"vanilla": 2.0, "perturbed": 1.0, "dropout": 1.0}


@pytest.mark.parametrize("memory_mb", [100, 0])
def test_labels_are_the_weighted_means_of_the_renders(tmp_path: Path, memory_mb: float) -> None:
    progress, labels = build(WEIGHTS, tmp_path, memory_mb)
    assert progress == [1, 2, 3]
    assert len(labels) == 3
    for view, camera in enumerate(cameras()):
        images = torch.stack([render(teacher(seed), camera) for seed in range(3)])
        share = torch.tensor([0.5, 0.25, 0.25]).reshape(3, 1, 1, 1)
        mean = (share * images).sum(0)
        spread = (share * (images - mean) ** 2).sum(0).sqrt().mean()
        error = (labels.label(view) - mean).abs().max()
        assert labels.label(view).shape == (camera.height, camera.width, 3)
        assert float(error) <= 0.5 / 255 + 1e-6
        assert float(labels.disagreement[view]) == pytest.approx(float(spread), abs=1e-6)
        assert float(spread) > 0.01
    assert list(tmp_path.iterdir()) == [] or memory_mb == 0


def test_a_teacher_of_weight_zero_is_left_out(tmp_path: Path) -> None:
    _, labels = build({"vanilla": 0.3, "perturbed": 0.0}, tmp_path, seeds=(0, 1))
    alone = render(teacher(0), cameras()[1])
    assert float((labels.label(1) - alone).abs().max()) <= 0.5 / 255 + 1e-6
    assert float(labels.disagreement.max()) == 0


def test_file_is_used_again_only_for_the_same_teachers_and_weights(tmp_path: Path) -> None:
    _, first = build(WEIGHTS, tmp_path, 0)
    kept = first.label(2)
    again, same = build({name: 3 * weight for name, weight in WEIGHTS.items()}, tmp_path, 0)
    assert again == []  # nothing was rendered
    torch.testing.assert_close(same.label(2), kept, rtol=0, atol=0)
    np.testing.assert_array_equal(same.disagreement, first.disagreement)
    rendered, _ = build({**WEIGHTS, "dropout": 0.5}, tmp_path, 0)
    assert rendered == [1, 2, 3]
    rendered, _ = build(WEIGHTS, tmp_path, 0, seeds=(0, 1, 3))
    assert rendered == [1, 2, 3]
    assert len(list(tmp_path.iterdir())) == 1


def test_interrupted_or_truncated_files_are_not_used(tmp_path: Path) -> None:
    teachers = {"vanilla": teacher(0)}
    run = render_labels(teachers, {"vanilla": 1.0}, cameras(), BACKGROUND, tmp_path, 0)
    next(run)
    run.close()
    assert list(tmp_path.iterdir()) == []
    progress, _ = finished(render_labels(teachers, {"vanilla": 1.0}, cameras(), BACKGROUND, tmp_path, 0))
    assert progress == [1, 2, 3]
    (file,) = tmp_path.iterdir()
    os.truncate(file, file.stat().st_size - 1)
    progress, _ = finished(render_labels(teachers, {"vanilla": 1.0}, cameras(), BACKGROUND, tmp_path, 0))
    assert progress == [1, 2, 3]


def test_pausing_leaves_gradients_on(tmp_path: Path) -> None:
    run = render_labels({"vanilla": teacher(0)}, {"vanilla": 1.0}, cameras(), BACKGROUND, tmp_path, 100)
    next(run)
    assert torch.is_grad_enabled()
    run.close()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    file = tmp_path / "a file"
    file.write_text("")
    with pytest.raises(StorageError, match="a file"):
        build(WEIGHTS, file, 0)


@pytest.mark.parametrize(
    ("weights", "named"),
    [
        ({"vanilla": 0.0, "dropout": 0.0}, "every teacher"),
        ({"vanilla": -1.0}, r"labels\.vanilla = -1"),
        ({"vanilla": float("nan")}, r"labels\.vanilla"),
        ({"vanilla": float("inf")}, r"labels\.vanilla"),
    ],
)
def test_weights_without_a_mean_are_refused(weights: dict[str, float], named: str) -> None:
    with pytest.raises(RecipeError, match=named):
        label_shares(weights)


@pytest.mark.parametrize("combine", ["median", "nearest"])
def test_labels_that_do_not_blur_are_one_teachers_at_each_pixel(combine: str) -> None:
    teachers = {name: teacher(seed) for seed, name in enumerate(WEIGHTS)}
    blending = Blending(combine)
    run = render_labels(teachers, WEIGHTS, cameras(), BACKGROUND, Path(), 100, blending)
    label = finished(run)[1].label(1)
    renders = torch.stack([render(gaussians, cameras()[1]) for gaussians in teachers.values()])
    if combine == "median":
        expected = renders.median(dim=0).values
    else:
        shares = torch.tensor([0.5, 0.25, 0.25])[:, None, None, None]
        distance = (renders - (shares * renders).sum(0)).square().sum(-1)
        chosen = distance.argmin(0)
        expected = torch.stack([renders[chosen[y, x], y, x] for y in range(30) for x in range(40)]).reshape(
            30, 40, 3
        )
    assert float((label - expected).abs().max()) < 0.6 / 255
    assert float((label - renders.mean(0)).abs().max()) > 0.05


def test_where_teachers_differ_the_photo_takes_over() -> None:
    photos = [np.full((camera.height, camera.width, 3), 200, np.uint8) for camera in cameras()[:2]]
    teachers = {name: teacher(seed) for seed, name in enumerate(WEIGHTS)}
    weights = dict.fromkeys(WEIGHTS, 1.0)

    def labels(agreement: float) -> SoftLabels:
        blending = Blending("mean", agreement, photos)
        return finished(render_labels(teachers, weights, cameras(), BACKGROUND, Path(), 100, blending))[1]

    plain, strict, loose = labels(0.0), labels(1e-6), labels(0.1)
    stack = torch.stack([render(gaussians, cameras()[0]) for gaussians in teachers.values()])
    differs = stack.std(dim=0).mean(dim=-1) > 0.01
    assert bool(differs.any())
    assert not bool(differs.all())
    assert float((strict.label(0)[differs] - 200 / 255).abs().max()) < 1e-6
    assert torch.equal(
        strict.label(0)[stack.std(dim=0).sum(-1) == 0], plain.label(0)[stack.std(dim=0).sum(-1) == 0]
    )
    between = (loose.label(0) - 200 / 255).abs() - (plain.label(0) - 200 / 255).abs()
    assert float(between.max()) < 1.1 / 255
    assert float(between.min()) < -0.02
    # The third pose has no photo.
    assert torch.equal(strict.label(2), plain.label(2))
