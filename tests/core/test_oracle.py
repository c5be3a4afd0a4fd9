"""Mish in float64 and what each context is expected to return, against mpmath."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest

from models import names
from verify import cases, oracle
from verify.bands import NONFINITE, bands
from verify.oracle import CHAIN_LENGTH, CONV_WEIGHTS, MINIMUM, MINIMUM_AT, expected, mish
from verify.precision import BF16, FP16, FP32, PRECISIONS, Array, Float64, Precision

Exact = Callable[[float], Any]
Within = Callable[[float, Any], bool]
Nearest = Callable[[Fraction, Precision], int]

ALL = pytest.mark.parametrize("precision", PRECISIONS, ids=lambda p: p.name)


def assert_within(x: Float64, exact_mish: Exact, within: Within) -> None:
    for value, actual in zip(x.tolist(), mish(x).tolist(), strict=True):
        assert within(actual, exact_mish(value)), f"x = {value!r}: {actual!r}"


def test_the_exact_mish_is_mish_by_its_definition(exact_mish: Exact) -> None:
    for x in [*np.linspace(-800, 100, 400), *np.linspace(-5, 5, 400), 1e-40, -1e-30]:
        with mpmath.workdps(60 + math.ceil(abs(x))):  # ln(1 + e**x) loses |x| / ln 10 digits
            right = mpmath.mpf(x) * mpmath.tanh(mpmath.log(1 + mpmath.exp(x)))
            assert abs(exact_mish(x) - right) <= abs(right) * mpmath.mpf(10) ** -45


@pytest.mark.parametrize("precision", [FP16, BF16], ids=lambda p: p.name)
def test_every_16_bit_input_is_within_the_promise(
    precision: Precision, exact_mish: Exact, within: Within
) -> None:
    x = precision.widen(precision.all_values())
    x = x[np.isfinite(x)]
    assert len(x) == 65536 - 2 * 2 ** (precision.significand_bits - 1)
    assert_within(x, exact_mish, within)


def test_fp32_inputs_of_every_band_are_within_the_promise(
    exact_mish: Exact, within: Within
) -> None:
    rng = np.random.default_rng(0)
    parts = []
    for band in bands(FP32)[:NONFINITE]:
        low, high = max(band.low, -800.0), min(band.high, 800.0)
        parts.append(rng.uniform(low, high, 10_000))
    parts.append(rng.uniform(-760, -690, 15_000))  # results leave float64's normal range
    parts.append(np.ldexp(rng.uniform(-2, 2, 15_000), rng.integers(-149, 128, 15_000)))
    x = np.concatenate(parts).astype(np.float32).astype(np.float64)
    assert len(x) == 100_000
    assert_within(x, exact_mish, within)


def test_the_formula_s_own_seams_are_within_the_promise(exact_mish: Exact, within: Within) -> None:
    near = oracle.SERIES_BELOW
    seams = [oracle._HIGH, oracle._LOW, oracle._ZERO, near, -near, 354.89, 709.78, -708.4, -745.13]
    x = [math.nextafter(s, to) for s in seams for to in (-math.inf, s, math.inf)]
    assert_within(np.array([*x, 5e-324, -5e-324, 1.7e308, -1.7e308]), exact_mish, within)


def test_the_series_around_zero_is_within_the_promise(exact_mish: Exact, within: Within) -> None:
    rng = np.random.default_rng(0)
    x = np.ldexp(rng.uniform(0.5, 1, 20_000), rng.integers(-40, -20, 20_000))
    x *= rng.choice([-1, 1], len(x))
    assert_within(x, exact_mish, within)
    small = x[np.abs(x) < oracle.SERIES_BELOW]
    # In a block of its own, and beside larger numbers, NaN and what would overflow.
    np.testing.assert_array_equal(mish(x)[np.abs(x) < oracle.SERIES_BELOW], mish(small))
    beside = mish(np.concatenate([small, [math.nan, 1e308, -1e308]]))
    np.testing.assert_array_equal(beside[: len(small)], mish(small))
    assert math.isnan(beside[-3])


def test_special_values_are_what_they_should_be() -> None:
    y = mish(np.array([math.nan, math.inf, -math.inf, 0.0, -0.0, -1e300]))
    assert math.isnan(y[0])
    assert y[1] == math.inf
    np.testing.assert_array_equal(y[2:], 0.0)
    np.testing.assert_array_equal(np.signbit(y[2:]), [True, False, True, True])


def test_shape_does_not_matter() -> None:
    x = np.linspace(-20, 20, 120)
    y = mish(x)
    np.testing.assert_array_equal(mish(x.reshape(2, 3, 4, 5)), y.reshape(2, 3, 4, 5))
    np.testing.assert_array_equal(mish(x.reshape(10, 12).T), y.reshape(10, 12).T)
    np.testing.assert_array_equal(mish(x[::-3]), y[::-3])
    assert mish(np.float64(3.0)).shape == ()
    assert float(mish(np.array(-20.0))) == y[0]
    assert mish(np.empty((0, 3))).shape == (0, 3)


def test_results_do_not_depend_on_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    x = np.linspace(-800, 100, 1000)
    y = mish(x)
    monkeypatch.setattr("verify.blocks.BLOCK", 7)
    np.testing.assert_array_equal(mish(x), y)
    np.testing.assert_array_equal(mish(x, out := np.empty_like(x)), y)
    np.testing.assert_array_equal(out, y)


def slope(x: Any) -> Any:
    """The derivative of x * tanh(ln(1 + e**x))."""
    t = mpmath.tanh(mpmath.log(1 + mpmath.exp(x)))
    return t + x * (1 - t * t) / (1 + mpmath.exp(-x))


def test_the_minimum_is_where_the_derivative_vanishes(exact_mish: Exact) -> None:
    with mpmath.workdps(50):
        at = mpmath.findroot(slope, mpmath.mpf("-1.19"))
        assert float(at) == MINIMUM_AT
        assert float(exact_mish(at)) == MINIMUM


def test_constants_are_those_of_the_models() -> None:
    assert CHAIN_LENGTH == names.CHAIN_LENGTH
    assert CONV_WEIGHTS == names.CONV_WEIGHTS
    assert cases.FORMS == names.FORMS
    assert cases.CONTEXTS == names.CONTEXTS
    assert tuple(p.name for p in PRECISIONS) == names.PRECISIONS


def inputs(precision: Precision) -> Array:
    """Finite inputs of every band, and what rounds on the way."""
    rng = np.random.default_rng(4)
    smallest, normal = precision.smallest_subnormal, precision.smallest_normal
    wide = [rng.uniform(max(b.low, -120), min(b.high, 60), 60) for b in bands(precision)[:-1]]
    tiny = [k * smallest for k in range(-9, 10) if k] + [normal, -normal, 3 * normal]
    large = [precision.max_finite, -precision.max_finite, 1000.0]
    return precision.round(np.concatenate([*wide, np.array(tiny), np.array(large)]))


def rounded(value: Any, precision: Precision, nearest: Nearest) -> float:
    """An mpf rounded once to the precision."""
    size, exponent = abs(mpmath.mpf(value)).man_exp  # has no sign
    bits = nearest(int(mpmath.sign(value) * size) * Fraction(2) ** int(exponent), precision)
    return float(precision.widen(precision.from_bits(np.array([bits])))[0])


def step(x: float, precision: Precision, exact_mish: Exact, nearest: Nearest) -> float:
    """One Mish, rounded once; the sign of a result that vanishes is x's."""
    y = exact_mish(x) if x > -1e4 else mpmath.mpf(0)
    return math.copysign(rounded(y, precision, nearest), x)


