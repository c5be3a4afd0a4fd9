"""The bands' edges are exact and the bands leave nothing out."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from verify.bands import BANDS, NONFINITE, bands, bisect, classify, order, unorder
from verify.oracle import MINIMUM_AT, mish
from verify.precision import BF16, FP16, FP32, PRECISIONS, Array, Float64, Precision
from verify.samples import Sample

ALL = pytest.mark.parametrize("precision", PRECISIONS, ids=lambda p: p.name)
SIXTEEN = pytest.mark.parametrize("precision", [FP16, BF16], ids=lambda p: p.name)


def start(name: str, precision: Precision) -> float:
    return next(b.low for b in bands(precision) if b.name == name)


def ascending(precision: Precision) -> Array:
    """Every finite number of a 16-bit precision, from the lowest up, -0 before +0."""
    values = precision.all_values()
    values = values[np.isfinite(precision.widen(values))]
    return np.asarray(values[np.argsort(order(precision.to_bits(values), precision))])


def around(edge: float, precision: Precision) -> Array:
    """The number below an edge, and the edge."""
    key = order(precision.to_bits(precision.round(np.array([edge]))), precision)
    return precision.from_bits(unorder(np.concatenate([key - 1, key]), precision))


@ALL
def test_the_bands_lie_side_by_side(precision: Precision) -> None:
    found = bands(precision)
    assert tuple(b.name for b in found) == BANDS
    assert found[0].low == -math.inf
    for lower, upper in pairwise(found):
        assert lower.low < lower.high == upper.low
    edges = np.array([b.low for b in found[1:NONFINITE]])
    np.testing.assert_array_equal(precision.widen(precision.round(edges)), edges)
    assert start("well", precision) < MINIMUM_AT < start("origin", precision)
    assert str(found[3]) == "well [-4, -0.25)"


@ALL
def test_the_number_below_an_edge_lacks_what_the_edge_has(precision: Precision) -> None:
    subnormal = around(start("subnormal tail", precision), precision)
    assert (precision.widen(precision.round(mish(precision.widen(subnormal)))) == 0).tolist() == [
        True,
        False,
    ]
    negative = around(start("negative tail", precision), precision)
    size = np.abs(mish(precision.widen(negative)))
    assert (size >= precision.smallest_normal).tolist() == [False, True]
    identity = around(start("identity", precision), precision)
    assert (precision.round(mish(precision.widen(identity))) == identity).tolist() == [False, True]


@SIXTEEN
def test_every_16_bit_number_is_in_the_band_that_its_result_says(precision: Precision) -> None:
    x = ascending(precision)
    wide = precision.widen(x)
    size, rounded = np.abs(mish(wide)), precision.round(mish(wide))
    tail = wide < start("well", precision)
    flushed = precision.widen(rounded) == 0
    np.testing.assert_array_equal(tail & flushed, wide < start("subnormal tail", precision))
    subnormal = size < precision.smallest_normal
    np.testing.assert_array_equal(tail & subnormal, wide < start("negative tail", precision))
    same = (rounded == x) & (wide >= start("bulk", precision))
    np.testing.assert_array_equal(same, wide >= start("identity", precision))


def test_every_fp32_number_from_the_identity_band_to_16_is_its_own_result() -> None:
    ends = FP32.to_bits(np.array([start("identity", FP32), 16.0], dtype=np.float32))
    count = 0
    for low in range(int(ends[0]), int(ends[1]) + 1, 1 << 20):
        x = FP32.from_bits(np.arange(low, min(low + (1 << 20), int(ends[1]) + 1)))
        np.testing.assert_array_equal(FP32.round(mish(FP32.widen(x))), x)
        count += len(x)
    assert count == int(ends[1]) - int(ends[0]) + 1 > 6_000_000


@ALL
def test_above_16_mish_is_x_to_float64(precision: Precision) -> None:
    assert (
        mish(np.array([20.0, 50.0, precision.max_finite])) == [20, 50, precision.max_finite]
    ).all()


@ALL
def test_edges_are_where_the_asymptotes_put_them(precision: Precision) -> None:
    # Towards -inf mish(x) is x*e**x, towards +inf it is x - 2x*e**(-2x).
    def tail(x: float) -> float:
        return -x * math.exp(x)

    assert tail(start("subnormal tail", precision)) == pytest.approx(
        precision.smallest_subnormal / 2, rel=0.9
    )
    x = start("negative tail", precision)
    assert tail(x) == pytest.approx(
        precision.smallest_normal, rel=-x * 2.0**-precision.significand_bits * 2 + 1e-4
    )
    x = start("identity", precision)
    half_step = 2.0 ** (math.floor(math.log2(x)) - precision.significand_bits)
    assert 2 * x * math.exp(-2 * x) == pytest.approx(half_step, rel=0.1)


@ALL
def test_each_input_is_in_one_band(
    precision: Precision, full_sample: Callable[[Precision], Sample]
) -> None:
    wide = precision.widen(full_sample(precision).values)
    index = classify(wide, precision)
    assert index.dtype == np.uint8
    assert index.shape == wide.shape
    inside = np.zeros(wide.shape, dtype=int)
    for number, band in enumerate(bands(precision)[:NONFINITE]):
        members = (wide >= band.low) & (wide < band.high) & np.isfinite(wide)
        inside += members
        np.testing.assert_array_equal(index == number, members)
    np.testing.assert_array_equal(index == NONFINITE, ~np.isfinite(wide))
    np.testing.assert_array_equal(inside, np.isfinite(wide))
    assert set(index.tolist()) == set(range(len(BANDS)))


@ALL
def test_a_block_is_classified_as_its_elements_are(precision: Precision) -> None:
    edges = [b.low for b in bands(precision)[1:NONFINITE]]
    values = [e for edge in edges for e in (math.nextafter(edge, -math.inf), edge)]
    single = [int(classify(np.array([v]), precision)[0]) for v in values]
    assert single == [n for k in range(NONFINITE - 1) for n in (k, k + 1)]
    assert classify(np.array(values), precision).tolist() == single
    with_nan: Float64 = np.array([*values, math.nan, math.inf, -math.inf])
    assert classify(with_nan, precision).tolist() == [*single, NONFINITE, NONFINITE, NONFINITE]
    assert classify(np.array([1.0, math.nan]), precision).tolist() == [5, NONFINITE]
    assert classify(np.array([-math.inf, -1e9]), precision).tolist() == [NONFINITE, 0]
    assert classify(np.array([math.inf]), precision).tolist() == [NONFINITE]
    assert classify(np.empty(0), precision).tolist() == []


@SIXTEEN
def test_order_is_the_order_of_the_numbers(precision: Precision) -> None:
    bits = np.arange(1 << 16)
    keys = order(bits, precision)
    np.testing.assert_array_equal(unorder(keys, precision), bits)
    assert len(set(keys.tolist())) == 1 << 16
    assert sorted(keys.tolist()) == list(range(-(1 << 15), 1 << 15))
    wide = precision.widen(ascending(precision))
    assert (np.diff(wide) >= 0).all()
    assert np.count_nonzero(np.diff(wide) == 0) == 1  # the two zeros
    zeros = np.flatnonzero(wide == 0)
    assert np.signbit(wide[zeros]).tolist() == [True, False]


def test_order_of_fp32_is_the_order_of_the_numbers() -> None:
    bits = np.random.default_rng(0).integers(0, 1 << 32, 200_000)
    bits = np.concatenate([bits, [0, 1 << 31, (1 << 32) - 1, (1 << 31) - 1]])
    keys = order(bits, FP32)
    np.testing.assert_array_equal(unorder(keys, FP32), bits)
    values = FP32.widen(FP32.from_bits(bits[np.argsort(keys)]))
    assert (np.diff(values[np.isfinite(values)]) >= 0).all()
    assert order(np.array([1 << 31, 0]), FP32).tolist() == [-1, 0]


@ALL
def test_bisection_finds_the_first_number_above_a_threshold(precision: Precision) -> None:
    def above(threshold: float) -> float:
        return bisect(lambda x: precision.widen(x) > threshold, -8.0, 1000.0, precision)

    one = precision.round(np.array([1.0]))
    successor = precision.widen(precision.from_bits(precision.to_bits(one) + 1))[0]
    assert above(1.0) == successor
    assert above(-0.0) == precision.smallest_subnormal
    assert above(math.nextafter(-2.0, -3)) == -2.0


def test_bisection_refuses_ends_that_do_not_differ() -> None:
    for predicate in (lambda x: x > 5, lambda x: x > -5, lambda x: x < 0):
        with pytest.raises(ValueError, match=r"change from False to True in \(-1.0, 1.0\]"):
            bisect(predicate, -1.0, 1.0, FP32)
