"""Findings say everything in decimal and bits."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from verify.cases import parse
from verify.findings import LIMITS_CHECK, Finding, from_judgement, number
from verify.judge import Breach, Judgement, Point

POINT = Point(7, 1.5, "0x3fc00000", 1.25, math.nan, "0x7fc00000", math.inf)
BREACH = Breach("y", "bulk", "regular", "nan", 2.5, 0.0, 3, 40, POINT, 1.0, 2.0)
CASE = parse("op-alone-fp32-reference")


def finding(breach: Breach) -> Finding:
    (found,) = from_judgement(CASE, Judgement(40, (), (breach,), (), ()))
    return found


def test_the_lines_hold_every_fact_in_decimal_and_bits() -> None:
    assert finding(BREACH).lines() == [
        "op-alone-fp32-reference: limits: y: NaN where a number is due, or a number where NaN is "
        "(regular results, x from 1 to 2)",
        "  x         1.5  0x3fc00000 in bulk",
        "  expected  1.25",
        "  actual    nan  0x7fc00000",
        "  error     inf ULP, limit 2.5 ULP",
        "  inputs    3 of 40",
    ]


def test_without_a_limit_a_band_or_a_point_nothing_is_made_up() -> None:
    found = finding(replace(BREACH, limit=None, band=""))
    assert "limit" not in found.lines()[4]
    assert found.lines()[1] == "  x         1.5  0x3fc00000"
    assert replace(found, point=None).lines()[1:] == ["  inputs    3 of 40"]


def test_each_breach_becomes_a_finding_of_its_kind() -> None:
    kinds = ("nan", "inf", "sign", "ulp")
    breaches = tuple(replace(BREACH, kind=kind) for kind in kinds)
    found = from_judgement(CASE, Judgement(40, (), breaches, (), ()))
    assert [f.kind for f in found] == list(kinds)
    assert len({f.message for f in found}) == 4
    for one in found:
        assert (one.case, one.check, one.output, one.band) == (CASE, LIMITS_CHECK, "y", "bulk")
        assert (one.point, one.limit, one.count, one.samples) == (POINT, 2.5, 3, 40)
        assert one.replay is None


def test_a_count_that_is_exceeded_says_by_what() -> None:
    found = finding(replace(BREACH, over_count="deviation 2 accepts 1"))
    assert found.message == "3 inputs deviate, deviation 2 accepts 1 (x from 1 to 2)"


def test_numbers_of_fp32_are_told_apart() -> None:
    bits = np.random.default_rng(0).integers(1, 0x7F7FFFFF, 2000, dtype=np.uint32)
    for low, high in zip(bits, bits + np.uint32(1), strict=True):
        pair = [float(b.view(np.float32)) for b in (low, high)]
        assert number(pair[0]) != number(pair[1])
        assert np.float32(number(pair[0])) == pair[0]


@pytest.mark.parametrize(
    ("value", "text"),
    [(math.nan, "nan"), (math.inf, "inf"), (-math.inf, "-inf"), (-0.0, "-0"), (2.5, "2.5")],
)
def test_special_numbers_have_their_names(value: float, text: str) -> None:
    assert number(value) == text
