"""What the host makes of a device's answer: the tally that the judge would have come to itself.

The device counts only what no choice within the oracles' uncertainty could change: elements of
tiles without any NaN, infinity, wrong sign or breach, by bucket of their error. All else is
settled here, by the host's own oracle and judge, on the outputs themselves:

- *dirty* tiles, and those that lie in several segments, as a whole;
- *doubtful* elements, whose bucket or whose limit is nearer than the uncertainty;
- the worst input of each band, among all tiles whose largest error is that near to the largest.

So a device and a host that return the same outputs have the same tally, bit for bit, and nothing
in it depends on the device's arithmetic: whether an element is within its limit, if that is a
matter of less than the oracles' uncertainty, is what the host's judge says, on a GPU as without.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from verify.blocks import cores
from verify.cases import Case
from verify.engines import EngineFailure
from verify.engines.poison import words
from verify.histogram import BUCKETS
from verify.judge import judge
from verify.oracle import expected
from verify.precision import Array, Precision
from verify.sweep import tally as tallies
from verify.sweep.checksum import LEAF, digest_of_leaves
from verify.sweep.segment import Segment, uncertainty
from verify.sweep.span import Span, unit_size
from verify.sweep.tally import Tally
from verify.tolerances import Limits

__all__ = ["BUCKET_ROW", "DOUBT", "DOUBTS", "SEGMENT", "Answer", "poison", "settle", "table"]

# comparison.cu's Segment and Doubt, its row of counts, and the doubts that a tile has at most.
SEGMENT = np.dtype(
    [
        ("first_tile", "<u4"),
        ("end_tile", "<u4"),
        ("kind", "<u4"),
        ("unused", "<u4"),
        ("limit", "<f8"),
        ("uncertainty", "<f8"),
    ]
)
DOUBT = np.dtype([("x", "<u4"), ("y", "<u4")])
BUCKET_ROW = 32
DOUBTS = 4

_AT_A_TIME = 1 << 12  # tiles that the host judges at a time: 4 million inputs
_OUTPUT = "y"


@dataclass(frozen=True)
class Answer:
    """What the kernel `compare` found in the units of ``span``.

    ``sums`` and ``errors`` have an element for each tile, ``counts`` a row for each segment;
    ``doubts`` is of dtype ``DOUBT``, in any order. ``fetch`` takes tiles, counted from the span's
    first and ascending, and returns their outputs' bits, a row for each.
    """

    span: Span
    sums: Array
    errors: Array
    counts: Array
    doubts: Array
    fetch: Callable[[Array], Array]

    @property
    def first_tile(self) -> int:
        """The span's first tile, counted over all bit patterns."""
        return self.span.first * (unit_size(self.span.precision) // LEAF)


def table(segments: Sequence[Segment], precision: Precision) -> Array:
    """The segments that have whole tiles, as the kernel reads them; one row for each segment."""
    rows = [
        (*segment.tiles, segment.kind, 0, segment.limit, uncertainty(precision, segment.kind))
        for segment in segments
    ]
    made = np.array(rows, dtype=SEGMENT)
    made["end_tile"] = np.maximum(made["first_tile"], made["end_tile"])
    return made


def settle(
    answer: Answer, case: Case, segments: Sequence[Segment], limits: Limits
) -> tuple[Tally, tuple[str, ...]]:
    """The tally of the span, and the digest of each of its units.

    Raises EngineFailure for elements that the plan did not write.
    """
    judged = list(_judged(answer, case, limits))
    clean = _clean(answer, case, segments, limits)
    return tallies.merge([*judged, clean]), _digests(answer)


def _judged(answer: Answer, case: Case, limits: Limits) -> Iterator[Tally]:
    """The tallies of what is left to the host: dirty and mixed tiles, and doubtful elements."""
    left = np.flatnonzero(answer.errors < 0)
    for start in range(0, len(left), _AT_A_TIME):
        yield _tally(*_elements(answer, left[start : start + _AT_A_TIME]), case, limits)
    if len(answer.doubts):
        doubts = np.sort(answer.doubts, order="x")
        yield _tally(doubts["x"], doubts["y"], case, limits)


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


def _clean(answer: Answer, case: Case, segments: Sequence[Segment], limits: Limits) -> Tally:
    """The tally of what the device counted, with the worst inputs as the host sees them."""
    tiles = _candidates(answer, segments)
    if not len(tiles):
        return tallies.empty()
    seen = [
        _tally(*_elements(answer, tiles[start : start + _AT_A_TIME]), case, limits)
        for start in range(0, len(tiles), _AT_A_TIME)
    ]
    worst = {(band.band, band.result): band for band in tallies.merge(seen).bands}
    counts: dict[tuple[str, str], Array] = {}
    for segment, row in zip(segments, answer.counts, strict=True):
        key = (segment.band, segment.result)
        counts[key] = counts.get(key, 0) + row[:BUCKETS].astype(np.int64)
    bands = []
    for key, row in counts.items():
        if row.any():
            counted = {"samples": int(row.sum()), "histogram": tuple(row.tolist())}
            none = {"nan": 0, "inf": 0, "sign": 0, "breaches": 0}
            bands.append(worst[key].model_copy(update={**counted, **none}))
    inputs = sum(band.samples for band in bands)
    return Tally(inputs=inputs, bands=tuple(bands), breaches=(), deviations=())


def _candidates(answer: Answer, segments: Sequence[Segment]) -> Array:
    """The clean tiles that may hold the worst input of a segment, ascending.

    Where the device's oracle is the host's to the last bit, the first of the largest errors is it.
    """
    found = []
    for segment in segments:
        first, end = (
            min(max(tile - answer.first_tile, 0), len(answer.errors)) for tile in segment.tiles
        )
        if first >= end:
            continue
        errors = answer.errors[first:end]
        at = int(np.argmax(errors))
        if errors[at] < 0:
            continue
        slack = 2 * uncertainty(answer.span.precision, segment.kind)
        if slack:
            found.append(first + np.flatnonzero(errors >= max(errors[at] - slack, 0.0)))
        else:
            found.append(np.array([first + at]))
    return np.concatenate(found) if found else np.empty(0, dtype=np.int64)


def _digests(answer: Answer) -> tuple[str, ...]:
    per_unit = unit_size(answer.span.precision) // LEAF

    def some(units: range) -> list[str]:
        parts = (answer.sums[unit * per_unit : (unit + 1) * per_unit] for unit in units)
        return [digest_of_leaves({_OUTPUT: part}) for part in parts]

    count, jobs = answer.span.units, cores()
    shares = [range(job * count // jobs, (job + 1) * count // jobs) for job in range(jobs)]
    with ThreadPoolExecutor(jobs) as pool:  # hashing leaves the interpreter to others
        return tuple(digest for found in pool.map(some, shares) for digest in found)


def poison(precision: Precision) -> int:
    """The bits that an output holds before a plan writes it."""
    return int(words(4, precision).view(precision.bits_dtype)[0])
