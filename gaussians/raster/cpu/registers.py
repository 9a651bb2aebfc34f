"""Vectors that a loop keeps from turn to turn.

They are slots in the function's entry block, which LLVM turns into registers.
"""

from collections.abc import Hashable

from llvmlite import ir
from numba.core import cgutils

from gaussians.raster.cpu.lanes import FLOATS, LANES, Builder, Lanes


class Registers:
    """Vectors by name."""

    def __init__(self, builder: Builder) -> None:
        self.builder = builder
        self._slots: dict[Hashable, ir.Value] = {}

    def __setitem__(self, name: Hashable, lanes: Lanes) -> None:
        if name not in self._slots:
            self._slots[name] = cgutils.alloca_once(self.builder, FLOATS)
        self.builder.store(lanes.value, self._slots[name])

    def __getitem__(self, name: Hashable) -> Lanes:
        return Lanes(self.builder, self.builder.load(self._slots[name]))


class Sums:
    """Vectors summed in registers across the turns of a loop."""

    def __init__(self, builder: Builder, count: int) -> None:
        self.builder = builder
        zero = ir.Constant(FLOATS, [0.0] * LANES)
        self.slots = [cgutils.alloca_once(builder, FLOATS) for _ in range(count)]
        for slot in self.slots:
            builder.store(zero, slot)

    def add(self, index: int, lanes: Lanes) -> None:
        """Add to one of them."""
        self.builder.store((self[index] + lanes).value, self.slots[index])

    def add_product(self, index: int, a: Lanes, b: Lanes) -> None:
        """Add a * b to one of them, fused where the machine can."""
        self.builder.store(a.times_plus(b, self[index]).value, self.slots[index])

    def __getitem__(self, index: int) -> Lanes:
        return Lanes(self.builder, self.builder.load(self.slots[index]))
