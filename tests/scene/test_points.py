from pathlib import Path

import numpy as np
import pytest
from plyfile import PlyData, PlyElement

from gaussians.camera import Camera
from gaussians.errors import SceneError
from gaussians.model import SH_C0
from gaussians.scene import View
from gaussians.scene.points import read_ply
from gaussians.scene.random_points import draw_points

AXES = [("x", "f4"), ("y", "f4"), ("z", "f4")]


def write_ply(path: Path, rows: list[tuple], fields: list[tuple[str, str]], text: bool = False) -> None:
    PlyData([PlyElement.describe(np.array(rows, dtype=fields), "vertex")], text=text).write(str(path))


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize(
    ("names", "kind", "values", "rgb"),
    [
        (("red", "green", "blue"), "u1", (10, 20, 255), [10, 20, 255]),
        (("red", "green", "blue"), "f4", (0.0, 0.5, 1.0), [0, 128, 255]),
        (("f_dc_0", "f_dc_1", "f_dc_2"), "f4", (0.0, 0.5 / SH_C0, -9.0), [128, 255, 0]),
        ((), "u1", (), [128, 128, 128]),
    ],
)
def test_colours_of_a_point_cloud(
    tmp_path: Path, text: bool, names: tuple[str, ...], kind: str, values: tuple, rgb: list[int]
) -> None:
    path = tmp_path / "points.ply"
    write_ply(path, [(1.0, 2.0, 3.0, *values)], [*AXES, *((name, kind) for name in names)], text)
    points = read_ply(path, "points.ply")
    assert points.xyz.tolist() == [[1, 2, 3]]
    assert points.rgb.tolist() == [rgb]
    assert (points.xyz.dtype, points.rgb.dtype) == (np.float32, np.uint8)


def test_points_that_are_nowhere_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "points.ply"
    write_ply(path, [(np.nan, 0, 0), (1, 2, 3)], AXES)
    assert read_ply(path, "points.ply").xyz.tolist() == [[1, 2, 3]]
    write_ply(path, [(np.nan, 0, 0)], AXES)
    with pytest.raises(SceneError, match=r"points\.ply: holds no points"):
        read_ply(path, "points.ply")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("text", [False, True])
def test_points_beyond_float32_are_dropped_without_a_warning(tmp_path: Path, text: bool) -> None:
    path = tmp_path / "points.ply"
    fields = [(name, "f8") for name in ("x", "y", "z", "red", "green", "blue")]
    write_ply(path, [(1e300, 0, 0, 1e308, 0, 0), (1, 2, 3, 1, 0, 0)], fields, text)
    if text:  # may say what its declared type doesn't hold
        path.write_bytes(path.read_bytes().replace(b"double", b"float"))
    assert read_ply(path, "points.ply").xyz.tolist() == [[1, 2, 3]]


def test_bad_point_clouds_are_named(tmp_path: Path) -> None:
    path = tmp_path / "points.ply"
    write_ply(path, [(1.0, 2.0, 3.0)] * 50, AXES)
    whole = path.read_bytes()
    for content in (b"", b"not a ply file", whole[:-30], b"\xff" * 200, whole.replace(b"vertex", b"vortex")):
        path.write_bytes(content)
        with pytest.raises(SceneError, match=r"points\.ply: cannot be read as a point cloud") as caught:
            read_ply(path, "points.ply")
        assert "\n" not in str(caught.value)


def test_points_that_are_declared_but_not_there(tmp_path: Path) -> None:
    path = tmp_path / "points.ply"
    fields = [*AXES, *((name, "f4") for name in ("red", "green", "blue"))]
    write_ply(path, [], fields)
    with pytest.raises(SceneError, match=r"points\.ply: holds no points"):
        read_ply(path, "points.ply")
    write_ply(path, [(1.0, 2.0, 3.0, 0.1, 0.2, 0.3)], fields, text=True)
    whole = path.read_bytes()
    for count in (b"9999999999999", b"99999999999999999999"):
        path.write_bytes(whole.replace(b"vertex 1", b"vertex " + count))
        with pytest.raises(SceneError, match=r"points\.ply: cannot be read as a point cloud") as caught:
            read_ply(path, "points.ply")
        assert "\n" not in str(caught.value)


