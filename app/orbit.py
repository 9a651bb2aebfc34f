"""How the user moves the camera: orbit, pan, zoom, fly, and smooth jumps to the dataset's cameras.

World coordinates are the scene's own. A pose is a position and a rotation from camera axes (OpenCV: x right,
y down, z forward) to the world; the pivot lies `distance` in front of it.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from pyglm import glm

from gaussians.camera import Camera

ORBIT_SPEED = 0.006  # radians a pixel
ZOOM_STEP = 0.88  # of the distance, a notch of the wheel
STEEPEST = 0.995  # |cosine| of the angle between view and up: beyond it, up would flip
FLIGHT = 0.6  # of the extent, a second
TRANSITION = 0.45  # seconds


@dataclass(frozen=True)
class Pose:
    """Where the camera is. `rotation` takes camera axes to world axes; `distance` is that of the pivot."""

    position: glm.dvec3
    rotation: glm.dquat
    distance: float

    @property
    def pivot(self) -> glm.dvec3:
        """What the camera orbits about."""
        return self.position + self.rotation * glm.dvec3(0, 0, self.distance)


@dataclass(frozen=True)
class _Transition:
    start: Pose
    end: Pose
    lens: Camera  # at the start
    seconds: float = 0.0


class OrbitControl:
    """The camera that all cells are locked to.

    Args:
        home: the pose and the lens to begin with, and to come back to.
        up: [3] the world's up.
        centre: [3] what to orbit about at first.
        extent: size of the scene in world units; sets the speed of flight.
        name: of the dataset view that home is; None: of none.
    """

    def __init__(
        self, home: Camera, up: np.ndarray, centre: np.ndarray, extent: float, name: str | None = None
    ) -> None:
        self._up = glm.normalize(glm.dvec3(*map(float, up)))
        self._centre = glm.dvec3(*map(float, centre))
        self._extent = max(float(extent), 1e-6)
        self._home, self._home_name, self._lens = home, name, home
        self._pose = self._pose_of(home)
        self._transition: _Transition | None = None
        self._dataset = name

    @property
    def pose(self) -> Pose:
        """Where the camera is now."""
        return self._pose

    @property
    def dataset(self) -> str | None:
        """The dataset view the camera sits on, exactly; None: free, or still on its way."""
        return None if self._transition else self._dataset

    @property
    def target(self) -> str | None:
        """The dataset view the camera sits on or is on its way to."""
        return self._dataset

    @property
    def aspect(self) -> float:
        """Width over height of what the lens sees."""
        return self._lens.width / self._lens.height

    def orbit(self, right: float, down: float) -> None:
        """Turn about the pivot by a mouse movement in pixels: about the world's up, and over the top."""
        self._leave()
        pose, pivot = self._pose, self._pose.pivot
        yaw = glm.angleAxis(-right * ORBIT_SPEED, self._up)
        rotation = yaw * pose.rotation
        tilted = rotation * glm.angleAxis(-down * ORBIT_SPEED, glm.dvec3(1, 0, 0))
        before = abs(glm.dot(rotation * glm.dvec3(0, 0, 1), self._up))
        after = abs(glm.dot(tilted * glm.dvec3(0, 0, 1), self._up))
        if after < STEEPEST or after < before:  # a camera that is beyond may come back
            rotation = tilted
        rotation = glm.normalize(rotation)
        self._pose = Pose(
            pivot - rotation * glm.dvec3(0, 0, pose.distance), glm.dquat(rotation), pose.distance
        )

    def pan(self, right: float, down: float, height: int) -> None:
        """Shift by a mouse movement in pixels of an image of that height: the pivot stays under the mouse."""
        self._leave()
        pose = self._pose
        focal = self._lens.K[1, 1] * height / self._lens.height
        shift = pose.rotation * glm.dvec3(-right, -down, 0) * (pose.distance / focal)
        self._pose = replace(pose, position=pose.position + shift)

    def zoom(self, notches: float) -> None:
        """Come nearer to the pivot (positive) or go away."""
        self._leave()
        pivot, distance = self._pose.pivot, self._pose.distance * ZOOM_STEP**notches
        distance = min(max(distance, self._extent * 1e-3), self._extent * 1e3)
        self._pose = Pose(
            pivot - self._pose.rotation * glm.dvec3(0, 0, distance), self._pose.rotation, distance
        )

    def fly(self, right: float, up: float, forward: float, seconds: float) -> None:
        """Move camera and pivot along the camera's axes; each of the three in [-1, 1]."""
        self._leave()
        step = glm.dvec3(right, -up, forward) * (FLIGHT * self._extent * seconds)
        self._pose = replace(self._pose, position=self._pose.position + self._pose.rotation * step)

    def reset(self) -> None:
        """Go back to where it began."""
        self.jump(self._home, self._home_name)

    def jump(self, camera: Camera, name: str | None) -> None:
        """Go to a dataset camera smoothly, and take its lens. `name`: of the dataset view; None: of none."""
        self._transition = _Transition(self._pose, self._pose_of(camera), self._lens)
        self._lens, self._dataset = camera, name

    def advance(self, seconds: float) -> bool:
        """Let time pass; whether the camera moved by it."""
        transition = self._transition
        if transition is None:
            return False
        transition = replace(transition, seconds=transition.seconds + seconds)
        share = min(1.0, transition.seconds / TRANSITION)
        self._transition = None if share >= 1 else transition
        eased = share * share * (3 - 2 * share)
        start, end = transition.start, transition.end
        self._pose = Pose(
            start.position + (end.position - start.position) * eased,
            glm.dquat(glm.normalize(glm.slerp(start.rotation, end.rotation, eased))),
            start.distance + (end.distance - start.distance) * eased,
        )
        if self._transition is None:
            self._pose = end
        return True

    def camera(self, width: int, height: int) -> Camera:
        """The camera as the rasterizer takes it, for an image of this size in pixels.

        An image of another aspect than the lens's keeps square pixels and shows more on one side.
        """
        dataset = self.dataset
        lens = self._lens
        if dataset is not None:
            viewmat = lens.viewmat
        else:
            axes = np.array(glm.mat3_cast(self._pose.rotation).to_list()).T  # columns: the camera's axes
            viewmat = np.eye(4)
            viewmat[:3, :3] = axes.T
            viewmat[:3, 3] = -axes.T @ np.array(self._pose.position.to_list())
        scale = min(width / lens.width, height / lens.height)
        K = lens.K.copy()
        K[:2] *= scale
        K[0, 2] += (width - lens.width * scale) / 2
        K[1, 2] += (height - lens.height * scale) / 2
        return Camera(viewmat, K, width, height)

    def _leave(self) -> None:
        """The user takes over: whatever jump goes on ends here."""
        self._transition, self._dataset = None, None

    def _pose_of(self, camera: Camera) -> Pose:
        axes = camera.viewmat[:3, :3].T
        rotation = glm.quat_cast(glm.dmat3(*(glm.dvec3(*map(float, axes[:, i])) for i in range(3))))
        position = glm.dvec3(*map(float, camera.centre))
        forward = rotation * glm.dvec3(0, 0, 1)
        distance = glm.dot(self._centre - position, forward)
        if not math.isfinite(distance) or distance < 0.05 * self._extent:  # it looks away from the centre
            distance = 0.5 * self._extent
        return Pose(position, glm.dquat(glm.normalize(rotation)), float(distance))


def outside(up: np.ndarray, centre: np.ndarray, extent: float) -> Camera:
    """A camera that sees all of a splat that has no cameras: level, three extents away."""
    up = np.asarray(up, np.float64) / np.linalg.norm(up)
    side = np.eye(3)[np.abs(up).argmin()]
    forward = np.cross(up, side)
    forward = forward / np.linalg.norm(forward)
    right = np.cross(forward, up)
    rotation = np.stack([right, -up, forward])
    viewmat = np.eye(4)
    viewmat[:3, :3] = rotation
    viewmat[:3, 3] = -rotation @ (np.asarray(centre) - forward * 3.0 * extent)
    K = np.array([[900.0, 0, 480], [0, 900, 360], [0, 0, 1]])
    return Camera(viewmat, K, 960, 720)
