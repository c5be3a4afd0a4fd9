"""What a sweep has found so far: exactly mergeable, in whatever pieces it was found."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from verify.bands import BANDS
from verify.histogram import BUCKETS
from verify.judge import KINDS, Accepted, BandResult, Breach, Judgement, Point
from verify.record import Number, Schema, WorstRecord
from verify.tolerances import RESULTS

__all__ = [
    "FEW",
    "BandTally",
    "BreachTally",
    "DeviationTally",
    "Tally",
    "empty",
    "merge",
    "of",
]

FEW = 4  # inputs kept of a breach: this many first and this many worst ones


class BandTally(Schema):
    """A band of one output, for one kind of result (regular, subnormal, special).

    ``limit`` in ULP, null where the result must be exact. ``worst``: the largest error;
    ``outside``: the largest at an x that no deviation is about, null if there is none.
    ``histogram``: errors by `verify.histogram`'s buckets. ``breaches``: elements beyond the
    limit, accepted ones included; ``nan``, ``inf`` and ``sign`` of them are wrong like that.
    Of equal errors, the lowest bit pattern counts.
    """

    output: str
    band: str
    result: str
    samples: int
    limit: Number | None
    worst: WorstRecord
    outside: WorstRecord | None
    histogram: tuple[int, ...]
    nan: int
    inf: int
    sign: int
    breaches: int


class BreachTally(Schema):
    """Elements of one band beyond a limit in one way that no deviation accepts, all counted.

    ``first``: the lowest bit patterns; ``worst``: the largest errors, the largest first.
    """

    output: str
    band: str
    result: str
    kind: str
    limit: Number | None
    floor: Number
    count: int
    lowest: Number
    highest: Number
    first: tuple[WorstRecord, ...]
    worst: tuple[WorstRecord, ...]


class DeviationTally(Schema):
    """A deviation at work: its x-range, how many inputs it accepted, and the worst of them."""

    deviation: str
    kind: str
    x: tuple[Number, Number]
    reason: str
    count: int
    worst: WorstRecord


class Tally(Schema):
    """Everything that was found among ``inputs`` inputs."""

    inputs: int
    bands: tuple[BandTally, ...]
    breaches: tuple[BreachTally, ...]
    deviations: tuple[DeviationTally, ...]


def empty() -> Tally:
    """The tally of no inputs."""
    return Tally(inputs=0, bands=(), breaches=(), deviations=())


def of(judgement: Judgement) -> Tally:
    """The tally of one piece, judged with ``few=FEW`` and its inputs in the bit patterns' order."""
    return Tally(
        inputs=judgement.samples,
        bands=tuple(_band(band) for band in judgement.bands),
        breaches=tuple(_breach(breach) for breach in judgement.breaches),
        deviations=tuple(_deviation(accepted) for accepted in judgement.accepted),
    )


def merge(tallies: Iterable[Tally]) -> Tally:
    """Add tallies of different inputs up, in any order and grouping."""
    pieces = list(tallies)
    outputs = list(dict.fromkeys(band.output for piece in pieces for band in piece.bands))

    def place(band: BandTally | BreachTally) -> tuple[int, ...]:
        return outputs.index(band.output), BANDS.index(band.band), RESULTS.index(band.result)

    bands = _by_key(
        (band for piece in pieces for band in piece.bands),
        lambda band: (band.output, band.band, band.result),
        _merge_bands,
    )
    breaches = _by_key(
        (breach for piece in pieces for breach in piece.breaches),
        lambda breach: (breach.output, breach.band, breach.result, breach.kind),
        _merge_breaches,
    )
    deviations = _by_key(
        (deviation for piece in pieces for deviation in piece.deviations),
        lambda deviation: deviation.deviation,
        _merge_deviations,
    )
    return Tally(
        inputs=sum(piece.inputs for piece in pieces),
        bands=tuple(sorted(bands, key=place)),
        breaches=tuple(sorted(breaches, key=lambda b: (*place(b), KINDS.index(b.kind)))),
        deviations=tuple(sorted(deviations, key=lambda d: (len(d.deviation), d.deviation))),
    )


