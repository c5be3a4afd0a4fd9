from __future__ import annotations

import itertools

import numpy as np
import pytest

from verify.errors import InputError
from verify.histogram import BUCKETS, EDGES, label
from verify.histogram import tally as histogram
from verify.precision import BF16, FP16, FP32, PRECISIONS, Precision
from verify.sweep.checksum import checksum, unit_digest
from verify.sweep.span import Span, inputs, shard, whole


@pytest.mark.parametrize("precision", PRECISIONS, ids=lambda p: p.name)
@pytest.mark.parametrize("count", [1, 2, 3, 7, 64])
def test_shards_divide_all_inputs_without_gap_or_overlap(precision: Precision, count: int) -> None:
    spans = [shard(f"{i}/{count}", precision) for i in range(1, count + 1)]
    assert spans[0].first == 0
    assert spans[-1].end == whole(precision).units
    for before, after in itertools.pairwise(spans):
        assert before.end == after.first
    assert sum(span.inputs for span in spans) == 1 << precision.total_bits


@pytest.mark.parametrize(
    "text", ["0/3", "4/3", "1/0", "1/65", "3", "a/b", "-1/3", "1/3/5", "1.0/3", "", "1/9999999"]
)
def test_a_shard_outside_of_the_range_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="--shard"):
        shard(text, FP16)


def test_the_units_are_all_bit_patterns_in_order() -> None:
    span = whole(BF16)
    values = np.concatenate([inputs(span, unit) for unit in range(span.units)])
    assert (BF16.to_bits(values) == np.arange(1 << 16)).all()
    last = inputs(whole(FP32), 1023)
    assert FP32.to_bits(last)[[0, -1]].tolist() == [0xFFC00000, 0xFFFFFFFF]
    assert Span(FP32, 3, 5).inputs == 1 << 23


def test_a_histogram_puts_every_error_in_its_bucket() -> None:
    rng = np.random.default_rng(0)
    errors = np.concatenate(
        [2.0 ** rng.uniform(-60, 60, 5000), EDGES, np.nextafter(EDGES, np.inf), [0.0, 5e-324]]
    )
    errors = np.concatenate([errors, [np.inf, np.finfo(np.float64).max]])
    counts = histogram(errors)
    slow = np.bincount(np.searchsorted(EDGES, errors, side="left"), minlength=BUCKETS)
    assert counts.tolist() == slow.tolist()
    assert label(EDGES.index(0.5)) == "<= 0.5"
    assert label(BUCKETS - 1) == "> 33554432"


@pytest.mark.parametrize("precision", PRECISIONS, ids=lambda p: p.name)
def test_one_bit_of_one_output_changes_the_digest(precision: Precision) -> None:
    rng = np.random.default_rng(1)
    y = precision.round(rng.normal(size=5000))
    digests = {unit_digest({"y": y}, precision)}
    places = [(0, 0), (17, 3), (1023, 9), (1024, 9), (4999, precision.total_bits - 1)]
    for place, bit in places:
        bits = precision.to_bits(y).copy()
        bits[place] ^= 1 << bit
        digests.add(unit_digest({"y": precision.from_bits(bits)}, precision))
    assert len(digests) == 1 + len(places)
    swapped = y.copy()
    swapped[[3, 5]] = swapped[[5, 3]]
    assert unit_digest({"y": swapped}, precision) not in digests
    assert unit_digest({"z": y}, precision) not in digests
    assert unit_digest({"y": y.copy()}, precision) in digests


@pytest.mark.parametrize("precision", PRECISIONS, ids=lambda p: p.name)
def test_all_nans_count_as_the_same(precision: Precision) -> None:
    with np.errstate(invalid="ignore"):
        infinity = int(precision.to_bits(precision.round(np.array([np.inf])))[0])
    sign = 1 << (precision.total_bits - 1)
    told = {
        unit_digest({"y": precision.from_bits(np.array([bits, 0, infinity]))}, precision)
        for bits in (infinity + 1, infinity + 5, infinity | sign | 1, 2 * sign - 1)
    }
    assert len(told) == 1
    inf = precision.from_bits(np.array([infinity, 0, infinity]))
    assert unit_digest({"y": inf}, precision) not in told


def test_the_checksum_is_of_the_order_too() -> None:
    assert checksum(["a", "b"]) != checksum(["b", "a"])
    assert checksum(["a", "b"]) == checksum(iter(["a", "b"]))
    assert len(checksum([])) == 32
