"""The bundled demo: its files are whole, its cameras exact, and the script in the repository made it."""

import json
from functools import cache
from pathlib import Path

import imageio.v3 as iio
import numpy as np
from plyfile import PlyData

from assets.make_demo import bvh
from assets.make_demo.cameras import FOCAL, HEIGHT, WIDTH, orbit
from assets.make_demo.develop import develop
from assets.make_demo.geometry import Geometry, Modeller, smooth_curve
from assets.make_demo.points import distances
from assets.make_demo.sampling import pair
from assets.make_demo.scatter import gloss, gloss_towards
from assets.make_demo.still_life import compose
from assets.make_demo.tracer import render

DEMO = Path(__file__).resolve().parents[1] / "assets" / "demo"
MOST_BYTES = 5_000_000


@cache
def transforms() -> dict:
    return json.loads((DEMO / "transforms.json").read_text())


@cache
def tree() -> bvh.Tree:
    return bvh.build(compose())


def photo(index: int) -> np.ndarray:
    return iio.imread(DEMO / transforms()["frames"][index]["file_path"])


def poses() -> np.ndarray:
    return np.array([frame["transform_matrix"] for frame in transforms()["frames"]])


def points() -> tuple[np.ndarray, np.ndarray]:
    vertex = PlyData.read(str(DEMO / transforms()["ply_file_path"]))["vertex"]
    places = np.stack([vertex[name] for name in "xyz"], axis=1).astype(np.float64)
    return places, np.stack([vertex[name] for name in ("red", "green", "blue")], axis=1).astype(np.float64)


def project(places: np.ndarray, pose: np.ndarray, focal: float) -> tuple[np.ndarray, np.ndarray]:
    """Pixels [N, 2] and distance along the viewing axis [N], by the OpenGL convention written out anew."""
    local = (places - pose[:3, 3]) @ pose[:3, :3]
    depth = -local[:, 2]
    x, y = focal * local[:, 0] / depth + WIDTH / 2, -focal * local[:, 1] / depth + HEIGHT / 2
    return np.stack([x, y], axis=1), depth