@ALL
def test_alone_and_branch_are_mish_unrounded(
    precision: Precision, exact_mish: Exact, within: Within
) -> None:
    x = inputs(precision)
    (alone,) = expected("alone", x, precision)
    y, neg, absolute = expected("branch", x, precision)
    assert [v.label for v in (alone, y, neg, absolute)] == ["y", "y", "neg", "abs"]
    for i, value in enumerate(precision.widen(x).tolist()):
        exact = exact_mish(value)
        assert within(float(alone.expected[i]), exact)
        assert within(float(neg.expected[i]), -exact)
        assert within(float(absolute.expected[i]), abs(exact))
    np.testing.assert_array_equal(alone.expected, y.expected)
    np.testing.assert_array_equal(np.signbit(neg.expected), ~np.signbit(y.expected))
    assert not np.signbit(absolute.expected).any()
    for view in (alone, y, neg, absolute):
        assert view.zero_sign
        assert view.channel is None
        np.testing.assert_array_equal(view.argument, precision.widen(x))


@ALL
def test_chain_rounds_after_every_step_but_the_last(
    precision: Precision, exact_mish: Exact, within: Within, nearest: Nearest
) -> None:
    x = inputs(precision)
    (view,) = expected("chain", x, precision)
    for start, actual in zip(precision.widen(x).tolist(), view.expected.tolist(), strict=True):
        value = start
        for _ in range(names.CHAIN_LENGTH - 1):
            value = step(value, precision, exact_mish, nearest)
        assert within(actual, exact_mish(value)), start
        assert math.copysign(1, actual) == math.copysign(1, start)
    np.testing.assert_array_equal(view.argument, precision.widen(x))


