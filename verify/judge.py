"""The judge: hold what an engine returned against the oracle and the limits.

NaN, infinities and signs are judged before ULP. Every element beyond its limit is a breach;
a deviation may accept it; what no deviation accepts is reported.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from verify.bands import BANDS, classify, common_band
from verify.blocks import in_blocks
from verify.errors import InputError
from verify.histogram import tally
from verify.oracle import View
from verify.precision import Array, Float64, Precision
from verify.tolerances import RESULTS, Deviation, Limits
from verify.ulp import error_ulp

__all__ = [
    "KINDS",
    "Accepted",
    "BandResult",
    "Breach",
    "Detail",
    "Judgement",
    "Point",
    "VacuousError",
    "judge",
    "kind_of",
    "results_of",
    "too_many",
]

KINDS: tuple[str, ...] = ("ulp", "nan", "inf", "sign")
_NAN, _INF, _SIGN = 1, 2, 3


class VacuousError(Exception):
    """Nothing was compared, or not what should have been: never a pass."""


@dataclass(frozen=True)
class Point:
    """One input and what came of it; bits are hexadecimal, in the precision's width."""

    index: int
    x: float
    x_bits: str
    expected: float
    actual: float
    actual_bits: str
    error_ulp: float


@dataclass(frozen=True)
class Detail:
    """What an exhaustive run keeps of a band beside its worst.

    ``histogram`` counts errors by `verify.histogram`'s buckets. ``kinds`` counts the elements
    beyond their limit by ``KINDS``, accepted ones included. ``outside`` is the largest error at
    an x that no deviation of its kind is about: what supports the limit.
    """

    histogram: tuple[int, ...]
    kinds: tuple[int, ...]
    outside: Point | None


@dataclass(frozen=True)
class BandResult:
    """What was measured in one band of one output, for one kind of result.

    ``limit`` is in ULP, None for special results, which must be exact. ``worst`` is the
    largest error with its input, also on a pass.
    """

    output: str
    band: str
    result: str
    samples: int
    limit: float | None
    worst: Point
    breaches: int
    detail: Detail | None = None


@dataclass(frozen=True)
class Breach:
    """Elements of one band that broke a limit in one way and that no deviation accepts.

    ``first`` and ``most``: the first ones in the inputs' order and those with the largest
    errors, as many as were asked for.
    """

    output: str
    band: str
    result: str
    kind: str
    limit: float | None
    floor: float
    count: int
    samples: int
    worst: Point
    lowest: float
    highest: float
    over_count: str = ""  # the deviation whose largest_count is exceeded
    first: tuple[Point, ...] = ()
    most: tuple[Point, ...] = ()


@dataclass(frozen=True)
class Accepted:
    """A deviation at work: how many inputs it accepted."""

    deviation: Deviation
    count: int
    worst: Point


@dataclass(frozen=True)
class Judgement:
    """All that the judge found for one case."""

    samples: int
    bands: tuple[BandResult, ...]
    breaches: tuple[Breach, ...]
    accepted: tuple[Accepted, ...]
    stale: tuple[Deviation, ...]

    @property
    def worst(self) -> BandResult | None:
        """The band result with the largest error in ULP, of those within their limit if any."""
        within = [band for band in self.bands if not band.breaches] or self.bands
        return max(within, key=lambda band: band.worst.error_ulp, default=None)


@dataclass(frozen=True)
class _Part:
    """What one block, or all of them merged, holds of one group (band and result)."""

    count: int
    worst: int  # index into the inputs
    error: float
    broken: Array  # indexes of the elements beyond their limit
    broken_error: Float64
    broken_kind: Array  # uint8, indexes into KINDS
    histogram: Array | None = None
    outside: int = -1  # as `Detail.outside`, with its error
    outside_error: float = -1.0


