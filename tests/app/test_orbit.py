import numpy as np
import pytest

from app.orbit import TRANSITION, OrbitControl
from gaussians.camera import Camera

UP = np.array([0.0, 0.0, 1.0])
CENTRE = np.array([1.0, 2.0, 0.5])


def looking(position: np.ndarray, at: np.ndarray = CENTRE, width: int = 640, height: int = 480) -> Camera:
    """A camera at `position` that looks at a point, level."""
    forward = (at - position) / np.linalg.norm(at - position)
    right = np.cross(forward, UP)
    right /= np.linalg.norm(right)
    rotation = np.stack([right, np.cross(forward, right), forward])
    viewmat = np.eye(4)
    viewmat[:3, :3], viewmat[:3, 3] = rotation, -rotation @ position
    K = np.array([[500.0, 0, width / 2 + 3], [0, 510.0, height / 2 - 2], [0, 0, 1]])
    return Camera(viewmat, K, width, height)


HOME = looking(np.array([5.0, -3.0, 2.0]))


@pytest.fixture
def control() -> OrbitControl:
    return OrbitControl(HOME, UP, CENTRE, 4.0)


def seen_at(camera: Camera, point: np.ndarray) -> np.ndarray:
    """Where a point of the world is in the image, px."""
    x = camera.K @ (camera.viewmat[:3, :3] @ point + camera.viewmat[:3, 3])
    return x[:2] / x[2]


def test_begins_as_the_home_camera_exactly_in_its_own_size(control: OrbitControl) -> None:
    camera = control.camera(640, 480)
    np.testing.assert_allclose(camera.viewmat, HOME.viewmat, atol=1e-12)
    np.testing.assert_allclose(camera.K, HOME.K)


def test_on_a_dataset_view_its_very_matrix_is_given_back() -> None:
    there = looking(np.array([0.0, 7.0, 1.0]))
    control = OrbitControl(there, UP, CENTRE, 4.0, "b.jpg")
    assert control.dataset == "b.jpg"
    assert np.array_equal(control.camera(320, 240).viewmat, there.viewmat)


def test_another_aspect_keeps_pixels_square_and_the_principal_point_in_its_place(
    control: OrbitControl,
) -> None:
    camera = control.camera(1280, 480)
    assert camera.K[0, 0] == HOME.K[0, 0]
    assert camera.K[1, 1] == HOME.K[1, 1]
    assert camera.K[0, 2] == HOME.K[0, 2] + 320


def test_orbiting_keeps_distance_and_pivot_and_the_horizon(control: OrbitControl) -> None:
    pivot, distance = np.array(control.pose.pivot.to_list()), control.pose.distance
    for _ in range(7):
        control.orbit(31, -12)
    camera = control.camera(640, 480)
    assert np.linalg.norm(camera.centre - pivot) == pytest.approx(distance)
    np.testing.assert_allclose(seen_at(camera, pivot), seen_at(HOME, pivot), atol=1e-6)
    assert camera.viewmat[0, :3] @ UP == pytest.approx(0, abs=1e-9)


def test_dragging_right_turns_the_scene_to_the_right(control: OrbitControl) -> None:
    nearer = CENTRE + 0.5 * (HOME.centre - CENTRE)
    before = seen_at(HOME, nearer)[0]
    control.orbit(40, 0)
    assert seen_at(control.camera(640, 480), nearer)[0] > before


@pytest.mark.parametrize("down", [-5000, 5000])
def test_orbiting_never_goes_over_the_poles(control: OrbitControl, down: int) -> None:
    for _ in range(200):
        control.orbit(0, down / 200)
    camera = control.camera(640, 480)
    assert camera.up @ UP > 0


def test_panning_moves_the_pivot_with_the_mouse(control: OrbitControl) -> None:
    pivot = np.array(control.pose.pivot.to_list())
    before = seen_at(HOME, pivot)
    control.pan(25, -40, 480)
    # The vertical focal length serves both axes: 500 against 510 px here.
    np.testing.assert_allclose(seen_at(control.camera(640, 480), pivot) - before, [25, -40], rtol=0.03)


def test_zoom_comes_nearer_and_never_passes_the_pivot(control: OrbitControl) -> None:
    pivot, distance = np.array(control.pose.pivot.to_list()), control.pose.distance
    control.zoom(2)
    assert 0 < control.pose.distance < distance
    control.zoom(500)
    assert control.pose.distance > 0
    np.testing.assert_allclose(np.array(control.pose.pivot.to_list()), pivot, atol=1e-9)


def test_flying_forward_goes_where_the_camera_looks(control: OrbitControl) -> None:
    control.fly(0, 0, 1, 0.5)
    moved = control.camera(640, 480).centre - HOME.centre
    np.testing.assert_allclose(moved / np.linalg.norm(moved), HOME.forward, atol=1e-9)


def test_flying_up_goes_up_in_the_image(control: OrbitControl) -> None:
    control.fly(0, 1, 0, 0.5)
    assert (control.camera(640, 480).centre - HOME.centre) @ HOME.up > 0


def test_a_jump_is_smooth_and_arrives_exactly(control: OrbitControl) -> None:
    there = looking(np.array([-3.0, 4.0, 1.0]))
    control.jump(there, "c.jpg")
    assert control.target == "c.jpg"
    assert control.dataset is None
    centres = [control.camera(640, 480).centre]
    while control.advance(TRANSITION / 20):
        centres.append(control.camera(640, 480).centre)
    steps = np.linalg.norm(np.diff(centres, axis=0), axis=1)
    assert control.dataset == "c.jpg"
    np.testing.assert_array_equal(control.camera(640, 480).viewmat, there.viewmat)
    assert steps.max() < 0.15 * steps.sum()
    assert steps[0] < 0.5 * steps.max()
    assert steps[-1] < 0.5 * steps.max()


def test_taking_over_ends_a_jump(control: OrbitControl) -> None:
    control.jump(looking(np.array([-3.0, 4.0, 1.0])), "c.jpg")
    control.advance(0.1)
    control.orbit(1, 0)
    assert not control.advance(0.1)
    assert control.target is None


def test_reset_comes_home(control: OrbitControl) -> None:
    control.orbit(100, 30)
    control.zoom(3)
    control.reset()
    while control.advance(0.1):
        pass
    np.testing.assert_allclose(control.camera(640, 480).viewmat, HOME.viewmat, atol=1e-9)


def test_reset_comes_back_to_the_dataset_view_that_home_is() -> None:
    control = OrbitControl(HOME, UP, CENTRE, 4.0, "a.jpg")
    control.orbit(100, 30)
    assert control.dataset is None
    control.reset()
    assert control.target == "a.jpg"
    while control.advance(0.1):
        pass
    assert control.dataset == "a.jpg", "its photo is seen again"


def test_a_camera_that_looks_away_from_the_centre_has_a_pivot_in_front() -> None:
    away = looking(np.array([5.0, -3.0, 2.0]), at=np.array([20.0, -10.0, 2.0]))
    control = OrbitControl(away, UP, CENTRE, 4.0)
    assert control.pose.distance > 0
