"""Samples are large, distinct, reproducible, and hold what they promise."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from verify.bands import BANDS, bands, classify, order, unorder
from verify.breakpoints import breakpoints
from verify.precision import BF16, FP16, FP32, PRECISIONS, Array, Precision
from verify.samples import NEIGHBOURS, Sample, neighbours, sample

Draw = Callable[[Precision], Sample]
SEEDS = (0, 1, 2, 12345, 2**63)


def keys(drawn: Sample) -> Array:
    return order(drawn.precision.to_bits(drawn.values), drawn.precision)


@pytest.mark.parametrize("precision", [FP16, BF16], ids=lambda p: p.name)
def test_16_bit_samples_are_all_there_is(precision: Precision) -> None:
    for seed in SEEDS[:2]:
        drawn = sample(precision, seed)
        assert drawn.values.dtype == precision.dtype
        assert set(precision.to_bits(drawn.values).tolist()) == set(range(1 << 16))
        assert drawn.count == drawn.total == 65_536
        assert drawn.coverage == "65 536 of 65 536"
        assert (np.diff(keys(drawn)) == 1).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_fp32_samples_hold_over_2_million_distinct_inputs_in_order(seed: int) -> None:
    drawn = sample(FP32, seed)
    assert drawn.values.dtype == np.float32
    assert 2_000_000 <= drawn.count == len(drawn.values) < 3_000_000
    assert (np.diff(keys(drawn)) > 0).all()
    assert drawn.seed == seed
    exponents = np.bincount(FP32.to_bits(drawn.values) >> 23, minlength=512)
    assert exponents.min() >= 900
    band_counts = np.bincount(classify(FP32.widen(drawn.values), FP32), minlength=len(BANDS))
    assert band_counts.min() >= 2000
    for band in bands(FP32)[1:-2]:
        if band.name != "origin":  # the numbers of the tails and the bulk are few, and drawn by x
            assert band_counts[BANDS.index(band.name)] >= 50_000


def test_coverage_says_how_many_of_how_many(full_sample: Draw) -> None:
    drawn = full_sample(FP32)
    count, total = drawn.coverage.split(" of ")
    assert int(count.replace(" ", "")) == drawn.count
    assert total == "4 294 967 296"


def holds(drawn: Sample, bits: Array) -> bool:
    """Whether every bit pattern is there; the sample is in order, so a search is enough."""
    present, wanted = keys(drawn), order(bits, drawn.precision)
    at = np.minimum(np.searchsorted(present, wanted), drawn.count - 1)
    return bool((present[at] == wanted).all())


def test_every_breakpoint_is_there_with_its_neighbours(full_sample: Draw) -> None:
    edges = [b.low for b in bands(FP32)[1:-1]]
    points = [*(b.x for b in breakpoints(FP32)), *edges, 0.0, FP32.smallest_normal]
    at = order(FP32.to_bits(np.array(points, dtype=np.float32)), FP32)
    wanted = (at[:, None] + np.arange(-64, 65)).reshape(-1)
    wanted = wanted[np.abs(wanted) < 0x7F800000]  # finite ones
    assert len(wanted) > 60 * 129
    assert holds(full_sample(FP32), unorder(wanted, FP32))


def test_every_16_bit_value_is_there_widened(full_sample: Draw) -> None:
    for narrow in (FP16, BF16):
        wide = narrow.widen(narrow.all_values())
        numbers = wide[~np.isnan(wide)].astype(np.float32)
        assert holds(full_sample(FP32), numbers.view(np.uint32))


def test_specials_and_extremes_are_there(full_sample: Draw) -> None:
    bits = [0, 1 << 31, 1, 0x80000001, 0x7F800000, 0xFF800000, 0x7F7FFFFF, 0xFF7FFFFF]
    bits += [0x7FC00000, 0xFFC00000, 0x7F800001, 0x7FFFFFFF]  # quiet and signalling NaN
    assert holds(full_sample(FP32), np.array(bits, dtype=np.uint32))


def test_every_exponent_has_structured_mantissas(full_sample: Draw) -> None:
    exponents = np.arange(512, dtype=np.uint32)[:, None] << 23
    ones = (1 << 23) - 1
    for mantissa in (0, 1, 1 << 22, 1 << 11, ones, ones - 1, ones >> 1, 0x555555, 0x2AAAAA):
        assert holds(full_sample(FP32), (exponents | np.uint32(mantissa)).reshape(-1))


def test_random_mantissas_use_every_bit(full_sample: Draw) -> None:
    bits = FP32.to_bits(full_sample(FP32).values)
    for exponent in (1, 64, 127, 200, 254):
        mantissas = bits[(bits >> 23) == exponent] & ((1 << 23) - 1)
        for k in range(23):
            assert 0.3 < np.mean((mantissas >> k) & 1) < 0.7, (exponent, k)


def test_the_same_seed_draws_the_same_and_another_another(full_sample: Draw) -> None:
    first = FP32.to_bits(full_sample(FP32).values)
    np.testing.assert_array_equal(FP32.to_bits(sample(FP32, 0).values), first)
    other = FP32.to_bits(sample(FP32, 1).values)
    common = len(np.intersect1d(first, other, assume_unique=True))
    assert common < 0.5 * len(first)


@pytest.mark.parametrize("precision", PRECISIONS, ids=lambda p: p.name)
def test_neighbours_are_those_on_either_side(precision: Precision) -> None:
    bits = neighbours(1.0, precision)
    assert len(bits) == 2 * NEIGHBOURS + 1
    assert (np.diff(order(bits, precision)) == 1).all()
    assert precision.widen(precision.from_bits(bits))[NEIGHBOURS] == 1.0
    at_zero = precision.widen(precision.from_bits(neighbours(0.0, precision, 2)))
    step = precision.smallest_subnormal
    np.testing.assert_array_equal(at_zero, [-step, -0.0, 0.0, step, 2 * step])
    for x, edge in ((math.inf, -1), (-math.inf, 0)):
        at_end = precision.widen(precision.from_bits(neighbours(x, precision, 3)))
        assert len(at_end) == 4
        assert at_end[edge] == x
