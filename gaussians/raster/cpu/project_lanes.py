"""Projection of sixteen Gaussians at a time, one a lane, and its gradient: the mathematics of project.py."""

# pyright: reportIndexIssue=false, reportCallIssue=false
# (Numba types are called to build signatures; its stubs don't say so.)

from collections.abc import Callable
from typing import Any

from numba.core import types
from numba.extending import intrinsic

from gaussians.raster.constants import ALPHA_MIN, EXTENT_MAX
from gaussians.raster.cpu.lanes import INTS, Builder, Lanes, constant, splat
from gaussians.raster.cpu.planes import Plane, rows_of_arguments

_MAX_VARIANCE = 1e16  # px²: with it every radius fits an int32

# Places in the frame that a kernel gets of a camera: world to camera, row by row; intrinsics; limits; and the
# least and the most that x/z and y/z may be before the Jacobian is held fixed.
FX, FY, CX, CY, WIDTH, HEIGHT, NEAR, FAR, EPS2D, LOW_X, HIGH_X, LOW_Y, HIGH_Y = range(12, 25)


class _Camera:
    """The numbers of a frame, in all lanes."""

    def __init__(self, builder: Builder, frame: Plane) -> None:
        self._builder, self._frame = builder, frame
        self.rotation = [[self[4 * row + column] for column in range(3)] for row in range(3)]

    def __getitem__(self, place: int) -> Lanes:
        return splat(self._builder, self._frame.scalar(place))

    def seen(self, means: list[Lanes]) -> list[Lanes]:
        """World to camera."""
        return [_dot(row, means) + self[4 * i + 3] for i, row in enumerate(self.rotation)]

    def turned(self, vector: list[Lanes]) -> list[Lanes]:
        """A world vector in camera axes."""
        return [_dot(row, vector) for row in self.rotation]

    def turned_back(self, vector: list[Lanes]) -> list[Lanes]:
        """A vector in camera axes in the world's."""
        return [_dot([row[axis] for row in self.rotation], vector) for axis in range(3)]


class _Shape:
    """Unit quaternions and what turns with them.

    Attributes:
        quat: w, x, y, z of unit length. inverse: 1 / the length it had. columns: of the rotation.
    """

    def __init__(self, quats: Plane) -> None:
        quat = quats.load_columns(4)
        squared = _dot(quat, quat)
        self.inverse = (squared > 0.0).where(squared.root().reciprocal(), 0.0)
        self.quat = [part * self.inverse for part in quat]
        w, x, y, z = self.quat
        self.columns = [
            [1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y + w * z), 2.0 * (x * z - w * y)],
            [2.0 * (x * y - w * z), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z + w * x)],
            [2.0 * (x * z + w * y), 2.0 * (y * z - w * x), 1.0 - 2.0 * (x * x + y * y)],
        ]


class _Jacobian:
    """Of the perspective division: [[j0, 0, -j0 tx], [0, j1, -j1 ty]].

    Attributes:
        rz: 1 / depth. ratios: x/z and y/z. held: these inside the image and a margin, tx and ty. j: j0, j1.
    """

    def __init__(self, camera: _Camera, position: list[Lanes]) -> None:
        x, y, z = position
        self.rz = z.reciprocal()
        self.ratios = [x * self.rz, y * self.rz]
        bounds = ((LOW_X, HIGH_X), (LOW_Y, HIGH_Y))
        self.held = [
            ratio.at_least(camera[low]).at_most(camera[high])
            for ratio, (low, high) in zip(self.ratios, bounds, strict=True)
        ]
        self.j = [camera[FX] * self.rz, camera[FY] * self.rz]

    def flattened(self, p: list[Lanes]) -> list[Lanes]:
        """A vector of camera axes in the image."""
        return [j * (p[i] - self.held[i] * p[2]) for i, j in enumerate(self.j)]

    def where_free(self, values: list[Lanes]) -> list[Lanes]:
        """Of a value for x and one for y: zero where the ratio is held."""
        pairs = zip(self.ratios, self.held, values, strict=True)
        return [((ratio >= held) & (ratio <= held)).where(value, 0.0) for ratio, held, value in pairs]


