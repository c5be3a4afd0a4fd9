"""A histogram of errors in ULP over fixed buckets, each a power of two wide."""

from __future__ import annotations

import numpy as np

from verify.precision import Array, Float64

__all__ = ["BUCKETS", "EDGES", "label", "tally"]

_LOWEST, _HIGHEST = -4, 25  # exponents of the first and the last edge

# The upper edge of each bucket but the last, in ULP: (2**-5, 2**-4] is told as 2**-4, and the
# first bucket goes down to 0. A correctly rounded result is in a bucket up to 0.5.
EDGES: tuple[float, ...] = tuple(2.0**k for k in range(_LOWEST, _HIGHEST + 1))
_LESS_THAN_ONE_FIELD = (1 << 52) - 1
_FIELDS = 2049

BUCKETS = len(EDGES) + 1  # the last one: more than 2**25 ULP, infinite errors included


def tally(errors: Float64) -> Array:
    """Count flat, non-negative ``errors`` by bucket: int64, ``BUCKETS`` of them.

    An error equal to an edge is in the bucket that ends there.
    """
    # The exponent field, rounded up unless the number is a power of two: 0 for 0, 1023 for 1,
    # 1024 for anything in (1, 2].
    fields = np.ascontiguousarray(errors).view(np.int64) + _LESS_THAN_ONE_FIELD
    fields >>= 52
    counts = np.bincount(fields, minlength=_FIELDS)
    first = 1023 + _LOWEST
    last = 1023 + _HIGHEST
    middle = counts[first + 1 : last + 1]
    return np.concatenate([[counts[: first + 1].sum()], middle, [counts[last + 1 :].sum()]])


def label(bucket: int) -> str:
    """The bucket's range for people, such as ``<= 0.5`` or ``> 33554432``."""
    return f"<= {EDGES[bucket]:g}" if bucket < len(EDGES) else f"> {EDGES[-1]:.0f}"
