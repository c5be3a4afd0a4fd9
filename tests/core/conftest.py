"""Slow and exact counterparts of what the core computes, and the samples, drawn once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import lru_cache
from typing import Any

import mpmath
import pytest

from verify.precision import Precision
from verify.samples import Sample, sample


def _nearest(value: Fraction, precision: Precision) -> int:
    """The bits of ``value`` rounded to nearest, ties to even, in rational arithmetic."""
    p, least = precision.significand_bits, precision.min_exponent - precision.significand_bits + 1
    size = abs(value)
    exponent = least
    if size:
        exponent = size.numerator.bit_length() - size.denominator.bit_length()
        exponent -= size < Fraction(2) ** exponent  # floor(log2(size))
        exponent = max(exponent - p + 1, least)
    steps = round(size / Fraction(2) ** exponent)  # Python rounds ties to even
    infinity = ((1 << (precision.total_bits - p)) - 1) << (p - 1)
    bits = min(((exponent - least) << (p - 1)) + steps, infinity)
    return bits | (1 << (precision.total_bits - 1) if value < 0 else 0)


def _exact_mish(x: float) -> Any:
    """mish(x) of a finite x at 50 digits, as an mpf."""
    with mpmath.workdps(50):
        e = mpmath.exp(mpmath.mpf(x))
        n = e * (e + 2)
        return mpmath.mpf(x) * (n / (n + 2))


def _within(actual: float, exact: Any) -> bool:
    """What the oracle promises: 8 * 2**-53 relative, 2**-1074 absolute below 2**-1022."""
    with mpmath.workdps(50):
        error, size = abs(mpmath.mpf(actual) - exact), abs(exact)
        if size >= mpmath.ldexp(1, -1022):
            return bool(error <= mpmath.ldexp(size, -50))
        return bool(error <= mpmath.ldexp(1, -1074))


@pytest.fixture(scope="session")
def nearest() -> Callable[[Fraction, Precision], int]:
    return _nearest


@pytest.fixture(scope="session")
def exact_mish() -> Callable[[float], Any]:
    return _exact_mish


@pytest.fixture(scope="session")
def within() -> Callable[[float, Any], bool]:
    return _within


@pytest.fixture(scope="session")
def full_sample() -> Iterator[Callable[[Precision], Sample]]:
    """full_sample(precision): what a run with seed 0 judges."""
    cached = lru_cache(maxsize=None)(lambda precision: sample(precision, 0))
    yield cached
    cached.cache_clear()


@pytest.fixture(scope="session")
def ulp_of() -> Callable[[float, Precision], float]:
    """ulp_of(expected, precision): the spacing of numbers where a finite value lies."""

    def spacing(value: float, precision: Precision) -> float:
        exponent = math.frexp(value)[1] - 1 if value else precision.min_exponent
        exponent = max(exponent, precision.min_exponent)
        return math.ldexp(1.0, exponent - precision.significand_bits + 1)

    return spacing
