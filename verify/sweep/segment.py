"""Segments: intervals of inputs that are judged alike, for which a GPU need not ask anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from verify.bands import BANDS, bands, bisect, classify
from verify.errors import InputError
from verify.oracle import SERIES_BELOW, mish
from verify.precision import Array, Precision
from verify.sweep.checksum import LEAF
from verify.tolerances import RESULTS, Limits

__all__ = ["KINDS", "Segment", "segments", "uncertainty"]

# What is expected in a segment, in the order of comparison.cu's Kind. In all but the first a
# device returns what the host's oracle returns, to the last bit. Of the series that is needed:
# where x**2 vanishes beside x, errors are multiples of 1 / 5 ULP, and millions of results lie on
# the edge of a bucket.
KINDS = ("mish", "series", "identity", "minus zero", "nan")
_MISH, _SERIES, _IDENTITY, _ZERO, _NAN = range(len(KINDS))

# From here on n > 2**55, so that n + 2 is n in float64, and n / (n + 2) is 1.
_IDENTITY_FROM = 20.0
# 2**p ULP times this: up to there an error's own rounding, 2**-53 relative on either side, is less
# than the half of `uncertainty` that is not the oracles'. What is larger, a deviation may accept
# as well, and the host settles.
_LARGEST = 4.0


@dataclass(frozen=True)
class Segment:
    """The bit patterns ``first`` <= bits < ``end``, all of one band and kind of result.

    ``kind`` indexes ``KINDS``. ``limit`` is in ULP, 0 where a result must be exact.
    ``deviation``: the key of the first deviation that is about the ULP of every result here, so
    that none counts as the worst outside of deviations; empty if there is none. ``accepted``: what
    it surely accepts, in ULP, never less than the limit. ``nan``: the key of the first deviation
    that accepts NaN everywhere here.
    """

    first: int
    end: int
    band: str
    result: str
    kind: int
    limit: float
    accepted: float
    deviation: str = ""
    nan: str = ""

    @property
    def tiles(self) -> tuple[int, int]:
        """The tiles (leaves of the checksum) that lie in it as a whole: first, and end."""
        return -(-self.first // LEAF), self.end // LEAF


def uncertainty(precision: Precision, kind: int) -> float:
    """By how many ULP two oracles' errors differ at most.

    Each oracle is within 8 * 2**-53 of Mish, relative, and a value is below 2**p ULP. Their sum
    is doubled.
    """
    return 2.0 ** (precision.significand_bits - 48) if kind == _MISH else 0.0


def segments(precision: Precision, limits: Limits) -> tuple[Segment, ...]:
    """All bit patterns of a precision in context ``alone``, in order, without gap or overlap.

    The host's oracle is asked for every edge, so that a device takes none of these decisions.
    Raises InputError where a limit is missing.
    """
    cuts = sorted(_cuts(precision, limits))
    found: list[Segment] = []
    for first, end in pairwise(cuts):
        one = _segment(first, end, precision, limits)
        last = found[-1] if found else None
        if last is not None and replace(one, first=last.first, end=last.end) == last:
            found[-1] = replace(last, end=end)
        else:
            found.append(one)
    return tuple(found)


def _segment(first: int, end: int, precision: Precision, limits: Limits) -> Segment:
    """The segment that its first bit pattern stands for."""
    wide = precision.widen(precision.from_bits(np.array([first])))
    x, y = float(wide[0]), float(mish(wide)[0])
    band = BANDS[int(classify(wide, precision)[0])]
    result = "special"
    if np.isfinite(y) and y != 0:
        result = RESULTS[abs(y) < precision.smallest_normal]
    kind = _MISH
    if np.isnan(x):
        kind = _NAN
    elif abs(x) < SERIES_BELOW:
        kind = _SERIES
    elif x >= _IDENTITY_FROM:
        kind = _IDENTITY
    elif y == 0:
        kind = _ZERO
    limit: float | None = 0.0
    if result != "special":
        limit = limits.ulp.get((band, result))
    if limit is None:
        raise InputError(f"{limits.source}: no limit for {result} results in {band!r}")
    accepted, keys = limit, {"ulp": "", "nan": ""}
    for deviation in limits.deviations:
        if keys.get(deviation.kind) == "" and deviation.x[0] <= x <= deviation.x[1]:
            keys[deviation.kind] = deviation.key
            if deviation.kind == "ulp" and not limits.floor.get(band):
                largest = min(deviation.largest_error, _LARGEST * 2.0**precision.significand_bits)
                accepted = max(limit, largest)
    return Segment(first, end, band, result, kind, limit, accepted, keys["ulp"], keys["nan"])


def _cuts(precision: Precision, limits: Limits) -> set[int]:
    """Every bit pattern that something can change at, and the end of all."""
    sign = 1 << (precision.total_bits - 1)
    infinity = _bits(precision, np.inf)
    cuts = {0, 1, infinity, infinity + 1}
    cuts |= {sign + cut for cut in cuts} | {2 * sign}
    for low, high, predicate in _predicates(precision, limits):

        def holds(x: Array, predicate: _Predicate = predicate) -> Array:
            return predicate(precision.widen(x))

        edge = bisect(holds, low, high, precision)
        bits = _bits(precision, edge)
        # The patterns of negative numbers run downwards: the edge is the last to hold.
        cuts.add(bits + 1 if bits >= sign else bits)
    return cuts


_Predicate = Callable[[Array], Array]


def _from(edge: float) -> _Predicate:
    return lambda x: np.asarray(x >= edge)


def _above(edge: float) -> _Predicate:
    return lambda x: np.asarray(x > edge)


def _predicates(precision: Precision, limits: Limits) -> Iterator[tuple[float, float, _Predicate]]:
    """Functions of x, float64, that change once between two numbers, from False to True."""
    top, normal = precision.max_finite, precision.smallest_normal
    edges = [_from(band.low) for band in bands(precision)[1:-1]]
    edges += [_above(-SERIES_BELOW), _from(SERIES_BELOW), _from(_IDENTITY_FROM)]
    for deviation in limits.deviations:
        low, high = deviation.x
        if deviation.kind in ("ulp", "nan"):
            edges += [_from(low)] if -top < low <= top else []
            edges += [_above(high)] if -top <= high < top else []
    for edge in edges:
        yield -top, top, edge
    yield -800.0, -600.0, lambda x: np.asarray(mish(x) != 0)
    yield -0.25, 0.0, lambda x: np.asarray(-mish(x) < normal)
    yield 0.0, 0.25, lambda x: np.asarray(mish(x) >= normal)


def _bits(precision: Precision, value: float) -> int:
    return int(precision.to_bits(precision.round(np.array([value])))[0])
