"""Arithmetic on vectors of sixteen that no library has."""

# pyright: reportCallIssue=false
# (An intrinsic's first parameter is the typing context, which callers in kernels don't pass.)

from typing import Any

import numba
import numpy as np
import pytest
from numba.core import types
from numba.extending import intrinsic

from gaussians.kernels import FASTMATH
from gaussians.raster.cpu.lanes import LANES, Lanes, has_wide_tables
from gaussians.raster.cpu.planes import Plane


def applied(method: Any, values: np.ndarray) -> np.ndarray:
    """A method of Lanes on many values."""

    @intrinsic
    def one(typingctx: Any, source: Any, target: Any, place: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            source, target = (Plane.of(context, builder, signature.args[i], args[i]) for i in range(2))
            target.at(args[2]).store(method(source.at(args[2]).load()))
            return context.get_dummy_value()

        return types.void(source, target, types.int64), codegen

    @numba.njit(fastmath=FASTMATH)  # as the kernels have it, so that sums are reordered
    def all_of(source: np.ndarray, target: np.ndarray) -> None:
        for place in range(0, len(source), LANES):
            one(source, target, place)

    target = np.empty_like(values)
    all_of(values, target)
    return target


@pytest.mark.parametrize("method", [Lanes.exp2, Lanes.exp2_by_polynomial, Lanes.exp2_by_table])
def test_powers_of_two(method: Any) -> None:
    if method is Lanes.exp2_by_table and not has_wide_tables():
        pytest.skip("this processor has no AVX-512")
    random = np.random.default_rng(0)
    steps = np.arange(-64, 1) / 64  # where tables and polynomials change over
    values = np.concatenate(
        [
            random.uniform(-126, 0, 40_000),
            random.uniform(-8, 0, 40_000),
            *(steps + nudge for nudge in (0, -1e-6, 1e-6)),
            np.arange(-126, 1),
        ]
    )
    values = np.minimum(values, 0).astype(np.float32)
    values = np.resize(values, -(-len(values) // LANES) * LANES)
    found = applied(method, values)
    # At worst 2.5e-7 was seen, 2.9e-7 where nothing is fused, and 1.9e-7 by table.
    assert np.abs(found / 2.0 ** values.astype(np.float64) - 1).max() < 4e-7
    whole = applied(method, np.arange(-15, 1, dtype=np.float32))
    np.testing.assert_allclose(whole, 2.0 ** np.arange(-15, 1), rtol=1.2e-7)
