"""Error in ULP against an unrounded expected value."""

from __future__ import annotations

import numpy as np

from verify.precision import Float64, Precision

__all__ = ["error_ulp", "per_ulp", "ulp"]

_EXPONENT_MASK = np.int64(0x7FF0000000000000)


def ulp(expected: Float64, precision: Precision, out: Float64 | None = None) -> Float64:
    """The distance between neighbouring numbers of ``precision`` around ``expected``.

    2**(max(floor(log2|expected|), min_exponent) - p + 1): the spacing of the binade that
    the unrounded value lies in, constant over zero and the subnormals. At a power of two
    the value opens its binade, so the wider spacing above it counts. Any shape, float64
    in and out; inf for inf and NaN.
    """
    expected = np.ascontiguousarray(expected, dtype=np.float64)
    if out is None:
        out = np.empty_like(expected)
    # The exponent field alone, read as a float64, is 2**floor(log2|expected|).
    np.bitwise_and(expected.view(np.int64), _EXPONENT_MASK, out=out.view(np.int64))
    np.maximum(out, precision.smallest_normal, out=out)
    np.multiply(out, 2.0 ** (1 - precision.significand_bits), out=out)
    return out


def per_ulp(expected: Float64, precision: Precision) -> Float64:
    """1 / `ulp`, exactly: a power of two, so that errors can be multiplied instead of divided.

    For inf and NaN it is a positive number of no meaning.
    """
    out = np.bitwise_and(np.ascontiguousarray(expected).view(np.int64), _EXPONENT_MASK)
    # Exponent fields: the smallest normal number's, and that of 2**(p - 1) plus twice the bias.
    np.maximum(out, np.int64(1023 + precision.min_exponent) << 52, out=out)
    np.subtract(np.int64(2045 + precision.significand_bits) << 52, out, out=out)
    return np.asarray(out.view(np.float64))


def error_ulp(
    actual: Float64, expected: Float64, precision: Precision, out: Float64 | None = None
) -> Float64:
    """|actual - expected| in ULP of ``precision`` at ``expected``.

    ``actual`` holds numbers of the precision, widened; ``expected`` is the oracle's value,
    unrounded, so a correctly rounded result has an error of at most 0.5. The difference
    crosses zero like any other number. NaN where either is NaN, inf where one is infinite.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        error = np.subtract(actual, expected, out=out)
        np.abs(error, out=error)
        np.multiply(error, per_ulp(expected, precision), out=error)
    return error