def test_files_are_whole_small_and_named_in_order():
    files = [path for path in DEMO.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= MOST_BYTES
    names = [frame["file_path"] for frame in transforms()["frames"]]
    assert 40 <= len(names) <= 80
    assert names == sorted(names)
    assert sorted(path.name for path in (DEMO / "images").iterdir()) == [Path(name).name for name in names]
    assert (DEMO / "README.md").is_file()
    for index in range(len(names)):
        assert photo(index).shape == (HEIGHT, WIDTH, 3)


def test_cameras_are_those_of_the_script_and_rigid():
    given = transforms()
    intrinsics = [given[key] for key in ("fl_x", "fl_y", "cx", "cy", "w", "h")]
    assert intrinsics == [FOCAL, FOCAL, WIDTH / 2, HEIGHT / 2, WIDTH, HEIGHT]
    # Processors differ in the last bit of sines and of products of matrices.
    np.testing.assert_allclose(poses(), np.array(orbit()), rtol=0, atol=1e-14)
    for pose in poses():
        np.testing.assert_allclose(pose[:3, :3].T @ pose[:3, :3], np.eye(3), atol=1e-12)
        assert np.linalg.det(pose[:3, :3]) > 0


def test_every_eighth_view_lies_among_the_others():
    centres = poses()[:, :3, 3]
    test, training = centres[::8], np.delete(centres, np.s_[::8], axis=0)
    azimuths = np.sort(np.degrees(np.arctan2(test[:, 1], test[:, 0])))
    gaps = np.diff(np.append(azimuths, azimuths[0] + 360))
    assert gaps.max() <= 60
    # Each lies inside the hull: no direction of a dense set has it farther out than all training cameras.
    directions = np.random.default_rng(0).normal(size=(20_000, 3))
    reach = (training @ directions.T).max(axis=0)
    assert (test @ directions.T <= reach).all()


def colour_difference(image: np.ndarray, pixels: np.ndarray, colours: np.ndarray) -> float:
    """Median over points of the least difference (of 255) within a pixel: points are off by 0.65 px."""
    x, y = pixels.astype(int).T
    near = [np.abs(image[y + j, x + i] - colours).mean(axis=1) for i in (-1, 0, 1) for j in (-1, 0, 1)]
    return float(np.median(np.min(near, axis=0)))


def test_points_have_the_colours_of_the_photos_that_see_them():
    places, colours = points()
    assert 6000 <= len(places) <= 10_000
    for index in (3, 16, 37, 50):
        pose = poses()[index]
        pixels, depth = project(places, pose, FOCAL)
        framed = (depth > 0) & (pixels > 6).all(axis=1) & (pixels < [WIDTH - 6, HEIGHT - 6]).all(axis=1)
        apart = places - pose[:3, 3]
        far = np.linalg.norm(apart, axis=1)
        seen = framed & (distances(tree(), pose[:3, 3], apart / far[:, None]) > 0.98 * far)
        assert seen.sum() > 4000
        image = photo(index).astype(np.float64)
        place = colour_difference(image, pixels[seen], colours[seen])
        beside = colour_difference(image, pixels[seen] + [4, 0], colours[seen])
        assert place < 9.5, f"view {index}: {place:.1f}"  # worst seen: 8.3 (edges, and gloss that moves)
        assert beside > 1.4 * place, f"view {index}: four pixels off {beside:.1f}, in place {place:.1f}"


def test_rendering_again_gives_the_shipped_photo():
    index, shrink = 21, 3
    size = (WIDTH // shrink, HEIGHT // shrink)
    shipped = photo(index).astype(np.float64).reshape(size[1], shrink, size[0], shrink, 3).mean(axis=(1, 3))

    def psnr(pose: np.ndarray) -> float:
        again = develop(render(tree(), pose, FOCAL / shrink, size, 12, seed=99)).astype(np.float64)
        return float(10 * np.log10(255**2 / np.mean((again - shipped) ** 2)))

    turned = poses()[index].copy()
    angle = np.radians(0.4)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    turned[:3, :3] = turn @ turned[:3, :3]
    same, off = psnr(poses()[index]), psnr(turned)
    assert same > 28.5, f"{same:.2f} dB"  # seen: 29.9, bound by the noise of 12 paths per pixel
    assert off < same - 5.0, f"turned by 0.4 degrees: {off:.2f} dB, in place {same:.2f} dB"


def small_world() -> Geometry:
    model = Modeller()
    rng = np.random.default_rng(3)
    model.revolve(smooth_curve([(0.1, -0.5), (0.5, 0.0), (0.2, 0.5)], 12), 0, segments=20)
    for _ in range(20):
        model.chain(rng.uniform(-1, 1, (3, 3)), 0.05, 1)
    return model.finish(np.zeros(3))


def march(world: Geometry, origin: np.ndarray, direction: np.ndarray) -> float:
    """First hit by other means: every triangle by a 3x3 solve, every capsule by sphere tracing."""
    best = np.inf
    for corner in world.corners.astype(np.float64):
        system = np.stack([-direction, corner[3:6], corner[6:9]], axis=1)
        if abs(np.linalg.det(system)) > 1e-12:
            t, u, v = np.linalg.solve(system, origin - corner[:3])
            if t > 0 and u >= 0 and v >= 0 and u + v <= 1:
                best = min(best, t)
    for capsule in world.capsules.astype(np.float64):
        a, b, radius = capsule[:3], capsule[3:6], capsule[6]
        t, gap = 0.0, np.inf
        for _ in range(400):
            p = origin + t * direction - a
            along = np.clip(p @ (b - a) / ((b - a) @ (b - a)), 0, 1)
            gap = float(np.linalg.norm(p - along * (b - a))) - radius
            if gap < 1e-7 or t > 8:
                break
            t += gap
        if gap < 1e-5:
            best = min(best, t)
    return best


def first_hit(tree: bvh.Tree, origin: np.ndarray, direction: np.ndarray, any_hit: bool) -> tuple[float, int]:
    (ox, oy, oz), (dx, dy, dz) = origin, direction
    found, shape, _, _ = bvh.trace(tree, np.empty(bvh.STACK, np.int32), ox, oy, oz, dx, dy, dz, 8.0, any_hit)
    return found, shape


def test_hierarchy_finds_what_a_search_of_all_shapes_finds():
    world = small_world()
    built = bvh.build(world)
    rng = np.random.default_rng(4)
    hits, worst = 0, 0.0
    for _ in range(60):
        origin = rng.normal(size=3)
        origin = 2.5 * origin / np.linalg.norm(origin)
        direction = rng.uniform(-0.6, 0.6, 3) - origin
        direction = direction / np.linalg.norm(direction)
        expected = march(world, origin, direction)
        found, shape = first_hit(built, origin, direction, any_hit=False)
        assert (
            (shape >= 0)
            == (first_hit(built, origin, direction, any_hit=True)[1] >= 0)
            == np.isfinite(expected)
        )
        if shape >= 0:
            hits, worst = hits + 1, max(worst, abs(found - expected))
    assert hits > 20
    assert worst < 2e-5, f"{worst:.1e}"  # worst seen: 3.5e-6


VIEW_X, VIEW_Z = 0.6, -0.8  # towards a surface whose normal is +z


def sent_to(rough: float, x: float, y: float, z: float) -> tuple[float, float, float]:
    return gloss_towards(VIEW_X, 0.0, VIEW_Z, 0.0, 0.0, 1.0, x, y, z, rough)


def test_gloss_density_agrees_with_its_own_samples():
    rng = np.random.default_rng(5)
    for rough in (0.3, 0.5, 0.9):
        upward = 0
        for a, b in rng.random((4000, 2)):
            x, y, z, weight, facet, density = gloss(VIEW_X, 0.0, VIEW_Z, 0.0, 0.0, 1.0, rough, a, b)
            if weight > 0:
                upward += 1
                np.testing.assert_allclose(sent_to(rough, x, y, z), (density, weight, facet), rtol=1e-4)
        # The density's integral over the hemisphere is the share of samples that leave the surface.
        z, turn = (np.arange(400) + 0.5) / 400, (np.arange(400) + 0.5) / 400 * 2 * np.pi
        mass = 0.0
        for up in z:
            flat = np.sqrt(1 - up * up)
            mass += sum(sent_to(rough, flat * np.cos(t), flat * np.sin(t), up)[0] for t in turn)
        assert abs(mass * 2 * np.pi / 400**2 - upward / 4000) < 0.02


def test_sample_points_fill_the_square_evenly():
    for seed in range(5):
        sequence = np.array([pair(index, seed) for index in range(16)])
        assert ((sequence >= 0) & (sequence < 1)).all()
        for columns in (1, 2, 4, 8, 16):
            cells = np.floor(sequence * [columns, 16 // columns]).astype(int)
            assert len({tuple(cell) for cell in cells}) == 16
