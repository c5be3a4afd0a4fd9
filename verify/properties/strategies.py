"""What Hypothesis draws: small drafts, each of which expands to an array of inputs.

One example tests thousands of inputs: drawn float by float, most known bugs would be missed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from hypothesis import strategies as st

from models import INNER_DIMS
from verify.bands import BANDS, bands, classify, order, unorder
from verify.breakpoints import breakpoints
from verify.precision import BF16, FP32, Array, Precision
from verify.samples import neighbours

__all__ = [
    "EDGES",
    "RANKS",
    "Draft",
    "drafts",
    "edges",
    "expand",
    "inner",
    "row",
    "shape_drafts",
]

KINDS: tuple[str, ...] = ("mixed", "uniform", "exponent", "run", "bits")
RANKS: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6)

_NEIGHBOURS = 8  # on either side of a breakpoint
_DRAFT_BITS = 16  # some 90 seeds for each kind, rank and length
_WIDE = 200.0  # beyond it, nothing but the exponent of x matters: other kinds draw there


@dataclass(frozen=True)
class Draft:
    """What one array of inputs is made of.

    ``kind``: ``edges`` (all breakpoints and special values with their neighbours), ``mixed``
    (every band at once, special values among them), ``uniform`` (in x, in one band),
    ``exponent`` (random mantissas of one sign and exponent), ``run`` (consecutive numbers) or
    ``bits`` (uniform bit patterns). ``length`` counts elements, ``rank`` is that of the input
    where a property asks for one, ``seed`` decides the rest.
    """

    kind: str
    rank: int
    length: int
    seed: int


EDGES = Draft("edges", 1, 0, 0)


def _number(bits: int) -> st.SearchStrategy[int]:
    """All integers of so many bits."""
    # Booleans, because into every other type Hypothesis mixes constants that it finds in the
    # modules loaded so far: a seed would not reproduce, and it caches them in `.hypothesis`.
    drawn = st.lists(st.booleans(), min_size=bits, max_size=bits)
    return drawn.map(lambda digits: sum(digit << i for i, digit in enumerate(digits)))


def _draft(number: int) -> Draft:
    number, kind = divmod(number, len(KINDS))
    number, rank = divmod(number, len(RANKS))
    number, power = divmod(number, 7)
    number, off = divmod(number, 3)
    return Draft(KINDS[kind], RANKS[rank], (64 << power) + off - 1, number)


def _shape_draft(number: int) -> Draft:
    number, kind = divmod(number, len(KINDS))
    number, rank = divmod(number, len(RANKS))
    # Rows are longer in higher ranks; a scalar takes a run of its own for each element.
    number, power = divmod(number, {0: 3, 1: 13}.get(rank, 7))
    number, off = divmod(number, 3)
    return Draft(KINDS[kind], RANKS[rank], ((1 << power) + off - 1) * row(rank), number)


def inner(rank: int) -> tuple[int, ...]:
    """The fixed sizes behind the dynamic first axis of the models of a rank."""
    return INNER_DIMS[: max(0, rank - 1)]


def row(rank: int) -> int:
    """Elements in one row, which is all behind the first axis."""
    return int(np.prod(inner(rank)))


def drafts() -> st.SearchStrategy[Draft]:
    """Drafts of 63 to 4097 elements."""
    return _number(_DRAFT_BITS).map(_draft)


def shape_drafts() -> st.SearchStrategy[Draft]:
    """Drafts of 2**k - 1, 2**k and 2**k + 1 rows: at most 4097 elements in rank 1, else 65 rows."""
    return _number(_DRAFT_BITS).map(_shape_draft)


def expand(draft: Draft, precision: Precision, names: tuple[str, ...]) -> Array:
    """The flat array of a draft: numbers of ``precision`` from the bands called ``names``.

    It has ``draft.length`` elements; those of kind ``edges`` have as many as there are.
    """
    if draft.kind == "edges":
        return edges(precision, names)
    rng = np.random.default_rng([draft.seed, KINDS.index(draft.kind), draft.length])
    ranges = [_keys(precision, name) for name in names]
    low, high = ranges[rng.integers(len(ranges))]
    count = draft.length
    if draft.kind == "mixed":
        starts, ends = np.array(ranges).T[:, rng.integers(len(ranges), size=count)]
        keys = rng.integers(starts, ends)
    elif draft.kind == "uniform" and high <= _key(precision, np.inf):
        bounds = precision.widen(precision.from_bits(unorder(np.array([low, high - 1]), precision)))
        bottom, top = np.clip(bounds, -_WIDE, _WIDE)
        x = rng.uniform(bottom, top, size=count)
        keys = order(precision.to_bits(precision.round(x)), precision)
        keys = np.clip(keys, low, high - 1)
    elif draft.kind == "exponent":
        binade = np.int64(1) << (precision.significand_bits - 1)
        start = rng.integers(low, high) // binade * binade
        keys = rng.integers(max(start, low), min(start + binade, high), size=count)
    elif draft.kind == "run":
        start = rng.integers(low, max(low + 1, high - count))
        keys = np.minimum(np.arange(start, start + count), high - 1)
    else:
        sizes = np.array([end - start for start, end in ranges])
        which = rng.choice(len(ranges), p=sizes / sizes.sum(), size=count)
        starts, ends = np.array(ranges).T[:, which]
        keys = rng.integers(starts, ends)
    x = precision.from_bits(unorder(keys, precision))
    special = _special(precision, names)
    if len(special) and draft.kind in ("mixed", "uniform") and count >= 8 * len(special):
        x[rng.permutation(count)[: len(special)]] = special
    return x


@cache
def edges(precision: Precision, names: tuple[str, ...]) -> Array:
    """Breakpoints, band edges, the ends of the range and special values with their neighbours.

    Only what lies in the bands called ``names``; ascending, each bit pattern once. Read-only.
    """
    # NumPy has no bf16 arithmetic to find breakpoints in; fp32's are where bf16's kernels break.
    points = [point.x for point in breakpoints(FP32 if precision is BF16 else precision)]
    points += [band.low for band in bands(precision)]
    points += [0.0, precision.smallest_normal, -precision.smallest_normal]
    points += [precision.max_finite / 2, precision.max_finite, -precision.max_finite]
    found = [neighbours(x, precision, _NEIGHBOURS) for x in points]
    found.append(precision.to_bits(_special(precision, BANDS)).astype(np.int64))
    keys = order(np.concatenate(found), precision)
    # The first and last NaNs, quiet and signalling; order's key of -NaN is -1 - that of NaN.
    low, high = _keys(precision, "nonfinite")
    quiet = low + (1 << (precision.significand_bits - 2))
    nans = np.concatenate(
        [np.arange(n, n + _NEIGHBOURS) for n in (low + 1, quiet, high - _NEIGHBOURS)]
    )
    keys = np.unique(np.concatenate([keys, nans, -1 - nans]))
    x = precision.from_bits(unorder(keys, precision))
    inside = np.isin(classify(precision.widen(x), precision), [BANDS.index(n) for n in names])
    x = x[inside]
    x.setflags(write=False)
    return x


def _special(precision: Precision, names: tuple[str, ...]) -> Array:
    values = [0.0, -0.0] if "origin" in names else []
    if "nonfinite" in names:
        values += [np.nan, -np.nan, np.inf, -np.inf]
    if "identity" in names:
        values.append(precision.max_finite)
    if "flush tail" in names:
        values.append(-precision.max_finite)
    return precision.round(np.array(values))


@cache
def _keys(precision: Precision, name: str) -> tuple[int, int]:
    """The keys [low, high) of a band's numbers, as ``verify.bands.order`` makes them."""
    if name == "nonfinite":  # NaNs with a clear sign bit, the first of which follows +inf
        return _key(precision, np.inf), 1 << (precision.total_bits - 1)
    band = bands(precision)[BANDS.index(name)]
    low = _key(precision, band.low) + int(np.isneginf(band.low))
    return low, _key(precision, band.high)


def _key(precision: Precision, x: float) -> int:
    return int(order(precision.to_bits(precision.round(np.array([x]))), precision)[0])
