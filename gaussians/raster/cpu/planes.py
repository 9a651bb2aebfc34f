"""Memory that vectors of 16 floats are read from and written to."""

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from gaussians.kernels import fetch_line
from gaussians.raster.cpu.lanes import FLOAT, FLOATS, INT64, LANES, Builder, Lanes, shuffled


class Plane:
    """Floats in memory, read and written 16 at a time; or integers, whose scalars are read."""

    def __init__(self, builder: Builder, pointer: ir.Value) -> None:
        self.builder, self.pointer = builder, pointer

    @classmethod
    def of(cls, context: Any, builder: Builder, array_type: Any, array: ir.Value) -> "Plane":
        """The data of a contiguous float32 NumPy array inside a kernel; int32 are read as bits of floats.

        Of other arrays there are scalars alone, in their own type.
        """
        return cls(builder, context.make_array(array_type)(context, builder, array).data)

    @property
    def of_floats(self) -> bool:
        """Whether it was made of an array of floats."""
        kind = self.pointer.type  # pyright: ignore[reportAttributeAccessIssue] - every value has one
        return kind == FLOAT.as_pointer()

    def at(self, index: ir.Value | int) -> "Plane":
        """The same memory from `index` elements on."""
        offset = INT64(index) if isinstance(index, int) else index
        return Plane(self.builder, self.builder.gep(self.pointer, [offset]))

    def scalar(self, index: int = 0) -> ir.Value:
        """One element."""
        return self.builder.load(self.at(index).pointer)

    def load(self) -> Lanes:
        """16 floats."""
        loaded = self.builder.load(self.builder.bitcast(self.pointer, FLOATS.as_pointer()), align=4)
        return Lanes(self.builder, loaded)

    def store(self, lanes: Lanes) -> None:
        """Write 16 floats."""
        self.builder.store(lanes.value, self.builder.bitcast(self.pointer, FLOATS.as_pointer()), align=4)

    def fetch(self) -> None:
        """Have the cache line read that will be wanted soon."""
        fetch_line(self.builder, self.pointer)

    def load_columns(self, width: int) -> list[Lanes]:
        """16 rows of 2 to 4 floats, by column."""
        parts = [self.at(part * LANES).load() for part in range(width)]
        columns = []
        for column in range(width):
            places = [width * row + column for row in range(LANES)]
            lanes = shuffled(parts[0], parts[1], [place % (2 * LANES) for place in places])
            for part in range(2, width):
                begin = part * LANES
                picks = [row if place < begin else place - begin + LANES for row, place in enumerate(places)]
                lanes = shuffled(lanes, parts[part], [pick % (2 * LANES) for pick in picks])
            columns.append(lanes)
        return columns

    def store_columns(self, *columns: Lanes) -> None:
        """Write 16 rows of as many floats as there are columns, 2 to 4."""
        for part in range(len(columns)):
            places = [divmod(part * LANES + lane, len(columns)) for lane in range(LANES)]
            lanes = shuffled(columns[0], columns[1], [row + LANES * (column % 2) for row, column in places])
            for index in range(2, len(columns)):
                picks = [LANES + row if column == index else i for i, (row, column) in enumerate(places)]
                lanes = shuffled(lanes, columns[index], picks)
            self.at(part * LANES).store(lanes)


def rows_of_arguments(
    context: Any, builder: Builder, signature: Any, args: Any
) -> Callable[[int, int], Plane]:
    """Of an intrinsic whose first argument is a row: (argument, floats a row) to that array from there on."""

    def plane(argument: int, width: int) -> Plane:
        whole = Plane.of(context, builder, signature.args[argument], args[argument])
        return whole.at(builder.mul(args[0], INT64(width)))

    return plane
