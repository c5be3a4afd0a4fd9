"""The bands: intervals of x named for what Mish does there, with exact edges."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from verify.oracle import mish
from verify.precision import Array, Float64, Precision

__all__ = [
    "BANDS",
    "NONFINITE",
    "Band",
    "bands",
    "bisect",
    "classify",
    "common_band",
    "order",
    "unorder",
]

BANDS: tuple[str, ...] = (
    "flush tail",
    "subnormal tail",
    "negative tail",
    "well",
    "origin",
    "bulk",
    "identity",
    "nonfinite",
)
NONFINITE = BANDS.index("nonfinite")

# Where Mish's shape, not a precision, sets the edge. Below -4 mish(x) is x*e**x to 2 %; the
# minimum lies at -1.1924; within 1/4 of zero mish(x) is 0.6*x to 14 %. Every number is exact
# in every precision.
_WELL, _ORIGIN, _BULK = -4.0, -0.25, 0.25


@dataclass(frozen=True)
class Band:
    """All x with ``low`` <= x < ``high`` (``nonfinite``: NaN and both infinities)."""

    name: str
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.name} [{self.low:.9g}, {self.high:.9g})"


def order(bits: Array, precision: Precision) -> Array:
    """Map bit patterns to int64 keys in the numbers' order (-0 directly below +0)."""
    wide = bits.astype(np.int64)
    sign = np.int64(1) << (precision.total_bits - 1)
    return np.where(wide & sign, sign - 1 - wide, wide)


def unorder(keys: Array, precision: Precision) -> Array:
    """The bit patterns (int64) of ``order``'s keys."""
    sign = np.int64(1) << (precision.total_bits - 1)
    return np.asarray(np.where(keys < 0, sign - 1 - keys, keys))


def bisect(
    predicate: Callable[[Array], Array], low: float, high: float, precision: Precision
) -> float:
    """Find the smallest number of ``precision`` in (low, high] where ``predicate`` holds.

    ``predicate`` takes a flat array of the precision's dtype and must be False at ``low`` and
    True at ``high``; if it changes more than once between them, one change is found. Raises
    ValueError where the ends do not differ like that.
    """
    ends = precision.round(np.array([low, high]))
    below, above = (int(k) for k in order(precision.to_bits(ends), precision))
    held = predicate(ends)
    if held[0] or not held[1]:
        raise ValueError(f"the predicate must change from False to True in ({low}, {high}]")
    while above - below > 1:
        middle = (below + above) // 2
        if predicate(precision.from_bits(unorder(np.array([middle]), precision)))[0]:
            above = middle
        else:
            below = middle
    found = precision.from_bits(unorder(np.array([above]), precision))
    return float(precision.widen(found)[0])


@cache
def bands(precision: Precision) -> tuple[Band, ...]:
    """The eight bands of a precision, from the lowest x up, edges found by bisection.

    The flush tail ends where |mish(x)| rounds to a number other than zero, the subnormal
    tail where |mish(x)| reaches the smallest normal number, and the identity band begins
    where mish(x) rounds to x itself.
    """

    def wide(x: Array) -> Float64:
        return mish(precision.widen(x))

    half = 0.5 * precision.smallest_subnormal
    subnormal = bisect(lambda x: -wide(x) > half, -200.0, _WELL, precision)
    negative = bisect(lambda x: -wide(x) >= precision.smallest_normal, -200.0, _WELL, precision)
    identity = bisect(lambda x: precision.round(wide(x)) == x, 1.0, 16.0, precision)
    edges = (-np.inf, subnormal, negative, _WELL, _ORIGIN, _BULK, identity, np.inf)
    named = [Band(BANDS[i], edges[i], edges[i + 1]) for i in range(NONFINITE)]
    return (*named, Band("nonfinite", np.inf, np.inf))


def classify(argument: Float64, precision: Precision) -> Array:
    """The index into ``BANDS`` of each element of a flat float64 array, as uint8."""
    common = common_band(argument, precision)
    if common is not None:
        return np.full(argument.shape, common, dtype=np.uint8)
    index = np.zeros(argument.shape, dtype=np.uint8)
    for band in bands(precision)[1:NONFINITE]:
        index += argument >= band.low
    index[~np.isfinite(argument)] = NONFINITE
    return index


def common_band(argument: Float64, precision: Precision) -> int | None:
    """The one band that all elements lie in, as most blocks of a sorted sample do, or None."""
    if not len(argument):
        return None
    low, high = float(argument.min()), float(argument.max())  # NaN if there is one
    if not (math.isfinite(low) and math.isfinite(high)):
        return None
    starts = [band.low for band in bands(precision)[1:NONFINITE]]
    first, last = bisect_right(starts, low), bisect_right(starts, high)
    return first if first == last else None
