"""SSIM and its gradient of 16 numbers side by side, in whole vectors."""

# pyright: reportIndexIssue=false, reportCallIssue=false
# (Numba types are called to build signatures; its stubs don't say so.)

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from gaussians.raster.cpu.lanes import FLOAT, FLOATS, INT64, LANES, Builder, Lanes, constant, splat
from gaussians.raster.cpu.planes import Plane
from gaussians.raster.cpu.registers import Registers
from gaussians.train.blur_kernels import STRIP

C1, C2 = 0.01**2, 0.03**2
STATISTICS = 4  # per target: μ, ν, q, r


@intrinsic
def multiply(
    typingctx: Any, rendered: Any, at: Any, target: Any, target_at: Any, counted: Any, width: Any,
    padded: Any, padded_at: Any, plane: Any,
) -> Any:  # fmt: skip
    """x, y, x² + y² and xy of at least 16 numbers of a row, where x is y if a number doesn't count.

    Args:
        rendered, counted: x, and 1 where a number counts, from `at` on; of an empty `counted` all do.
        target, target_at: y, from `target_at` on.
        width: how many.
        padded, padded_at, plane: written: x from `padded_at` on, the others each `plane` floats after.
    """

    def codegen(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        def array(index: int, at: int) -> Plane:
            return Plane.of(context, builder, signature.args[index], args[index]).at(args[at])

        xs, ys, out = array(0, 1), array(2, 3), array(6, 7)
        kept, is_masked = Registers(builder), _has_any(context, builder, signature.args[4], args[4])
        last = builder.sub(args[5], INT64(LANES))
        with cgutils.for_range_slice(builder, INT64(0), args[5], INT64(LANES), INT64) as (i, _):
            place = builder.select(builder.icmp_signed("<", i, last), i, last)  # repeats some in the end
            x, y = xs.at(place).load(), _numbers(ys.at(place))
            kept["x"] = x
            with builder.if_then(is_masked):
                kept["x"] = (array(4, 1).at(place).load() > 0.0).where(x, y)
            x = kept["x"]
            for number, values in enumerate((x, y, x.times_plus(x, y * y), x * y)):
                out.at(builder.add(builder.mul(args[8], INT64(number)), place)).store(values)
        return context.get_dummy_value()

    whole = types.int64
    return types.void(rendered, whole, target, whole, counted, whole, padded, whole, whole), codegen


@intrinsic
def compare(
    typingctx: Any, target: Any, statistics: Any, row: Any, column: Any, span: Any, begin: Any, end: Any,
    weight: Any, counted: Any, counted_at: Any, slopes: Any, at: Any, plane: Any, totals: Any,
) -> Any:  # fmt: skip
    """SSIM of 16 columns and `weight` times its slopes.

    Args:
        target: which; from the second on slopes by μ and q are added to those that are there.
        statistics [4, STRIP, 16], row: blurred μ, ν, q and r; the row of them.
        column, span: which is the first; from `span` on slopes are 0.
        begin, end: columns that go into the totals.
        counted, counted_at: 1 where a number counts, else 0, from `counted_at` on; of an empty one all do.
        slopes, at, plane: written: by μ from `at` on, by q and r each `plane` floats after.
        totals [STRIP, 16]: the row is added to.
    """

    def codegen(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        def array(index: int) -> Plane:
            return Plane.of(context, builder, signature.args[index], args[index])

        source, target = array(1).at(builder.mul(args[2], INT64(LANES))), array(10).at(args[11])
        mu, nu, q, r = (source.at(s * STRIP * LANES).load() for s in range(STATISTICS))
        means, both = mu.times_plus(mu, nu * nu), mu * nu
        n1, n2 = both.times_plus(2.0, C1), (r - both).times_plus(2.0, C2)
        d1, d2 = means + C1, q - means + C2
        kept = Registers(builder)
        kept["over"] = (d1 * d2).reciprocal()
        with builder.if_then(_has_any(context, builder, signature.args[8], args[8])):
            kept["over"] = kept["over"] * array(8).at(args[9]).load()
        over = kept["over"]
        ssim, scaled = n1 * n2 * over, over * splat(builder, args[7])
        # 1/d₂ = d₁ over and 1/d₁ = d₂ over: one division for all.
        by_mu = scaled * 2.0 * nu.times_plus(n2 - n1, mu * (ssim * (d1 - d2)))
        by_q, by_r = -(scaled * (ssim * d1)), scaled * 2.0 * n1
        place, (span, begin, end) = _places(builder, args[3]), (_number(builder, args[i]) for i in (4, 5, 6))
        for s, slope in enumerate((by_mu, by_q, by_r)):
            out = target.at(builder.mul(args[12], INT64(s)))
            kept[s] = (place < span).where(slope, 0.0)
            if s < 2:
                with builder.if_then(builder.icmp_signed(">", args[0], INT64(0))):
                    kept[s] = kept[s] + out.load()
            out.store(kept[s])
        total = array(13).at(builder.mul(args[2], INT64(LANES)))
        total.store(total.load() + ((place >= begin) & (place < end)).where(ssim, 0.0))
        return context.get_dummy_value()

    whole, number = types.int64, types.float32
    return types.void(
        whole, statistics, whole, whole, whole, whole, whole, number, counted, whole, slopes, whole, whole,
        totals,
    ), codegen  # fmt: skip


@intrinsic
def add_gradient(
    typingctx: Any, target: Any, slopes: Any, row: Any, repeats: Any, weight: Any, rendered: Any,
    targets: Any, counted: Any, at: Any, target_at: Any, gradient: Any, totals: Any,
) -> Any:  # fmt: skip
    """The gradient of 16 columns, and |x - y|, added to the totals but for the first `repeats`.

    Args:
        target: which; from the second on it is added to the gradient that is there.
        slopes [3, STRIP, 16], row: blurred, by r, μ and q; the row of them.
        repeats: columns that others have done.
        weight: of Σ|x - y|.
        rendered, counted, gradient: x, 1 where a number counts, and what is written, from `at` on; of an
            empty `counted` all count.
        targets, target_at: y, from `target_at` on.
        totals [STRIP, 16]: the row is added to.
    """

    def codegen(context: Any, builder: Builder, signature: Any, args: Any) -> Any:
        def array(index: int) -> Plane:
            return Plane.of(context, builder, signature.args[index], args[index])

        source = array(1).at(builder.mul(args[2], INT64(LANES)))
        x, y = array(5).at(args[8]).load(), _numbers(array(6).at(args[9]))
        out, weight = array(10).at(args[8]), splat(builder, args[4])
        own = _places(builder, INT64(0)) >= _number(builder, args[3])
        difference = x - y
        distance = abs(difference)
        sign = (difference > 0.0).where(weight, (difference < 0.0).where(-weight, 0.0))
        share, kept = y.times_plus(source.load(), sign), Registers(builder)
        with builder.if_else(builder.icmp_signed(">", args[0], INT64(0))) as (adds, begins):
            with adds:
                kept["value"] = own.where(share, 0.0) + out.load()
            with begins:
                by_mu, by_q = (source.at(s * STRIP * LANES).load() for s in (1, 2))
                kept["value"] = (x * 2.0).times_plus(by_q, by_mu) + share
        kept["distance"] = distance
        with builder.if_then(_has_any(context, builder, signature.args[7], args[7])):
            counts = array(7).at(args[8]).load() > 0.0  # what doesn't may be NaN
            kept["value"] = counts.where(kept["value"], 0.0)
            kept["distance"] = counts.where(kept["distance"], 0.0)
        out.store(kept["value"])
        total = array(11).at(builder.mul(args[2], INT64(LANES)))
        total.store(total.load() + own.where(kept["distance"], 0.0))
        return context.get_dummy_value()

    whole, number = types.int64, types.float32
    return types.void(
        whole, slopes, whole, whole, number, rendered, targets, counted, whole, whole, gradient, totals
    ), codegen


def _has_any(context: Any, builder: Builder, array_type: Any, array: ir.Value) -> ir.Value:
    """Whether an array has elements."""
    count = context.make_array(array_type)(context, builder, array).nitems
    return builder.icmp_signed(">", count, count.type(0))


def _numbers(plane: Plane) -> Lanes:
    """16 floats, or bytes as floats in [0, 1]: what division gives, to the bit where products are fused."""
    builder = plane.builder
    if plane.of_floats:
        return plane.load()
    kind = ir.VectorType(ir.IntType(8), LANES)
    loaded = builder.load(builder.bitcast(plane.pointer, kind.as_pointer()), align=1)
    whole = Lanes(builder, builder.uitofp(loaded, FLOATS))
    share = whole * (1 / 255)
    return share.times_plus(-255.0, whole).times_plus(1 / 255, share)


def _places(builder: Builder, first: ir.Value) -> Lanes:
    """16 columns from `first` on, as floats."""
    return constant(builder, [float(lane) for lane in range(LANES)]) + _number(builder, first)


def _number(builder: Builder, integer: ir.Value) -> Lanes:
    return splat(builder, builder.sitofp(integer, FLOAT))
