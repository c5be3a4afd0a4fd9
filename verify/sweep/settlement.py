"""What the host makes of a device's answer: the tally that the judge would have come to itself.

The device counts only what no choice within the oracles' uncertainty could change: elements of
tiles without any NaN, infinity, wrong sign or breach, by bucket of their error, and of those how
many a deviation about ULP accepts; and tiles that are NaN as a whole where a deviation accepts
that. All else is settled here, by the host's own oracle and judge, on the outputs themselves:

- *mixed* tiles, which lie in several segments, and *dirty* ones, as a whole;
- *doubtful* elements: their bucket, their limit or what is accepted is nearer than the
  uncertainty; *crowded* tiles, as a whole, where there is no room left for those;
- the *worst* input of each band and deviation, among all whose error is that near to the largest.

So a device and a host that return the same outputs have the same tally, bit for bit, and nothing
in it depends on the device's arithmetic: whether an element is within its limit, if that is a
matter of less than the oracles' uncertainty, is what the host's judge says, on a GPU as without.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from verify.blocks import cores
from verify.cases import Case
from verify.engines import EngineFailure
from verify.histogram import BUCKETS
from verify.histogram import tally as histogram
from verify.judge import judge
from verify.oracle import expected, mish
from verify.precision import Array, Precision
from verify.sweep import tally as tallies
from verify.sweep.checksum import LEAF, digest_of_leaves
from verify.sweep.segment import Segment, uncertainty
from verify.sweep.source import poison
from verify.sweep.span import Span, unit_size
from verify.sweep.tally import Tally
from verify.tolerances import Limits
from verify.ulp import error_ulp

__all__ = [
    "BUCKET_ROW",
    "DOUBT",
    "DOUBTS",
    "REASONS",
    "SEGMENT",
    "WANTED",
    "Answer",
    "Settlement",
    "filled",
    "oracle_fault",
    "settle",
    "table",
]

# comparison.cu's Segment, Doubt and Wanted, its row of counts, and for how many doubts of a tile
# there is room, on average.
SEGMENT = np.dtype(
    [
        ("first_tile", "<u4"),
        ("end_tile", "<u4"),
        ("kind", "<u4"),
        ("nan_accepted", "<u4"),
        ("limit", "<f8"),
        ("accepted", "<f8"),
        ("uncertainty", "<f8"),
    ]
)
DOUBT = np.dtype([("x", "<u4"), ("y", "<u4")])
WANTED = np.dtype([("tile", "<u4"), ("segment", "<u4"), ("least", "<f8")])
BUCKET_ROW = 32
DOUBTS = 4
_WHY = {-1.0: "mixed", -2.0: "dirty", -3.0: "crowded"}  # instead of a tile's largest error
REASONS = (*_WHY.values(), "doubtful", "worst")

_HASHED = 64  # units that a thread digests at a time
_AT_A_TIME = 1 << 12  # tiles that the host judges at a time: 4 million inputs
_OUTPUT = "y"


@dataclass(frozen=True)
class Answer:
    """What the kernel `compare` found in the units of ``span``.

    ``sums`` and ``errors`` have an element for each tile, ``counts`` a row for each segment;
    ``doubts`` is of dtype ``DOUBT``, in any order. ``fetch`` takes tiles, counted from the span's
    first and ascending, and returns their outputs' bits, a row for each. ``pick`` takes an array
    of dtype ``WANTED`` and returns the elements that it asks for as ``DOUBT``, in any order.
    """

    span: Span
    sums: Array
    errors: Array
    counts: Array
    doubts: Array
    fetch: Callable[[Array], Array]
    pick: Callable[[Array], Array]

    @property
    def first_tile(self) -> int:
        """The span's first tile, counted over all bit patterns."""
        return self.span.first * (unit_size(self.span.precision) // LEAF)


@dataclass(frozen=True)
class Settlement:
    """The tally of a span, the digest of each of its units, and what the host did for it.

    ``settled``: of how many elements the host computed the error, by each of ``REASONS``.
    """

    tally: Tally
    digests: tuple[str, ...]
    settled: dict[str, int]


def filled(room: int, wanted: int, left: int) -> int:
    """How many doubts there are: the kernel's two counts, and how many there was room for."""
    return min(wanted, room) - left


def table(segments: Sequence[Segment], precision: Precision) -> Array:
    """The segments that have whole tiles, as the kernel reads them; one row for each segment."""
    rows = [
        (
            *segment.tiles,
            segment.kind,
            bool(segment.nan),
            segment.limit,
            segment.accepted,
            uncertainty(precision, segment.kind),
        )
        for segment in segments
    ]
    made = np.array(rows, dtype=SEGMENT)
    made["end_tile"] = np.maximum(made["first_tile"], made["end_tile"])
    return made


def settle(answer: Answer, case: Case, segments: Sequence[Segment], limits: Limits) -> Settlement:
    """The host's part.

    Raises EngineFailure for elements that the plan did not write.
    """
    per_unit = unit_size(answer.span.precision) // LEAF
    hashed = [
        _hashers().submit(_digests, answer.sums[start : start + _HASHED * per_unit], per_unit)
        for start in range(0, len(answer.sums), _HASHED * per_unit)
    ]
    settled = dict.fromkeys(REASONS, 0)
    left = np.flatnonzero(answer.errors < 0)
    for value, why in _WHY.items():
        settled[why] = LEAF * int(np.count_nonzero(answer.errors[left] == value))
    found = [
        *_judged(answer, left, case, limits),
        *_counted(answer, case, segments, limits, settled),
    ]
    digests = tuple(digest for some in hashed for digest in some.result())
    return Settlement(tallies.merge(found), digests, settled)


@lru_cache(maxsize=1)
def _hashers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(cores(), thread_name_prefix="digests")


def _digests(sums: Array, per_unit: int) -> list[str]:
    units = (sums[start : start + per_unit] for start in range(0, len(sums), per_unit))
    return [digest_of_leaves({_OUTPUT: unit}) for unit in units]


def _judged(answer: Answer, left: Array, case: Case, limits: Limits) -> Iterator[Tally]:
    """The tallies of the tiles that are left to the host."""
    for start in range(0, len(left), _AT_A_TIME):
        yield _tally(*_elements(answer, left[start : start + _AT_A_TIME]), case, limits)


def _elements(answer: Answer, tiles: Array) -> tuple[Array, Array]:
    """The bits of the inputs and outputs of some tiles, flat, in order."""
    kind = answer.span.precision.bits_dtype
    first = (tiles.astype(np.int64) + answer.first_tile) * LEAF
    x = (first[:, None] + np.arange(LEAF)).astype(kind).reshape(-1)
    y = answer.fetch(tiles).astype(kind, copy=False).reshape(-1)
    pattern = poison(answer.span.precision)
    left = np.flatnonzero((y == pattern) & (x != pattern))
    if len(left):
        raise EngineFailure(
            f"{len(left)} or more elements of output {_OUTPUT} were not written, the first for the "
            f"input 0x{int(x[left[0]]):0{answer.span.precision.total_bits // 4}x}"
        )
    return x, y


def _tally(x: Array, y: Array, case: Case, limits: Limits) -> Tally:
    precision = case.precision
    x, y = (bits.astype(precision.bits_dtype, copy=False) for bits in (x, y))
    some = precision.from_bits(x)
    judgement = judge(
        expected(case.context, some, precision),
        {_OUTPUT: precision.from_bits(y)},
        some,
        precision,
        limits,
        whole_sample=False,
        few=tallies.FEW,
    )
    return tallies.of(judgement)


def _counted(
    answer: Answer,
    case: Case,
    segments: Sequence[Segment],
    limits: Limits,
    settled: dict[str, int],
) -> Iterator[Tally]:
    """The tallies of what the device counted, and of its doubtful elements.

    A doubtful element is counted as the host's error has it. The judge sees the worst ones, and
    what is beyond all that is accepted.
    """
    counts = answer.counts[:, : BUCKETS + 1].astype(np.int64)
    worst, beyond = [], []
    if len(answer.doubts):
        doubts = _Elements.of(answer.doubts, case.precision, segments)
        settled["doubtful"] = len(doubts.x)
        over = doubts.errors > np.array([one.accepted for one in segments])[doubts.segment]
        if over.any():
            beyond = [doubts.take(over)]
            doubts = doubts.take(~over)
        for number in doubts.segments():
            errors = doubts.errors[doubts.segment == number]
            counts[number, :BUCKETS] += histogram(errors)
            counts[number, BUCKETS] += np.count_nonzero(errors > segments[number].limit)
        worst.append(doubts.worst())
    wanted = _wanted(answer, segments)
    if len(wanted):
        picked = _Elements.of(answer.pick(wanted), case.precision, segments)
        settled["worst"] = len(picked.x)
        worst.append(picked.worst())
    for elements in beyond:
        yield _tally(*elements.ordered(), case, limits)
    if worst:
        yield _clean(answer, case, segments, limits, counts, _Elements.joined(worst).ordered())


@dataclass(frozen=True)
class _Elements:
    """Inputs and outputs as bits, flat, the segments they lie in, and the host's errors in ULP.

    The error of a NaN is -1: in one segment it is as wrong as any other.
    """

    x: Array
    y: Array
    segment: Array
    errors: Array

    @classmethod
    def of(cls, pairs: Array, precision: Precision, segments: Sequence[Segment]) -> _Elements:
        kind = precision.bits_dtype
        x, y = (np.ascontiguousarray(pairs[name]).astype(kind) for name in ("x", "y"))
        ends = np.array([segment.end for segment in segments])
        returned, given = (precision.widen(precision.from_bits(bits)) for bits in (y, x))
        with np.errstate(invalid="ignore"):
            errors = error_ulp(returned, mish(given), precision)
        errors[np.isnan(returned)] = -1.0
        return cls(x, y, np.searchsorted(ends, x, side="right"), errors)

    @staticmethod
    def joined(several: Sequence[_Elements]) -> _Elements:
        names = ("x", "y", "segment", "errors")
        return _Elements(*(np.concatenate([getattr(e, name) for e in several]) for name in names))

    def take(self, some: Array) -> _Elements:
        return _Elements(self.x[some], self.y[some], self.segment[some], self.errors[some])

    def segments(self) -> list[int]:
        """The numbers of the segments that they lie in."""
        return list(np.flatnonzero(np.bincount(self.segment)).tolist())

    def worst(self) -> _Elements:
        """Of each segment the largest error and a NaN, each at the lowest bit pattern."""
        chosen = []
        for number in self.segments():
            here = self.segment == number
            errors = np.where(here, self.errors, -2.0)
            for largest in {float(errors.max()), -1.0}:
                ties = np.flatnonzero(errors == largest)
                if len(ties):
                    chosen.append(int(ties[np.argmin(self.x[ties])]))
        return self.take(np.array(chosen, dtype=np.int64))

    def ordered(self) -> tuple[Array, Array]:
        """The bits of the inputs, ascending, and of their outputs."""
        order = np.argsort(self.x, kind="stable")
        return self.x[order], self.y[order]


def _clean(
    answer: Answer,
    case: Case,
    segments: Sequence[Segment],
    limits: Limits,
    counts: Array,
    worst: tuple[Array, Array],
) -> Tally:
    """The tally of what is counted, a row for each segment, with the worst as the judge has it."""
    seen = _tally(*worst, case, limits)
    found: dict[tuple[str, str], _Counted] = {}
    taken: dict[str, int] = {}
    for segment, row in zip(segments, counts, strict=True):
        errors = _errors_of(answer, segment)[1]
        nan = LEAF * int(np.count_nonzero(np.isinf(errors))) if segment.nan else 0
        accepted = int(row[BUCKETS])
        for key, some in ((segment.deviation, accepted), (segment.nan, nan)):
            taken[key] = taken.get(key, 0) + some
        counted = found.setdefault((segment.band, segment.result), _Counted())
        counted.histogram += row[:BUCKETS]
        counted.histogram[-1] += nan
        counted.nan += nan
        counted.breaches += accepted + nan
    bands = []
    for band in seen.bands:
        counted = found[band.band, band.result]
        samples = int(counted.histogram.sum())
        counts_of = {"samples": samples, "nan": counted.nan, "inf": 0, "sign": 0}
        tallied = tuple(counted.histogram.tolist())
        changed = {**counts_of, "breaches": counted.breaches, "histogram": tallied}
        bands.append(band.model_copy(update=changed))
    deviations = [
        deviation.model_copy(update={"count": taken[deviation.deviation]})
        for deviation in seen.deviations
        if taken.get(deviation.deviation)
    ]
    return Tally(
        inputs=sum(band.samples for band in bands),
        bands=tuple(bands),
        breaches=(),
        deviations=tuple(deviations),
    )


class _Counted:
    """What the device counted in a band for one kind of result."""

    def __init__(self) -> None:
        self.histogram = np.zeros(BUCKETS, dtype=np.int64)
        self.nan = self.breaches = 0


def _errors_of(answer: Answer, segment: Segment) -> tuple[int, Array]:
    """The first of a segment's tiles in the answer, and the errors of all of them."""
    first, end = (
        min(max(tile - answer.first_tile, 0), len(answer.errors)) for tile in segment.tiles
    )
    return first, answer.errors[first : max(first, end)]


def _wanted(answer: Answer, segments: Sequence[Segment]) -> Array:
    """Where the worst inputs of the segments may be: clean tiles, and the least error.

    Where the device's oracle is the host's to the last bit, the first of the largest errors is it.
    """
    found: list[tuple[int, int, float]] = []
    for number, segment in enumerate(segments):
        first, errors = _errors_of(answer, segment)
        if not len(errors):
            continue
        if segment.nan and len(nan := np.flatnonzero(np.isinf(errors))):
            found.append((first + int(nan[0]), number, np.inf))
            errors = np.where(np.isinf(errors), -1.0, errors)
        at = int(np.argmax(errors))
        largest = float(errors[at])
        if largest < 0:
            continue
        slack = 2 * uncertainty(answer.span.precision, segment.kind)
        least = max(largest - slack, 0.0)
        near = np.flatnonzero(errors >= least) if slack else [at]
        found += [(first + int(tile), number, least) for tile in near]
    return np.array(found, dtype=WANTED)


def oracle_fault(bits: Array, theirs: Array, precision: Precision) -> str:
    """What a device's oracle has wrong for some bit patterns, in one line; empty if nothing.

    ``theirs``: its Mish of them, float64. It may differ from the host's by what both together
    are off at most.
    """
    x = precision.widen(precision.from_bits(bits))
    some = np.flatnonzero((x < 20) & (x >= -700) & (x != 0))  # what it is asked for
    ours, theirs = mish(x)[some], theirs[some]
    ulps = np.abs(theirs - ours) / np.abs(ours) * 2.0**precision.significand_bits
    within = (ulps <= uncertainty(precision, 0) / 2) & (np.signbit(theirs) == np.signbit(ours))
    if within.all():
        return ""
    at = int(np.flatnonzero(~within)[0])
    return (
        f"the GPU's own float64 Mish of {float(x[some[at]])!r} is {float(theirs[at])!r}, and the "
        f"host's {float(ours[at])!r}"
    )
