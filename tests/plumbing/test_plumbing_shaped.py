"""Which lengths are tried: the places where a launch can lose its last elements."""

from __future__ import annotations

import pytest

from verify.plumbing.bench import LONGEST
from verify.plumbing.shaped import _lengths


@pytest.mark.parametrize("static", [False, True])
def test_every_power_of_two_is_approached_from_both_sides(static: bool) -> None:
    counts = _lengths(static=static)
    assert counts == sorted(set(counts))
    near = {2**k + d for k in range(21) for d in (-1, 0, 1)} - {0}
    assert near | {2**24 - 1, 2**24, 2**24 + 1} <= set(counts)
    assert counts[-1] == LONGEST


def test_a_static_plugin_is_spared_most_plans() -> None:
    assert len(_lengths(static=True)) < 80 < 150 < len(_lengths(static=False))