def results_of(expected: Float64, precision: Precision) -> Array:
    """What an expected value is, as indexes into RESULTS: regular, subnormal or special."""
    size = np.abs(expected)
    result = (size < precision.smallest_normal).astype(np.uint8)
    result[(size == 0) | ~np.isfinite(size)] = RESULTS.index("special")
    return result


def kind_of(expected: float, actual: float, error: float) -> str:
    """What is wrong with one element, if anything is; ``error`` in ULP as the judge tells it."""
    one = (np.array([value]) for value in (expected, actual, error))
    return KINDS[int(_kinds(*one)[0])]


def judge(
    views: Sequence[View],
    outputs: dict[str, Array],
    x: Array,
    precision: Precision,
    limits: Limits,
    *,
    whole_sample: bool = True,
    few: int = 0,
) -> Judgement:
    """Judge ``outputs`` (arrays by name) for the flat inputs ``x``.

    ``whole_sample``: x is a full sample, so a deviation that does not happen is stale, and one
    that happens more often than its ``largest_count`` a breach; False for parts and for the small
    arrays of properties. ``few``: above 0, the bands get their details and the breaches that many
    of their inputs.

    Raises VacuousError for no inputs, a missing, extra or wrongly shaped or typed output.
    """
    _complete(views, outputs, x, precision)
    bands: list[BandResult] = []
    breaches: list[Breach] = []
    taken: list[list[Array]] = [[] for _ in limits.deviations]
    worst_taken: list[Point | None] = [None] * len(limits.deviations)
    for view in views:
        actual = view.select(outputs)

        def point(index: int, error: float, view: View = view, actual: Array = actual) -> Point:
            return _point(index, error, x, view.expected, actual, precision)

        for group, part in sorted(_measure(view, actual, precision, limits, few > 0).items()):
            band, result = BANDS[group // 3], RESULTS[group % 3]
            limit, floor = _limit(limits, band, result)
            bands.append(
                BandResult(
                    output=view.label,
                    band=band,
                    result=result,
                    samples=part.count,
                    limit=limit,
                    worst=point(part.worst, part.error),
                    breaches=len(part.broken),
                    detail=_detail(part, point),
                )
            )
            rest = np.ones(len(part.broken), dtype=bool)
            for number, deviation in enumerate(limits.deviations):
                covered = rest & _covers(deviation, part, view.argument[part.broken])
                if covered.any():
                    rest &= ~covered
                    taken[number].append(part.broken[covered])
                    at = _argmax(part.broken_error, covered)
                    found = point(part.broken[at], part.broken_error[at])
                    held = worst_taken[number]
                    # Of equal errors in several outputs or bands the first input counts.
                    if held is None or _rank(found) < _rank(held):
                        worst_taken[number] = found
            for kind in np.flatnonzero(np.bincount(part.broken_kind[rest])):
                some = rest & (part.broken_kind == kind)
                at = _argmax(part.broken_error, some)
                xs = precision.widen(x[part.broken[some]])
                breaches.append(
                    Breach(
                        output=view.label,
                        band=band,
                        result=result,
                        kind=KINDS[kind],
                        limit=limit,
                        floor=floor,
                        count=int(some.sum()),
                        samples=part.count,
                        worst=point(part.broken[at], part.broken_error[at]),
                        lowest=float(xs.min()),
                        highest=float(xs.max()),
                        first=_points(part, np.flatnonzero(some)[:few], point),
                        most=_points(part, _most(part.broken_error, some, few), point),
                    )
                )
    accepted, stale = [], []
    for deviation, indexes, held in zip(limits.deviations, taken, worst_taken, strict=True):
        # An input counts once, however many outputs show the deviation.
        count = _distinct(indexes)
        if held is None:
            if whole_sample and not deviation.optional:
                stale.append(deviation)
            continue
        allowed = deviation.largest_count
        if whole_sample and count > allowed:
            breaches.append(too_many(deviation, count, allowed, held, len(x)))
        accepted.append(Accepted(deviation, count, held))
    return Judgement(len(x), tuple(bands), tuple(breaches), tuple(accepted), tuple(stale))


def _complete(
    views: Sequence[View], outputs: dict[str, Array], x: Array, precision: Precision
) -> None:
    if not len(x) or not views:
        raise VacuousError("no inputs were judged")
    wanted = {view.output for view in views}
    if set(outputs) != wanted:
        raise VacuousError(f"expected outputs {sorted(wanted)}, got {sorted(outputs)}")
    channels = {o: sum(v.output == o for v in views) for o in wanted}
    for name, array in outputs.items():
        if array.dtype != precision.dtype:
            raise VacuousError(f"output {name}: expected {precision.dtype}, got {array.dtype}")
        if array.size != len(x) * channels[name]:
            raise VacuousError(
                f"output {name}: expected {len(x) * channels[name]} elements, got {array.size}"
            )
    for view in views:
        if not len(view.argument) == len(view.expected) == len(x):
            raise VacuousError(f"output {view.label}: the oracle has another number of elements")
        array = outputs[view.output]
        if view.channel is not None and array.shape[1:2] != (channels[view.output],):
            raise VacuousError(
                f"output {view.output}: expected {channels[view.output]} channels as its second "
                f"axis, got shape {array.shape}"
            )


def _measure(
    view: View, actual: Array, precision: Precision, limits: Limits, detail: bool
) -> dict[int, _Part]:
    """Measure one view, block by block; parts by group, band * 3 + result."""

    def block(start: int, argument: Float64, expected: Float64, actual: Array) -> dict[int, _Part]:
        wide = precision.widen(actual)
        error = error_ulp(wide, expected, precision)
        kind = np.zeros(len(error), dtype=np.uint8)
        first = int(np.argmax(error))  # of the largest error, or of the first NaN
        odd = _odd(wide, expected, error, float(error[first]), view.zero_sign)
        if len(odd):
            either = limits.nan_at_minus_inf
            _special(odd, argument, expected, wide, error, kind, precision, either)
            first = int(np.argmax(error))
        parts = {}
        # Errors of the elements that no deviation is about; the others are -1.
        outside = _outside(error, kind, argument, limits.deviations) if detail else error
        for group, members in _groups(argument, expected, precision):
            errors = _take(error, members)
            at = first if members is None else int(np.argmax(errors))
            limit, floor = _limit(limits, BANDS[group // 3], RESULTS[group % 3])
            which = np.empty(0, dtype=np.int64)
            if len(odd) or errors[at] > (0.0 if limit is None else limit):
                broken = errors > (0.0 if limit is None else limit)
                if floor:
                    broken &= np.abs(_take(wide, members) - _take(expected, members)) > floor
                which = np.flatnonzero(broken | (_take(kind, members) != 0))
            if members is not None:
                at, which = int(members[at]), members[which]
            part = _Part(
                count=len(errors),
                worst=start + at,
                error=float(error[at]),
                broken=start + which,
                broken_error=error[which],
                broken_kind=kind[which],
            )
            if detail:
                if outside is not error:
                    at = int(np.argmax(_take(outside, members)))
                    at = at if members is None else int(members[at])
                part = replace(
                    part,
                    histogram=tally(errors),
                    outside=start + at,
                    outside_error=float(outside[at]),
                )
            parts[group] = part
        return parts

    merged: dict[int, list[_Part]] = {}
    for parts in in_blocks(block, view.argument, view.expected, actual):
        for group, part in parts.items():
            merged.setdefault(group, []).append(part)
    return {group: _merge(parts) for group, parts in merged.items()}


def _odd(
    wide: Float64, expected: Float64, error: Float64, largest: float, zero_sign: bool
) -> Array:
    """Indexes of the elements with a NaN, an infinity, or signs that differ.

    ``largest`` is the largest error, NaN if there is one.
    """
    # A sign bit that differs makes the exclusive or negative: one pass tells the usual block,
    # which has none.
    apart = np.bitwise_xor(wide.view(np.int64), expected.view(np.int64))
    if apart.min() >= 0 and math.isfinite(largest):
        return np.empty(0, dtype=np.int64)
    signs = apart < 0
    if not zero_sign:
        signs &= (wide != 0) | (expected != 0)
    return np.flatnonzero(signs | ~np.isfinite(error))


def _outside(
    error: Float64, kind: Array, argument: Float64, deviations: Sequence[Deviation]
) -> Float64:
    """``error`` with -1 wherever a deviation is about such an element; itself if nowhere."""
    low, high = argument.min(), argument.max()  # NaN if there is one
    outside = error
    for deviation in deviations:
        if high < deviation.x[0] or low > deviation.x[1]:
            continue
        about = (argument >= deviation.x[0]) & (argument <= deviation.x[1])
        about &= kind == KINDS.index(deviation.kind)
        outside = np.where(about, -1.0, outside)
    return outside


def _all_regular(expected: Float64, precision: Precision) -> bool:
    """Whether all are finite and at least as large as the smallest normal number."""
    low, high = float(expected.min()), float(expected.max())  # NaN if there is one
    normal = precision.smallest_normal
    return normal <= low <= high < math.inf or -math.inf < low <= high <= -normal


def _take(array: Array, members: Array | None) -> Array:
    return array if members is None else np.asarray(array[members])


def _merge(parts: list[_Part]) -> _Part:
    worst = max(parts, key=lambda part: part.error)
    outside = max(parts, key=lambda part: part.outside_error)
    histograms = [part.histogram for part in parts if part.histogram is not None]
    return _Part(
        count=sum(part.count for part in parts),
        worst=worst.worst,
        error=worst.error,
        broken=np.concatenate([part.broken for part in parts]),
        broken_error=np.concatenate([part.broken_error for part in parts]),
        broken_kind=np.concatenate([part.broken_kind for part in parts]),
        histogram=np.sum(histograms, axis=0) if histograms else None,
        outside=outside.outside,
        outside_error=outside.outside_error,
    )


def _detail(part: _Part, point: Callable[[int, float], Point]) -> Detail | None:
    if part.histogram is None:
        return None
    return Detail(
        histogram=tuple(int(count) for count in part.histogram),
        kinds=tuple(int(n) for n in np.bincount(part.broken_kind, minlength=len(KINDS))),
        outside=point(part.outside, part.outside_error) if part.outside_error >= 0 else None,
    )


def _points(part: _Part, chosen: Array, point: Callable[[int, float], Point]) -> tuple[Point, ...]:
    return tuple(point(part.broken[i], part.broken_error[i]) for i in chosen)


def _most(errors: Float64, where: Array, few: int) -> Array:
    """Indexes of the ``few`` largest errors, the first of equal ones, the largest first."""
    among = np.flatnonzero(where)
    if few and len(among) > few:
        # The errors may be as many as the inputs, and equal: no sort of all of them.
        found = errors[among]
        least = np.partition(found, len(found) - few)[len(found) - few]
        above = np.flatnonzero(found > least)
        equal = np.flatnonzero(found == least)[: few - len(above)]
        among = among[np.sort(np.concatenate([above, equal]))]
    return np.asarray(among[np.argsort(-errors[among], kind="stable")][:few])


def _groups(
    argument: Float64, expected: Float64, precision: Precision
) -> list[tuple[int, Array | None]]:
    """The groups (band * 3 + result) in a block with the indexes of their members.

    None stands for all of them: most blocks of a sorted sample are of one group.
    """
    band = common_band(argument, precision)
    if band is not None and _all_regular(expected, precision):
        return [(band * 3, None)]
    groups = classify(argument, precision) * np.uint8(3) + results_of(expected, precision)
    present = [int(group) for group in np.flatnonzero(np.bincount(groups))]
    if len(present) == 1:
        return [(present[0], None)]
    return [(group, np.flatnonzero(groups == group)) for group in present]


def _rank(point: Point) -> tuple[float, int]:
    return -point.error_ulp, point.index


def _distinct(indexes: Sequence[Array]) -> int:
    if len(indexes) < 2:
        return sum(map(len, indexes))
    ordered = np.sort(np.concatenate(indexes))
    return 1 + int(np.count_nonzero(ordered[1:] != ordered[:-1]))


def _argmax(values: Float64, where: Array) -> int:
    return int(np.argmax(np.where(where, values, -1.0)))


def _special(
    odd: Array,
    argument: Float64,
    expected: Float64,
    wide: Float64,
    error: Float64,
    kind: Array,
    precision: Precision,
    nan_at_minus_inf: bool,
) -> None:
    """Settle the elements with a NaN, an infinity or a differing sign, at indices ``odd``."""
    e, a = expected[odd], wide[odd]
    rounded = precision.widen(precision.round(e))  # a finite value may round to infinity
    both_nan = np.isnan(e) & np.isnan(a)
    if nan_at_minus_inf:
        both_nan |= np.isnan(a) & (argument[odd] == -np.inf)
    same_inf = np.isinf(rounded) & (a == rounded)
    settled = both_nan | same_inf
    error[odd[~settled & ~(np.isfinite(e) & np.isfinite(a))]] = np.inf
    error[odd[settled]] = 0.0
    kind[odd] = _kinds(e, a, error[odd])


def _kinds(expected: Float64, actual: Float64, error: Float64) -> Array:
    """Indexes into KINDS. ``error`` is settled: infinite where nothing finite is compared."""
    apart = np.isinf(error)
    nan = np.isnan(expected) | np.isnan(actual)
    kind = np.where(np.signbit(actual) != np.signbit(expected), _SIGN, 0)
    kind[apart] = _INF
    kind[nan] = np.where(apart[nan], _NAN, 0)
    return np.asarray(kind, dtype=np.uint8)


def _limit(limits: Limits, band: str, result: str) -> tuple[float | None, float]:
    if result == "special":
        return None, 0.0
    try:
        return limits.ulp[band, result], limits.floor.get(band, 0.0)
    except KeyError:
        raise InputError(f"{limits.source}: no limit for {result} results in {band!r}") from None


def _covers(deviation: Deviation, part: _Part, argument: Float64) -> Array:
    low, high = deviation.x
    covered = (
        (argument >= low) & (argument <= high) & (part.broken_kind == KINDS.index(deviation.kind))
    )
    if deviation.kind in ("ulp", "sign"):
        covered &= part.broken_error <= deviation.largest_error
    return np.asarray(covered)


def _point(
    index: int, error: float, x: Array, expected: Float64, actual: Array, precision: Precision
) -> Point:
    digits = precision.total_bits // 4
    x_one, actual_one = x[index : index + 1], actual[index : index + 1]
    return Point(
        index=int(index),
        x=float(precision.widen(x_one)[0]),
        x_bits=f"0x{int(precision.to_bits(x_one)[0]):0{digits}x}",
        expected=float(expected[index]),
        actual=float(precision.widen(actual_one)[0]),
        actual_bits=f"0x{int(precision.to_bits(actual_one)[0]):0{digits}x}",
        error_ulp=float(error),
    )


def too_many(deviation: Deviation, count: int, allowed: int, point: Point, samples: int) -> Breach:
    """The breach of a deviation that happens for ``count`` inputs where ``allowed`` may."""
    return Breach(
        output="",
        band="",
        result="",
        kind=deviation.kind,
        limit=None,
        floor=0.0,
        count=count,
        samples=samples,
        worst=point,
        lowest=deviation.x[0],
        highest=deviation.x[1],
        over_count=f"{deviation.key} accepts {allowed}",
    )
