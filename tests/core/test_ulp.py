"""The error in ULP, against rational arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest

from verify.oracle import mish
from verify.precision import BF16, FP16, PRECISIONS, Precision
from verify.ulp import error_ulp, ulp

ALL = pytest.mark.parametrize("precision", PRECISIONS, ids=lambda p: p.name)
Spacing = Callable[[float, Precision], float]


def one(value: float, precision: Precision) -> float:
    return float(ulp(np.array([value]), precision)[0])


@ALL
def test_a_power_of_two_counts_the_step_above_it(precision: Precision) -> None:
    p = precision.significand_bits
    for exponent in range(precision.min_exponent, 1 - precision.min_exponent):
        power = 2.0**exponent
        below = math.nextafter(power, 0)
        assert one(power, precision) == one(-power, precision) == 2.0 ** (exponent - p + 1)
        assert one(math.nextafter(power, math.inf), precision) == 2.0 ** (exponent - p + 1)
        lower = max(exponent - 1, precision.min_exponent)
        assert one(below, precision) == one(-below, precision) == 2.0 ** (lower - p + 1)


@ALL
def test_the_step_is_constant_over_zero_and_the_subnormals(precision: Precision) -> None:
    smallest = precision.smallest_subnormal
    for value in (0.0, -0.0, 5e-324, smallest / 3, smallest, math.nextafter(2 * smallest, 0)):
        assert one(value, precision) == one(-value, precision) == smallest
    assert one(precision.smallest_normal, precision) == smallest
    assert one(2 * precision.smallest_normal, precision) == 2 * smallest


@ALL
def test_the_step_matches_the_numbers_neighbours(precision: Precision) -> None:
    infinity = int(precision.to_bits(precision.round(np.array([math.inf])))[0])
    magnitudes = np.random.default_rng(0).integers(0, infinity - 1, 5000)
    low = precision.widen(precision.from_bits(magnitudes))
    high = precision.widen(precision.from_bits(magnitudes + 1))
    np.testing.assert_array_equal(ulp(low, precision), high - low)
    np.testing.assert_array_equal(ulp((low + high) / 2, precision), high - low)


@ALL
def test_the_error_is_the_exact_one(precision: Precision, ulp_of: Spacing) -> None:
    rng = np.random.default_rng(3)
    exponents = rng.integers(precision.min_exponent - 12, 1 - precision.min_exponent, 3000)
    expected = np.ldexp(rng.uniform(-2, 2, 3000), exponents)
    actual = precision.widen(precision.round(expected * (1 + rng.normal(0, 1, 3000) * 0.01)))
    errors = error_ulp(actual, expected, precision)
    for a, e, error in zip(actual.tolist(), expected.tolist(), errors.tolist(), strict=True):
        exact = abs(Fraction(a) - Fraction(e)) / Fraction(ulp_of(e, precision))
        assert abs(Fraction(error) - exact) <= exact * Fraction(2) ** -52


@ALL
def test_the_error_crosses_zero_like_any_other_number(precision: Precision) -> None:
    step = precision.smallest_subnormal
    actual = np.array([step, -step, 0.0, -0.0, 3 * step])
    expected = np.array([-step, 2 * step, step / 4, -step / 4, -0.5 * step])
    np.testing.assert_array_equal(error_ulp(actual, expected, precision), [2, 3, 0.25, 0.25, 3.5])


@ALL
def test_nothing_finite_comes_of_nan_and_infinities(precision: Precision) -> None:
    assert one(math.inf, precision) == math.inf
    assert one(-math.inf, precision) == math.inf
    assert not math.isfinite(one(math.nan, precision))
    actual = np.array([math.nan, 1.0, math.nan, math.inf, -math.inf])
    expected = np.array([1.0, math.nan, math.nan, 1.0, 1.0])
    errors = error_ulp(actual, expected, precision)
    assert np.isnan(errors[:3]).all()
    np.testing.assert_array_equal(errors[3:], [math.inf, math.inf])


@pytest.mark.parametrize("precision", [FP16, BF16], ids=lambda p: p.name)
def test_a_correctly_rounded_mish_is_off_by_at_most_half_a_ulp(precision: Precision) -> None:
    expected = mish(precision.widen(precision.all_values()))
    rounded = precision.round(expected)
    numbers = np.isfinite(expected)
    errors = error_ulp(precision.widen(rounded), expected, precision)[numbers]
    assert errors.max() <= 0.5
    assert errors.max() > 0.49
    # The next number in either direction is off by at least half.
    bits = precision.to_bits(rounded)[numbers].astype(np.int64)
    for step in (-1, 1):
        moved = precision.widen(precision.from_bits(bits + step))
        assert np.nanmin(error_ulp(moved, expected[numbers], precision)) >= 0.25


@ALL
def test_any_shape_goes_in_and_out(precision: Precision) -> None:
    values = np.arange(24.0).reshape(2, 3, 4).transpose(2, 0, 1)
    assert ulp(values, precision).shape == (4, 2, 3)
    out = np.empty(3)
    assert ulp(np.array([1.0, 2.0, -4.0]), precision, out) is out
    np.testing.assert_array_equal(out / out[0], [1, 2, 4])
