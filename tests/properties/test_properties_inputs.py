"""What is drawn, and how it is shrunk."""

from __future__ import annotations

import numpy as np
import pytest

from verify.bands import BANDS, classify
from verify.breakpoints import breakpoints
from verify.errors import InputError
from verify.precision import FP32, PRECISIONS, Array, Precision
from verify.properties import PROPERTIES, by_name
from verify.properties.base import Fault
from verify.properties.shape import SHAPES
from verify.properties.shrink import RUNS, shrink
from verify.properties.strategies import KINDS, RANKS, Draft, edges, expand, row

ALL = tuple(BANDS)


@pytest.mark.parametrize("precision", PRECISIONS, ids=lambda p: p.name)
@pytest.mark.parametrize("kind", KINDS)
def test_arrays_have_the_length_and_the_bands_asked_for(kind: str, precision: Precision) -> None:
    for names in (*((name,) for name in ALL), ("well", "origin"), ALL):
        allowed = [BANDS.index(name) for name in names]
        for length in (0, 1, 63, 4097):
            for seed in range(4):
                x = expand(Draft(kind, 1, length, seed), precision, names)
                assert (x.shape, x.dtype) == ((length,), precision.dtype)
                band = classify(precision.widen(x), precision)
                assert np.isin(band, allowed).all(), (names, seed)


@pytest.mark.parametrize("precision", PRECISIONS, ids=lambda p: p.name)
def test_mixed_arrays_reach_every_band_and_special_value(precision: Precision) -> None:
    wide = precision.widen(expand(Draft("mixed", 1, 300, 0), precision, ALL))
    assert set(classify(wide, precision)) == set(range(len(BANDS)))
    for value in (np.inf, -np.inf, precision.max_finite, -precision.max_finite):
        assert (wide == value).any()
    for sign in (True, False):
        assert ((wide == 0) & (np.signbit(wide) == sign)).any()
        assert (np.isnan(wide) & (np.signbit(wide) == sign)).any()


def test_edges_hold_every_breakpoint_with_its_neighbours() -> None:
    x = edges(FP32, ALL)
    assert len(np.unique(FP32.to_bits(x))) == len(x)
    for point in breakpoints(FP32):
        at = np.float32(point.x)
        for value in (at, np.nextafter(at, np.float32(np.inf)), np.nextafter(at, -np.float32(1e9))):
            assert (x == value).any(), point


def test_shapes_always_tries_every_rank_and_no_elements() -> None:
    assert {draft.rank for draft in SHAPES} == set(RANKS)
    assert {draft.rank for draft in SHAPES if not draft.length} == set(RANKS) - {0}
    assert all(draft.length % row(draft.rank) == 0 for draft in SHAPES)
    assert {255, 256, 257} <= {draft.length for draft in SHAPES if draft.rank == 1}


def test_the_table_is_sound() -> None:
    names = [each.name for each in PROPERTIES]
    assert len(set(names)) == len(names)
    for each in PROPERTIES:
        assert by_name(each.name) is each
        assert each.statement.endswith(".")
        assert each.slack
        assert set(each.bands) <= set(BANDS)
    with pytest.raises(InputError, match="unknown property 'mash'; allowed: finite, minimum"):
        by_name("mash")


def fault(x: Array, *hint: int) -> Fault:
    return Fault("wrong", x, None, None, 1, len(x), np.array(hint, dtype=int))


@pytest.mark.parametrize("needed", [{17}, {0}, {999}, {3, 400}, {1, 2, 500, 998}])
@pytest.mark.parametrize("hint", [(), (17,), (3, 400)])
def test_shrinking_ends_with_the_fewest_elements_that_fail(
    needed: set[int], hint: tuple[int, ...]
) -> None:
    x = np.arange(1000, dtype=np.float32)
    tried = []

    def attempt(part: Array) -> Fault | None:
        tried.append(part)
        return fault(part) if needed <= set(part.astype(int).tolist()) else None

    small = shrink(x, fault(x, *hint), attempt)
    assert small.x.tolist() == sorted(needed)
    assert len(tried) <= RUNS
    assert all(len(part) for part in tried)


def test_shrinking_is_bounded_and_keeps_what_failed() -> None:
    x = np.arange(4096, dtype=np.float32)
    tried = []

    def attempt(part: Array) -> Fault | None:
        tried.append(part)
        return fault(part) if len(part) > 4000 else None

    small = shrink(x, fault(x), attempt)
    assert len(tried) <= RUNS
    assert len(small.x) > 4000


def test_what_never_fails_again_is_kept_as_it_was_found() -> None:
    x = np.arange(64, dtype=np.float32)
    assert shrink(x, fault(x, 3), lambda part: None).x is x
