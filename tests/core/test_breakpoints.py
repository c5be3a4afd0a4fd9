"""Breakpoints lie exactly where something changes."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from verify import breakpoints as module
from verify.bands import NONFINITE, bands, order, unorder
from verify.breakpoints import breakpoints
from verify.precision import BF16, FP16, FP32, Array, Precision

BOTH = pytest.mark.parametrize("precision", [FP32, FP16], ids=lambda p: p.name)
FOUND = pytest.mark.parametrize(
    ("name", "holds"), [(name, holds) for name, holds, _, _ in module._FOUND]
)


def at(name: str, precision: Precision) -> float:
    return next(b.x for b in breakpoints(precision) if b.name == name)


@FOUND
@BOTH
def test_a_breakpoint_has_what_the_number_below_lacks(
    name: str, holds: Callable[[Array], Array], precision: Precision
) -> None:
    key = order(precision.to_bits(precision.round(np.array([at(name, precision)]))), precision)
    pair = precision.from_bits(unorder(np.concatenate([key - 1, key]), precision))
    with np.errstate(all="ignore"):
        assert holds(pair).tolist() == [False, True]


def rational(x: Array) -> Array:
    n = np.exp(x) * (np.exp(x) + x.dtype.type(2))
    return np.asarray(x * (n / (n + x.dtype.type(2))))


def test_rational_first_fails_where_it_is_known_to() -> None:
    x = 44.361419677734375
    assert at("n/(n+2) is not a number", FP32) == x
    with np.errstate(all="ignore"):
        pair = np.array([np.nextafter(np.float32(x), np.float32(0)), x], dtype=np.float32)
        assert np.isnan(rational(pair)).tolist() == [False, True]
        every = FP16.all_values()
        numbers = every[np.isfinite(FP16.widen(every))]
        failing = FP16.widen(numbers[np.isnan(rational(numbers))])
    assert at("n/(n+2) is not a number", FP16) == failing.min() == 5.54296875


@BOTH
def test_the_overflow_of_e_to_x_is_where_the_format_ends(precision: Precision) -> None:
    x = at("e^x overflows", precision)
    assert math.exp(x) > precision.max_finite
    ulp_below = x * 2.0 ** (2 - precision.significand_bits)
    assert math.exp(x - ulp_below) < precision.max_finite * (1 + 2.0**-12)


@BOTH
def test_breakpoints_are_in_order_named_and_include_the_bands(precision: Precision) -> None:
    found = breakpoints(precision)
    assert [b.x for b in found] == sorted(b.x for b in found)
    assert all(math.isfinite(b.x) for b in found)
    values = np.array([b.x for b in found])
    np.testing.assert_array_equal(precision.widen(precision.round(values)), values)
    names = [b.name for b in found if not b.name.endswith("as written")]
    assert len(set(names)) == len(names) == len(module._FOUND) + NONFINITE - 1
    for band in bands(precision)[1:NONFINITE]:
        assert at(f"{band.name} begins", precision) == band.low


def test_bf16_has_none() -> None:
    with pytest.raises(ValueError, match="bf16"):
        breakpoints(BF16)