def _looked_at(
    builder: Builder, plane: Callable[[int, int], Plane]
) -> tuple[_Camera, list[Lanes], _Jacobian, _Shape]:
    """What both passes begin with, of their arguments frame, means and quats."""
    camera = _Camera(builder, plane(1, 0))
    position = camera.seen(plane(2, 3).load_columns(3))
    return camera, position, _Jacobian(camera, position), _Shape(plane(3, 4))


@intrinsic
def forward_block(
    typingctx: Any, n: Any, frame: Any, means: Any, quats: Any, scales: Any, opacities: Any, means2d: Any,
    conics: Any, depths: Any, radii: Any,
) -> Any:  # fmt: skip
    """Project Gaussians n to n + 15; arrays as `project_forward` has them, contiguous."""

    def codegen(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        plane = rows_of_arguments(context, builder, signature, args)
        camera, position, jacobian, shape = _looked_at(builder, plane)
        opacity, z = plane(5, 1).load(), position[2]
        u, v = (
            focal * ratio + centre
            for focal, ratio, centre in zip(
                (camera[FX], camera[FY]), jacobian.ratios, (camera[CX], camera[CY]), strict=True
            )
        )
        xx, xy, yy = camera[EPS2D], constant(builder, 0.0), camera[EPS2D]
        for scale, column in zip(plane(4, 3).load_columns(3), shape.columns, strict=True):
            u0, u1 = jacobian.flattened([part * scale for part in camera.turned(column)])
            xx, xy, yy = u0.times_plus(u0, xx), u0.times_plus(u1, xy), u1.times_plus(u1, yy)
        determinant = xx * yy - xy * xy
        sigma = [xx.root(), yy.root()]
        reach = (2.0 * (opacity * (1 / ALPHA_MIN)).log()).root()
        radius = [(reach.at_most(EXTENT_MAX) * s).ceil() for s in sigma]
        drawn = (z >= camera[NEAR]) & (z <= camera[FAR]) & (opacity >= ALPHA_MIN) & (shape.inverse > 0.0)
        drawn &= (determinant > 0.0) & (xx < _MAX_VARIANCE) & (yy < _MAX_VARIANCE)
        drawn &= (radius[0] > 0.0) | (radius[1] > 0.0)
        drawn &= (u + radius[0] > 0.0) & (u - radius[0] < camera[WIDTH])
        drawn &= (v + radius[1] > 0.0) & (v - radius[1] < camera[HEIGHT])

        def put(argument: int, *columns: Lanes) -> None:
            shown = [drawn.where(column, 0.0) for column in columns]
            target = plane(argument, len(columns))
            target.store_columns(*shown) if len(columns) > 1 else target.store(shown[0])

        inverse = determinant.reciprocal()
        put(6, u, v)
        put(7, yy * inverse, -xy * inverse, xx * inverse)
        put(8, z)
        whole_radius = [builder.fptosi(drawn.where(r, 0.0).value, INTS) for r in radius]
        plane(9, 2).store_columns(*(Lanes.of_bits(builder, r) for r in whole_radius))
        return context.get_dummy_value()

    arrays = (frame, means, quats, scales, opacities, means2d, conics, depths, radii)
    return types.void(types.int64, *arrays), codegen


@intrinsic
def backward_block(
    typingctx: Any, n: Any, frame: Any, means: Any, quats: Any, scales: Any, conics: Any, radii: Any,
    v_means2d: Any, v_conics: Any, v_depths: Any, v_means: Any, v_quats: Any, v_scales: Any,
) -> Any:  # fmt: skip
    """The gradients of Gaussians n to n + 15; arrays as `project_backward` has them, contiguous."""

    def codegen(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        plane = rows_of_arguments(context, builder, signature, args)
        camera, position, jacobian, shape = _looked_at(builder, plane)
        drawn = plane(6, 2).load_columns(2)[0].is_positive_int()
        g00, g01, g11 = _of_covariance(plane(5, 3).load_columns(3), plane(8, 3).load_columns(3))

        # dL/dU = 2 G U, column by column; then to J, P, M, R and s
        (j0, j1), (tx, ty) = jacobian.j, jacobian.held
        zero = constant(builder, 0.0)
        v_j00 = v_j02 = v_j11 = v_j12 = zero
        v_columns: list[list[Lanes]] = []
        v_scale: list[Lanes] = []
        for scale, column in zip(plane(4, 3).load_columns(3), shape.columns, strict=True):
            p = [part * scale for part in camera.turned(column)]
            u0, u1 = jacobian.flattened(p)
            v_u0, v_u1 = 2.0 * (g00 * u0 + g01 * u1), 2.0 * (g01 * u0 + g11 * u1)
            v_j00, v_j02 = v_u0.times_plus(p[0], v_j00), v_u0.times_plus(p[2], v_j02)
            v_j11, v_j12 = v_u1.times_plus(p[1], v_j11), v_u1.times_plus(p[2], v_j12)
            v_p0, v_p1 = j0 * v_u0, j1 * v_u1
            v_m = camera.turned_back([v_p0, v_p1, -(tx * v_p0 + ty * v_p1)])
            v_scale.append(_dot(v_m, column))
            v_columns.append([part * scale for part in v_m])

        x, y, _ = position
        v_u, v_v = plane(7, 2).load_columns(2)
        v_x, v_y = j0 * v_u, j1 * v_v
        v_z = plane(9, 1).load() - jacobian.rz * (x * v_x + y * v_y)
        v_z -= jacobian.rz * (j0 * (v_j00 - tx * v_j02) + j1 * (v_j11 - ty * v_j12))
        # tx is x/z, and so moves with x and z, where it is not held
        v_tx, v_ty = jacobian.where_free([-j0 * v_j02 * jacobian.rz, -j1 * v_j12 * jacobian.rz])
        v_x, v_y, v_z = v_x + v_tx, v_y + v_ty, v_z - v_tx * tx - v_ty * ty

        def put(argument: int, columns: list[Lanes]) -> None:
            plane(argument, len(columns)).store_columns(*(drawn.where(column, 0.0) for column in columns))

        put(10, camera.turned_back([v_x, v_y, v_z]))
        put(11, _of_quaternion(shape, v_columns))
        put(12, v_scale)
        return context.get_dummy_value()

    given = (frame, means, quats, scales, conics, radii, v_means2d, v_conics, v_depths)
    return types.void(types.int64, *given, v_means, v_quats, v_scales), codegen


def _of_covariance(conic: list[Lanes], v_conic: list[Lanes]) -> tuple[Lanes, Lanes, Lanes]:
    """G = dL/dΣ₂ = -Q V Q, with Q the conic and V the symmetric matrix of its gradient."""
    (a, b, c), (va, vb, vc) = conic, v_conic
    vb = 0.5 * vb
    h00, h01 = va * a + vb * b, va * b + vb * c
    h10, h11 = vb * a + vc * b, vb * b + vc * c
    return -(a * h00 + b * h10), -(a * h01 + b * h11), -(b * h01 + c * h11)


def _of_quaternion(shape: _Shape, v_columns: list[list[Lanes]]) -> list[Lanes]:
    """The gradient of the quaternion as it came, from that of the rotation's columns."""
    (v00, v10, v20), (v01, v11, v21), (v02, v12, v22) = v_columns
    w, x, y, z = shape.quat
    v_unit = [
        2.0 * (x * (v21 - v12) + y * (v02 - v20) + z * (v10 - v01)),
        2.0 * (y * (v01 + v10) + z * (v02 + v20) - 2.0 * x * (v11 + v22) + w * (v21 - v12)),
        2.0 * (x * (v01 + v10) + z * (v12 + v21) - 2.0 * y * (v00 + v22) + w * (v02 - v20)),
        2.0 * (x * (v02 + v20) + y * (v12 + v21) - 2.0 * z * (v00 + v11) + w * (v10 - v01)),
    ]
    along = _dot(shape.quat, v_unit)
    return [(v - part * along) * shape.inverse for v, part in zip(v_unit, shape.quat, strict=True)]


def _dot(a: list[Lanes], b: list[Lanes]) -> Lanes:
    total = a[0] * b[0]
    for one, other in zip(a[1:], b[1:], strict=True):
        total = one.times_plus(other, total)
    return total
