"""Spherical harmonics of sixteen Gaussians at a time, one a lane: all arithmetic is on whole vectors.

Coefficients lie row by row, 45 floats a Gaussian beside c_0; three blocks of 16 x 16 (the last overlaps the
second by three columns) are loaded by rows and transposed in registers, and gradients go back the same way.
"""

# pyright: reportIndexIssue=false, reportCallIssue=false
# (Numba types are called to build signatures; its stubs don't say so.)

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from gaussians.raster.cpu.harmonics_basis import COEFFICIENTS, Y0, basis, basis_gradient
from gaussians.raster.cpu.lanes import FLOAT, INT64, LANES, Builder, Lanes, splat, transposed
from gaussians.raster.cpu.planes import Plane, rows_of_arguments

_ROW = 3 * (COEFFICIENTS - 1)  # floats a Gaussian
_BLOCKS = (0, LANES, _ROW - LANES)  # their first columns


class _View:
    """Sixteen Gaussians as a camera sees them.

    Attributes:
        direction: from the camera's centre, x, y and z of unit length. inverse: 1 / distance.
        basis: Y_1 to Y_15, zero beyond the degree in use.
        shown: for each of these, 1 where the degree in use has it, else 0, in all lanes.
    """

    def __init__(self, builder: Builder, means: Plane, centre: Plane, degree: ir.Value) -> None:
        offsets = [mean - splat(builder, centre.scalar(i)) for i, mean in enumerate(means.load_columns(3))]
        squared = offsets[0] * offsets[0] + offsets[1] * offsets[1] + offsets[2] * offsets[2]
        self.inverse = (squared > 0.0).where(squared.root().reciprocal(), 0.0)
        self.direction = [offset * self.inverse for offset in offsets]
        bands = []
        for band in (1, 2, 3):
            used = builder.icmp_signed(">=", degree, INT64(band))
            bands += [splat(builder, builder.uitofp(used, FLOAT))] * (2 * band + 1)
        self.shown = bands
        self.basis = [y * shown for y, shown in zip(basis(*self.direction), bands, strict=True)]


def _columns(builder: Builder, rows: Plane) -> list[Lanes]:
    """[45] the coefficients of sixteen Gaussians, by column."""
    columns: list[Lanes] = []
    for first in _BLOCKS:
        block = transposed([rows.at(row * _ROW + first).load() for row in range(LANES)])
        columns += block[len(columns) - first :]
    return columns


def _put_columns(rows: Plane, columns: list[Lanes]) -> None:
    """Write what `_columns` reads."""
    for first in _BLOCKS:
        for row, lanes in enumerate(transposed(columns[first : first + LANES])):
            rows.at(row * _ROW + first).store(lanes)


@intrinsic
def forward_block(
    typingctx: Any, n: Any, degree: Any, means: Any, first: Any, others: Any, centre: Any, radii: Any,
    colors: Any,
) -> Any:  # fmt: skip
    """The colours of Gaussians n to n + 15; arrays as `harmonics_forward` has them, contiguous."""

    def codegen(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        plane = rows_of_arguments(context, builder, signature, args)
        view = _View(builder, plane(2, 3), plane(5, 0), args[1])
        columns = _columns(builder, plane(4, _ROW))
        visible = plane(6, 2).load_columns(2)[0].is_positive_int()
        values = []
        for channel, c0 in enumerate(plane(3, 3).load_columns(3)):
            value = c0.times_plus(float(Y0), 0.5)
            for y, coefficient in zip(view.basis, columns[channel::3], strict=True):
                value = y.times_plus(coefficient, value)
            values.append((visible & (value > 0.0)).where(value, 0.0))
        plane(7, 3).store_columns(*values)
        return context.get_dummy_value()

    whole = types.int64
    return types.void(whole, whole, means, first, others, centre, radii, colors), codegen


@intrinsic
def backward_block(
    typingctx: Any, n: Any, degree: Any, means: Any, others: Any, centre: Any, colors: Any, v_colors: Any,
    v_first: Any, v_others: Any, v_means: Any,
) -> Any:  # fmt: skip
    """The gradients of Gaussians n to n + 15; arrays as `harmonics_backward` has them, contiguous.

    The colour of an invisible one is zero, and so are its gradients.
    """

    def codegen(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        plane = rows_of_arguments(context, builder, signature, args)
        view = _View(builder, plane(2, 3), plane(4, 0), args[1])
        given = zip(plane(5, 3).load_columns(3), plane(6, 3).load_columns(3), strict=True)
        v = [(color > 0.0).where(gradient, 0.0) for color, gradient in given]
        plane(7, 3).store_columns(*(channel * float(Y0) for channel in v))
        columns = _columns(builder, plane(3, _ROW))
        along_basis = []
        for k, shown in enumerate(view.shown):
            red, green, blue = columns[3 * k : 3 * k + 3]
            total = v[0].times_plus(red, v[1].times_plus(green, v[2] * blue))
            along_basis.append(total * shown)
        _put_columns(plane(8, _ROW), [y * channel for y in view.basis for channel in v])
        slopes = basis_gradient(*view.direction, along_basis)
        x, y, z = view.direction
        along = slopes[0] * x + slopes[1] * y + slopes[2] * z
        across = [(slope - along * d) * view.inverse for slope, d in zip(slopes, view.direction, strict=True)]
        plane(9, 3).store_columns(*across)
        return context.get_dummy_value()

    whole = types.int64
    arrays = (means, others, centre, colors, v_colors, v_first, v_others, v_means)
    return types.void(whole, whole, *arrays), codegen
