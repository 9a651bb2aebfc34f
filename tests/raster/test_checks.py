"""Arguments that do not fit are named, with both sides, before anything is computed."""

from typing import Any

import pytest
import torch

from gaussians.errors import BackendUnavailableError, SplatError
from gaussians.raster import rasterize
from gaussians.raster.checks import check_inputs

from .scenes import random_scene


def arguments(**changes: Any) -> dict[str, Any]:
    scene = random_scene(0, n=5)
    names = ("means", "quats", "scales", "opacities", "colors", "viewmats", "Ks", "width", "height")
    return {**dict(zip(names, scene.arguments(), strict=True)), **changes}


WRONG = [
    ({"means": torch.zeros(5, 2)}, "means: shape [5, 2], expected [5, 3]"),
    ({"means": torch.zeros(())}, "means: shape []"),
    ({"quats": torch.zeros(4, 4)}, "quats: shape [4, 4], expected [5, 4]"),
    ({"scales": torch.zeros(5)}, "scales: shape [5], expected [5, 3]"),
    ({"opacities": torch.zeros(5, 1)}, "opacities: shape [5, 1], expected [5]"),
    ({"colors": torch.zeros(6, 3)}, "colors: shape [6, 3], expected [5, 3]"),
    ({"colors": torch.zeros(5, 0)}, "colors: shape [5, 0], expected [5, 1]"),
    ({"colors": torch.zeros(5, 3, 3), "sh_degree": 1}, "colors: shape [5, 3, 3], expected [5, 4, 3]"),
    ({"colors": torch.zeros(5, 16, 4), "sh_degree": 3}, "colors: shape [5, 16, 4], expected [5, 16, 3]"),
    ({"colors": (torch.zeros(5, 1, 3), torch.zeros(5, 2, 3)), "sh_degree": 1}, "expected [5, 3, 3]"),
    ({"colors": (torch.zeros(5, 2, 3), torch.zeros(5, 3, 3)), "sh_degree": 1}, "expected [5, 1, 3]"),
    ({"colors": (torch.zeros(5, 1, 3), torch.zeros(5, 3, 3))}, "colors: 2 tensors; two are spherical"),
    ({"colors": (torch.zeros(5, 4, 3),), "sh_degree": 1}, "colors: 1 tensors; two are"),
    ({"colors": torch.zeros(5, 25, 3), "sh_degree": 4}, "sh_degree = 4: must be between 0 and 3"),
    ({"viewmats": torch.eye(4)}, "viewmats: shape [4, 4], expected [4, 4, 4]"),
    ({"viewmats": torch.zeros(0, 4, 4)}, "viewmats: no cameras"),
    ({"Ks": torch.zeros(2, 3, 3)}, "Ks: shape [2, 3, 3], expected [1, 3, 3]"),
    ({"backgrounds": torch.zeros(1, 4)}, "backgrounds: shape [1, 4], expected [1, 3]"),
    ({"backgrounds": torch.zeros(3)}, "backgrounds: shape [3], expected [1, 3]"),
    ({"width": 0}, "image of 0 x 37 pixels"),
    ({"near_plane": 0.0}, "need 0 < near < far"),
    ({"near_plane": 2.0, "far_plane": 1.0}, "need 0 < near < far"),
    ({"eps2d": -0.1}, "eps2d = -0.1"),
    ({"render_mode": "depth"}, "must be one of RGB, D, ED, RGB+D, RGB+ED"),
    ({"means": torch.zeros(5, 3, dtype=torch.float64)}, "means: torch.float64, expected float32"),
    ({"opacities": torch.zeros(5, dtype=torch.int64)}, "opacities: torch.int64, expected float32"),
    ({"colors": torch.zeros(5, 3, device="meta")}, "colors: on meta, but means is on cpu"),
]


@pytest.mark.parametrize(("change", "message"), WRONG, ids=[message for _, message in WRONG])
def test_one_line_says_what_does_not_fit(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        check_inputs(**arguments(**change))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_backends_check(backend: str) -> None:
    with pytest.raises(ValueError, match="quats: shape"):
        rasterize(**arguments(quats=torch.zeros(5, 3)), backend=backend)
    parts = (torch.zeros(5, 2, 3), torch.zeros(6, 3, 3))
    with pytest.raises(ValueError, match="colors"):
        rasterize(**arguments(colors=parts), sh_degree=1, backend=backend)


def test_types_may_be_either_but_not_mixed() -> None:
    both = (torch.float32, torch.float64)
    scene = random_scene(0, n=5).to(torch.float64)
    double = dict(zip(arguments(), scene.arguments(), strict=True))
    check_inputs(**double, dtypes=both)
    check_inputs(**arguments(), dtypes=both)
    with pytest.raises(ValueError, match=r"scales: torch.float32, expected float32 or float64, the same"):
        check_inputs(**{**double, "scales": torch.zeros(5, 3)}, dtypes=both)


def test_huge_but_finite_passes() -> None:
    # Their sum overflows float32.
    check_inputs(**arguments(means=torch.full((5, 3), 3e38)))


def test_opposite_infinities_are_found() -> None:
    means = torch.zeros(5, 3)
    means[1, 0], means[3, 2] = torch.inf, -torch.inf
    with pytest.raises(
        SplatError, match="means: 2 of 15 values are NaN or infinite, in 2 of 5 rows, first in row 1"
    ):
        check_inputs(**arguments(means=means))


def test_values_can_be_waited_for_later_and_all_else_is_told_at_once() -> None:
    check_inputs(**arguments(), wait=False).finish()
    means = torch.zeros(5, 3)
    means[1, 0], means[3, 2] = torch.nan, torch.inf
    finite = check_inputs(**arguments(means=means), wait=False)
    with pytest.raises(SplatError) as late:
        finite.finish()
    with pytest.raises(SplatError) as at_once:
        check_inputs(**arguments(means=means))
    assert str(late.value) == str(at_once.value)
    with pytest.raises(ValueError, match="quats: shape"):
        check_inputs(**arguments(means=means, quats=torch.zeros(4, 4)), wait=False)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no NVIDIA GPU")
def test_the_host_does_not_wait_for_values_on_the_gpu() -> None:
    def on_gpu(**changes: Any) -> dict[str, Any]:
        return {
            name: value.cuda() if isinstance(value, torch.Tensor) else value
            for name, value in arguments(**changes).items()
        }

    good, bad = on_gpu(), on_gpu(scales=torch.full((5, 3), torch.nan))
    torch.cuda.set_sync_debug_mode("error")
    try:
        checks = [check_inputs(**given, wait=False) for given in (good, bad)]
    finally:
        torch.cuda.set_sync_debug_mode("default")
    checks[0].finish()
    with pytest.raises(SplatError, match="scales: 15 of 15 values are NaN or infinite, in 5 of 5 rows"):
        checks[1].finish()


def test_unknown_backend() -> None:
    with pytest.raises(BackendUnavailableError, match="vulkan: no such rasterizer"):
        rasterize(**arguments(), backend="vulkan")