@ALL
def test_residual_adds_x_to_a_rounded_mish(
    precision: Precision, exact_mish: Exact, nearest: Nearest
) -> None:
    x = inputs(precision)
    (view,) = expected("residual", x, precision)
    for value, actual in zip(precision.widen(x).tolist(), view.expected.tolist(), strict=True):
        assert actual == value + step(value, precision, exact_mish, nearest)


@ALL
def test_conv_rounds_its_product_first(
    precision: Precision, exact_mish: Exact, within: Within, nearest: Nearest
) -> None:
    x = inputs(precision)
    views = expected("conv", x, precision)
    assert [(v.label, v.zero_sign) for v in views] == [("y[:,0]", False), ("y[:,1]", False)]
    for weight, view in zip(names.CONV_WEIGHTS, views, strict=True):
        products = [mpmath.mpf(weight) * v for v in precision.widen(x).tolist()]
        arguments = [rounded(p, precision, nearest) for p in products]
        np.testing.assert_array_equal(view.argument, arguments)
        for argument, actual in zip(arguments, view.expected.tolist(), strict=True):
            assert within(actual, exact_mish(argument))
    # -0.5 times an odd multiple of the smallest number is a tie, and 1.5 goes to 2.
    three = precision.round(np.array([3 * precision.smallest_subnormal]))
    assert expected("conv", three, precision)[1].argument[0] == -2 * precision.smallest_subnormal


@ALL
def test_specials_pass_through_every_context(precision: Precision) -> None:
    bits = np.arange(1 << 16, dtype=np.uint32) << (16 if precision is FP32 else 0)
    x = precision.from_bits(bits)
    x = x[~np.isfinite(precision.widen(x))]
    wide = precision.widen(x)
    for context in cases.CONTEXTS:
        for view in expected(context, x, precision):
            assert np.isnan(view.expected[np.isnan(wide)]).all()
            assert not np.isnan(view.expected[~np.isnan(wide)]).any()
    infinite = precision.round(np.array([math.inf, -math.inf]))
    answers = {
        c: [v.expected.tolist() for v in expected(c, infinite, precision)] for c in cases.CONTEXTS
    }
    assert answers == {
        "alone": [[math.inf, 0.0]],
        "chain": [[math.inf, 0.0]],
        "residual": [[math.inf, -math.inf]],
        "branch": [[math.inf, 0.0], [-math.inf, 0.0], [math.inf, 0.0]],
        "conv": [[math.inf, 0.0], [0.0, math.inf]],
    }


def test_a_view_takes_its_own_elements() -> None:
    x = np.arange(3, dtype=np.float32)
    y = np.arange(6, dtype=np.float32).reshape(3, 2, 1, 1)
    first, second = expected("conv", x, FP32)
    np.testing.assert_array_equal(first.select({"y": y}), [0, 2, 4])
    np.testing.assert_array_equal(second.select({"y": y}), [1, 3, 5])
    assert expected("alone", x, FP32)[0].select({"y": x.reshape(1, 3)}).shape == (3,)


def test_an_unknown_context_is_refused() -> None:
    with pytest.raises(ValueError, match="'loop'"):
        expected("loop", np.zeros(1, dtype=np.float32), FP32)
