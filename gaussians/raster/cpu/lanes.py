"""Vectors of 16 floats, written as arithmetic: what Numba lacks. A lane is a pixel, or a Gaussian.

Numba's loops vectorise when LLVM's heuristics feel like it; the blending loops did not. So the innermost
loops are built here of LLVM's vectors. LLVM splits them for narrower machines (two halves on AVX2, four
quarters on SSE and NEON), so the same source serves all of them.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils
from numba.core.registry import cpu_target

Builder = Any  # ir.IRBuilder, whose decorators hide its methods' types from type checkers

LANES = 16
FLOAT, INT, INT64 = ir.FloatType(), ir.IntType(32), ir.IntType(64)
FLOATS, INTS = ir.VectorType(FLOAT, LANES), ir.VectorType(INT, LANES)
_BITS, _FLAGS = ir.IntType(LANES), ir.VectorType(ir.IntType(1), LANES)

# Minimax fit of 2^f on [-1, 0]: relative error 2.5e-7 at worst in float32, 2.9e-7 unfused.
EXP2 = (0.9999999251, 0.6931422526, 0.2401721893, 0.05527972263, 0.009188611757, 0.0009387883395)

_MANTISSA = 23  # bits of a float32
_STEP_BITS = 5
# Bits of 2^(i / 32) less i << 18, which the number of steps, shifted as much, adds again.
_STEPS = [
    int(np.float32(2 ** (i / 2**_STEP_BITS)).view(np.int32)) - (i << (_MANTISSA - _STEP_BITS))
    for i in range(2**_STEP_BITS)
]
_STEP_REST = (0.69315733, 0.2402266)  # minimax fit of 2^f = 1 + f (c + d f) for |f| <= 1/64: 6e-8
_ROOT_HALF = 0x3F3504F3  # √½ as bits


@functools.cache
def has_wide_tables() -> bool:
    """Whether kernels are compiled for processors that look up in a table of 32 floats at once: AVX-512."""
    features = cpu_target.target_context.codegen().magic_tuple()[2]  # pyright: ignore[reportAttributeAccessIssue] - a cached property
    return "+avx512f" in features.split(",")


def splat(builder: Builder, scalar: ir.Value) -> "Lanes":
    """All lanes equal to a scalar float."""
    one = builder.insert_element(ir.Constant(FLOATS, ir.Undefined), scalar, INT(0))
    zeros = ir.Constant(INTS, [0] * LANES)
    return Lanes(builder, builder.shuffle_vector(one, ir.Constant(FLOATS, ir.Undefined), zeros))


def constant(builder: Builder, values: float | list[float]) -> "Lanes":
    """Lanes known when the kernel is compiled."""
    return Lanes(
        builder, ir.Constant(FLOATS, values if isinstance(values, list) else [float(values)] * LANES)
    )


def shuffled(a: "Lanes", b: "Lanes", picks: Sequence[int]) -> "Lanes":
    """Lanes from two vectors: each pick is a lane of `a`, or 16 + a lane of `b`."""
    return Lanes(a.builder, a.builder.shuffle_vector(a.value, b.value, ir.Constant(INTS, list(picks))))


def transposed(rows: Sequence["Lanes"]) -> list["Lanes"]:
    """16 vectors whose lane j is row j of the ones given: blocks of 1, 2, 4 and 8 lanes change places."""
    rows = list(rows)
    for size in (1, 2, 4, 8):
        upper = [lane if not lane & size else LANES + lane - size for lane in range(LANES)]
        lower = [lane + size if not lane & size else LANES + lane for lane in range(LANES)]
        for i in range(LANES):
            if not i & size:
                a, b = rows[i], rows[i + size]
                rows[i], rows[i + size] = shuffled(a, b, upper), shuffled(a, b, lower)
    return rows


def totals(vectors: Sequence["Lanes"]) -> "Lanes":
    """The sum of each of up to 16 vectors, in the lane of its place; in the others zero.

    Each is added up as a tree of halves, in the same order on every machine; two that are half done go on
    in the halves of one.
    """
    zero = constant(vectors[0].builder, 0.0)
    rows = [*vectors, *[zero] * (LANES - len(vectors))]
    for size in (8, 4, 2, 1):
        own = [lane + LANES * bool(lane & size) for lane in range(LANES)]
        other = [lane + size if not lane & size else LANES + lane - size for lane in range(LANES)]
        pairs = zip(rows[:size], rows[size:], strict=True)
        rows = [shuffled(a, b, own) + shuffled(a, b, other) for a, b in pairs]
    return rows[0]


def chosen(builder: Builder, numbers: ir.Value, mask: ir.Value) -> "tuple[Lanes, ir.Value]":
    """Those of 16 int32 that a mask of bits says, one after the other, and how many they are."""
    kind = ir.FunctionType(INTS, [INTS, _FLAGS, INTS])
    name = f"llvm.experimental.vector.compress.v{LANES}i32"
    compress = cgutils.get_or_insert_function(builder.module, kind, name)
    kind = ir.FunctionType(_BITS, [_BITS])
    population = cgutils.get_or_insert_function(builder.module, kind, f"llvm.ctpop.i{LANES}")
    own = builder.call(compress, [numbers, mask, ir.Constant(INTS, [0] * LANES)])
    count = builder.call(population, [builder.bitcast(mask, _BITS)])
    return Lanes.of_bits(builder, own), builder.zext(count, INT64)


class Lanes:
    """16 floats (or, from a comparison, 16 bits) under construction; operators emit instructions."""

    __array_ufunc__ = None  # a NumPy number times this is for `__rmul__`

    def __init__(self, builder: Builder, value: ir.Value) -> None:
        self.builder, self.value = builder, value

    def __add__(self, other: "Lanes | float") -> "Lanes":
        return self._emit(self.builder.fadd, self, other)

    def __sub__(self, other: "Lanes | float") -> "Lanes":
        return self._emit(self.builder.fsub, self, other)

    def __rsub__(self, other: float) -> "Lanes":
        return self._emit(self.builder.fsub, other, self)

    def __mul__(self, other: "Lanes | float") -> "Lanes":
        return self._emit(self.builder.fmul, self, other)

    __rmul__ = __mul__

    def __neg__(self) -> "Lanes":
        return Lanes(self.builder, self.builder.fneg(self.value))

    def __abs__(self) -> "Lanes":
        return self._call("llvm.fabs")

    def __and__(self, other: "Lanes") -> "Lanes":
        return Lanes(self.builder, self.builder.and_(self.value, other.value))

    def __or__(self, other: "Lanes") -> "Lanes":
        return Lanes(self.builder, self.builder.or_(self.value, other.value))

    def __ge__(self, other: "Lanes | float") -> "Lanes":
        return self._compare(">=", other)

    def __gt__(self, other: "Lanes | float") -> "Lanes":
        return self._compare(">", other)

    def __le__(self, other: "Lanes | float") -> "Lanes":
        return self._compare("<=", other)

    def __lt__(self, other: "Lanes | float") -> "Lanes":
        return self._compare("<", other)

    @classmethod
    def of_bits(cls, builder: Builder, integers: ir.Value) -> "Lanes":
        """16 int32 as they lie in memory, to be moved like floats."""
        return cls(builder, builder.bitcast(integers, FLOATS))

    def is_positive_int(self) -> "Lanes":
        """Of lanes whose bits are int32: whether each is above 0."""
        integers = self.builder.bitcast(self.value, INTS)
        return Lanes(self.builder, self.builder.icmp_signed(">", integers, ir.Constant(INTS, [0] * LANES)))

    def where(self, yes: "Lanes | float", no: "Lanes | float") -> "Lanes":
        """Of a comparison: `yes` where it holds, else `no`."""
        return self._emit(lambda a, b: self.builder.select(self.value, a, b), yes, no)

    def times_plus(self, factor: "Lanes | float", term: "Lanes | float") -> "Lanes":
        """self * factor + term, fused where the machine can."""
        return self._call("llvm.fmuladd", factor, term)

    def at_most(self, bound: "Lanes | float") -> "Lanes":
        """The smaller of each lane and `bound`."""
        return (self < bound).where(self, bound)

    def at_least(self, bound: "Lanes | float") -> "Lanes":
        """The larger of each lane and `bound`."""
        return (self > bound).where(self, bound)

    def largest(self) -> ir.Value:
        """The largest lane, as a scalar."""
        kind = ir.FunctionType(FLOAT, [FLOATS])
        name = f"llvm.vector.reduce.fmax.v{LANES}f32"
        function = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(function, [self.value])

    def floor(self) -> "Lanes":
        """Rounded down."""
        return self._call("llvm.floor")

    def ceil(self) -> "Lanes":
        """Rounded up."""
        return self._call("llvm.ceil")

    def log(self) -> "Lanes":
        """The natural logarithm of positive, normal numbers, to 2e-7 relative; of others nonsense.

        x = m 2^e with m near 1, and ln m = 2 artanh((m - 1) / (m + 1)), of whose series five terms do.
        """
        builder = self.builder
        bits = builder.bitcast(self.value, INTS)
        over = builder.sub(bits, ir.Constant(INTS, [_ROOT_HALF] * LANES))
        exponent = builder.ashr(over, ir.Constant(INTS, [_MANTISSA] * LANES))
        shifted = builder.shl(exponent, ir.Constant(INTS, [_MANTISSA] * LANES))
        m = Lanes(builder, builder.bitcast(builder.sub(bits, shifted), FLOATS))
        s = (m - 1.0) * (m + 1.0).reciprocal()
        square = s * s
        series = constant(builder, 2 / 9)
        for term in (2 / 7, 2 / 5, 2 / 3, 2.0):
            series = series.times_plus(square, term)
        whole = Lanes(builder, builder.sitofp(exponent, FLOATS))
        return whole.times_plus(math.log(2), series * s)

    def as_it_is(self) -> "Lanes":
        """The same, which no reordering of sums reaches into."""
        return self._call("llvm.arithmetic.fence")

    def root(self) -> "Lanes":
        """The square root."""
        return self._call("llvm.sqrt")

    def reciprocal(self) -> "Lanes":
        """1 / self, correctly rounded."""
        return self._emit(self.builder.fdiv, 1.0, self)

    def exp2(self) -> "Lanes":
        """2 to the power of each lane in [-126, 0]; beyond, nonsense for the caller to discard."""
        return self.exp2_by_table() if has_wide_tables() else self.exp2_by_polynomial()

    def exp2_by_polynomial(self) -> "Lanes":
        """`exp2` on every machine: a whole part and a polynomial of the rest."""
        exponent = self.builder.fptosi(self.value, INTS)  # towards zero
        fraction = self - Lanes(self.builder, self.builder.sitofp(exponent, FLOATS))
        c = [constant(self.builder, coefficient) for coefficient in EXP2]
        # Estrin's order: its longest chain is shorter than Horner's.
        square = fraction * fraction
        low, middle = fraction.times_plus(c[1], c[0]), fraction.times_plus(c[3], c[2])
        high = fraction.times_plus(c[5], c[4])
        power = square.times_plus(square.times_plus(high, middle), low)
        shifted = self.builder.shl(exponent, ir.Constant(INTS, [_MANTISSA] * LANES))
        bits = self.builder.add(self.builder.bitcast(power.value, INTS), shifted)
        return Lanes(self.builder, self.builder.bitcast(bits, FLOATS))

    def exp2_by_table(self) -> "Lanes":
        """`exp2` with AVX-512: the nearest of 32 steps, from a table in registers, and what the rest adds.

        Rounded by adding a number so large that its last bit counts steps; of its bits the lowest five say
        which entry it is, and those above are the whole part.
        """
        builder, large = self.builder, 1.5 * 2.0 ** (_MANTISSA - _STEP_BITS)
        rounded = (self + large).as_it_is()
        rest = self - (rounded - large).as_it_is()
        steps = builder.bitcast(rounded.value, INTS)
        tables = [
            Lanes.of_bits(builder, ir.Constant(INTS, half)).value for half in (_STEPS[:16], _STEPS[16:])
        ]
        kind = ir.FunctionType(FLOATS, [FLOATS, INTS, FLOATS])
        name = "llvm.x86.avx512.vpermi2var.ps.512"
        look_up = cgutils.get_or_insert_function(builder.module, kind, name)
        found = builder.bitcast(builder.call(look_up, [tables[0], steps, tables[1]]), INTS)
        whole = builder.shl(steps, ir.Constant(INTS, [_MANTISSA - _STEP_BITS] * LANES))
        step = Lanes.of_bits(builder, builder.add(found, whole))
        linear, square = _STEP_REST
        return (step * rest).times_plus(rest.times_plus(square, linear), step)

    def any(self) -> ir.Value:
        """Of a comparison: whether it holds in any lane, as one bit."""
        bits = self.builder.bitcast(self.value, ir.IntType(LANES))
        return self.builder.icmp_unsigned("!=", bits, ir.IntType(LANES)(0))

    def _lift(self, other: "Lanes | float") -> ir.Value:
        return other.value if isinstance(other, Lanes) else constant(self.builder, other).value

    def _emit(
        self, operation: Callable[[ir.Value, ir.Value], ir.Value], a: "Lanes | float", b: "Lanes | float"
    ) -> "Lanes":
        return Lanes(self.builder, operation(self._lift(a), self._lift(b)))

    def _compare(self, how: str, other: "Lanes | float") -> "Lanes":
        return Lanes(self.builder, self.builder.fcmp_ordered(how, self.value, self._lift(other)))

    def _call(self, name: str, *others: "Lanes | float") -> "Lanes":
        arguments = [self.value, *map(self._lift, others)]
        kind = ir.FunctionType(FLOATS, [FLOATS] * len(arguments))
        function = cgutils.get_or_insert_function(self.builder.module, kind, f"{name}.v{LANES}f32")
        return Lanes(self.builder, self.builder.call(function, arguments))