def _band(band: BandResult) -> BandTally:
    detail = band.detail
    assert detail is not None, "judged without few="
    counts = dict(zip(KINDS, detail.kinds, strict=True))
    return BandTally(
        output=band.output,
        band=band.band,
        result=band.result,
        samples=band.samples,
        limit=band.limit,
        worst=WorstRecord.of(band.worst),
        outside=None if detail.outside is None else WorstRecord.of(detail.outside),
        histogram=detail.histogram,
        nan=counts["nan"],
        inf=counts["inf"],
        sign=counts["sign"],
        breaches=band.breaches,
    )


def _breach(breach: Breach) -> BreachTally:
    return BreachTally(
        output=breach.output,
        band=breach.band,
        result=breach.result,
        kind=breach.kind,
        limit=breach.limit,
        floor=breach.floor,
        count=breach.count,
        lowest=breach.lowest,
        highest=breach.highest,
        first=_points(breach.first),
        worst=_points(breach.most),
    )


def _deviation(accepted: Accepted) -> DeviationTally:
    return DeviationTally(
        deviation=accepted.deviation.key,
        kind=accepted.deviation.kind,
        x=accepted.deviation.x,
        reason=accepted.deviation.reason,
        count=accepted.count,
        worst=WorstRecord.of(accepted.worst),
    )


def _points(points: Sequence[Point]) -> tuple[WorstRecord, ...]:
    return tuple(WorstRecord.of(point) for point in points)


_T = TypeVar("_T")


def _by_key(
    pieces: Iterable[_T], key: Callable[[_T], object], add: Callable[[Sequence[_T]], _T]
) -> list[_T]:
    groups: dict[object, list[_T]] = {}
    for piece in pieces:
        groups.setdefault(key(piece), []).append(piece)
    return [group[0] if len(group) == 1 else add(group) for group in groups.values()]


def _bits(point: WorstRecord) -> int:
    return int(point.x_bits, 16)


def _rank(point: WorstRecord) -> tuple[float, int]:
    return -point.error_ulp, _bits(point)


def _merge_bands(bands: Sequence[BandTally]) -> BandTally:
    outside = [band.outside for band in bands if band.outside is not None]
    histogram = [0] * BUCKETS
    for band in bands:
        histogram = [a + b for a, b in zip(histogram, band.histogram, strict=True)]
    return bands[0].model_copy(
        update={
            "samples": sum(band.samples for band in bands),
            "worst": min((band.worst for band in bands), key=_rank),
            "outside": min(outside, key=_rank, default=None),
            "histogram": tuple(histogram),
            "nan": sum(band.nan for band in bands),
            "inf": sum(band.inf for band in bands),
            "sign": sum(band.sign for band in bands),
            "breaches": sum(band.breaches for band in bands),
        }
    )


def _merge_breaches(breaches: Sequence[BreachTally]) -> BreachTally:
    first = sorted((point for breach in breaches for point in breach.first), key=_bits)
    worst = sorted((point for breach in breaches for point in breach.worst), key=_rank)
    ends = [end for breach in breaches for end in (breach.lowest, breach.highest)]
    unordered = any(math.isnan(end) for end in ends)
    return breaches[0].model_copy(
        update={
            "count": sum(breach.count for breach in breaches),
            "lowest": math.nan if unordered else min(ends),
            "highest": math.nan if unordered else max(ends),
            "first": tuple(first[:FEW]),
            "worst": tuple(worst[:FEW]),
        }
    )


def _merge_deviations(deviations: Sequence[DeviationTally]) -> DeviationTally:
    return deviations[0].model_copy(
        update={
            "count": sum(deviation.count for deviation in deviations),
            "worst": min((deviation.worst for deviation in deviations), key=_rank),
        }
    )