def test_a_colour_that_is_a_list_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "points.ply"
    header = "ply\nformat ascii 1.0\nelement vertex 2\n"
    header += "".join(f"property float {axis}\n" for axis in "xyz")
    header += "".join(f"property list uchar uchar {name}\n" for name in ("red", "green", "blue"))
    path.write_text(header + "end_header\n1 2 3 1 9 2 9 9 1 9\n4 5 6 2 9 9 1 9 1 9\n")
    with pytest.raises(SceneError, match=r"points\.ply: cannot be read as a point cloud") as caught:
        read_ply(path, "points.ply")
    assert "\n" not in str(caught.value)


def looking(centre: np.ndarray, at: np.ndarray, alpha: np.ndarray | None = None) -> View:
    """A view of 64 x 64 pixels and 60°, all of colour (10, 20, 30)."""
    forward = (at - centre) / np.linalg.norm(at - centre)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    viewmat = np.eye(4)
    viewmat[:3, :3] = [right, np.cross(forward, right), forward]
    viewmat[:3, 3] = -viewmat[:3, :3] @ centre
    K = np.array([[55.4, 0, 32], [0, 55.4, 32], [0, 0, 1]])
    image = np.full((64, 64, 3), (10, 20, 30), np.uint8)
    return View("v", Camera(viewmat, K, 64, 64), image, alpha=alpha)


def ring(alpha: np.ndarray | None = None, outward: bool = False) -> list[View]:
    """Eight views around (5, 5, 5), four away from it, looking at it or away."""
    middle = np.full(3, 5.0)
    around = [np.array([np.cos(a), np.sin(a), 0.3]) for a in np.linspace(0, 2 * np.pi, 8, endpoint=False)]
    return [
        looking(middle + 4 * direction, middle + (9 * direction if outward else 0), alpha)
        for direction in around
    ]


def seen_by(view: View, xyz: np.ndarray) -> np.ndarray:
    camera = view.camera
    x, y, z = camera.K @ (camera.viewmat[:3, :3] @ xyz.T + camera.viewmat[:3, 3:])
    return (z > 0) & (x >= 0) & (x < 64 * z) & (y >= 0) & (y < 64 * z)


def test_random_points_lie_where_at_least_half_of_the_cameras_look() -> None:
    views = ring()
    points = draw_points(views, 3000, seed=0)
    assert points.source == "random, in the cameras' common view"
    assert points.xyz.shape == (3000, 3)
    assert points.xyz.dtype == np.float32
    counts = np.sum([seen_by(view, points.xyz) for view in views], axis=0)
    assert counts.min() >= 4
    assert np.linalg.norm(points.xyz.mean(axis=0) - 5) < 1
    assert np.unique(points.rgb, axis=0).tolist() == [[10, 20, 30]]


def test_random_points_stay_inside_silhouettes() -> None:
    alpha = np.zeros((64, 64), np.uint8)
    alpha[24:40, 24:40] = 255  # a quarter of 60° across, 4 away: 1.2 wide
    points = draw_points(ring(alpha), 2000, seed=0)
    assert "silhouettes" in points.source
    assert len(points.xyz) == 2000
    assert np.abs(points.xyz - 5).max() < 1.0


def test_cameras_that_look_outwards_each_get_points() -> None:
    views = ring(outward=True)
    points = draw_points(views, 4000, seed=0)
    assert points.source == "random, in front of each camera"
    shares = [seen_by(view, points.xyz).mean() for view in views]
    assert min(shares) > 0.1


@pytest.mark.parametrize(
    "views", [ring()[:1], [looking(np.array([i, 0, 0.0]), np.array([i, 9, 0.0])) for i in range(3)]]
)
def test_one_camera_and_parallel_cameras_have_points_in_front(views: list[View]) -> None:
    points = draw_points(views, 500, seed=0)
    assert len(points.xyz) == 500
    assert np.mean([seen_by(view, points.xyz) for view in views]) > 0.5


def test_the_seed_decides() -> None:
    first, again, other = (draw_points(ring(), 100, seed) for seed in (1, 1, 2))
    assert np.array_equal(first.xyz, again.xyz)
    assert not np.array_equal(first.xyz, other.xyz)
