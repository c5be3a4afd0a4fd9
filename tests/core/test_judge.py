"""The judge sees every kind of wrong element, and counts exactly."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from verify.bands import BANDS, NONFINITE, bands
from verify.errors import InputError
from verify.judge import Judgement, VacuousError, judge, kind_of, results_of
from verify.oracle import View, expected
from verify.precision import BF16, FP16, FP32, PRECISIONS, Array, Precision
from verify.samples import Sample
from verify.tolerances import RESULTS, Deviation, Limits

ALL = pytest.mark.parametrize("precision", PRECISIONS, ids=lambda p: p.name)
Spacing = Callable[[float, Precision], float]

STRICT = {(band, result): 0.5 for band in BANDS[:-1] for result in RESULTS[:-1]}


def limits(
    ulp: float = 0.5,
    *,
    floor: dict[str, float] | None = None,
    nan_at_minus_inf: bool = False,
    deviations: Sequence[Deviation] = (),
) -> Limits:
    """One limit everywhere."""
    return Limits(
        "test.toml", dict.fromkeys(STRICT, ulp), floor or {}, {}, nan_at_minus_inf, (*deviations,)
    )


def deviation(
    kind: Any = "ulp",
    x: tuple[float, float] = (-math.inf, math.inf),
    *,
    error: float = math.inf,
    count: int = 1000,
    count_of_all: int = 1000,
    key: str = "deviation 1",
    optional: bool = False,
) -> Deviation:
    return Deviation(
        key, ("*",), x, kind, error, count, count_of_all, "a reason", optional=optional
    )


def numbers(values: Sequence[float], precision: Precision) -> Array:
    return precision.round(np.array(values, dtype=np.float64))


def right(views: Sequence[View], precision: Precision) -> dict[str, Array]:
    """The correctly rounded outputs, channels interleaved as a model has them."""
    outputs: dict[str, Array] = {}
    for name in dict.fromkeys(view.output for view in views):
        of = [precision.round(view.expected) for view in views if view.output == name]
        outputs[name] = of[0] if views[0].channel is None else np.stack(of, axis=1)
    return outputs


def judge_one(
    want: float, got: float, precision: Precision, limits: Limits, *, x: float = 1.0
) -> Judgement:
    """Judge ``got`` (a number of the precision) at the third of five elements, x there."""
    xs = numbers([-1.0, 0.5, x, 2.0, 0.0], precision)
    (view,) = expected("alone", xs, precision)
    view.expected[2] = want
    actual = precision.round(view.expected)
    actual[2] = numbers([got], precision)[0]
    return judge([view], {"y": actual}, xs, precision, limits)


# --- one wrong element ----------------------------------------------------------------------


@ALL
def test_an_error_at_the_limit_passes_and_just_above_it_does_not(precision: Precision) -> None:
    step = 2.0 ** (1 - precision.significand_bits)
    actual = 1 + 3 * step
    for want, limit, broken in (
        (1.0, 3.0, False),
        (1.0, math.nextafter(3.0, 0), True),
        (1 + 1.5 * step, 1.5, False),
        (math.nextafter(1 + 1.5 * step, 0), 1.5, True),
    ):
        found = judge_one(want, actual, precision, limits(limit))
        assert bool(found.breaches) == broken
        if broken:
            (breach,) = found.breaches
            assert (breach.kind, breach.count, breach.samples) == ("ulp", 1, 3)
            assert (breach.limit, breach.floor, breach.output) == (limit, 0.0, "y")
            assert (breach.band, breach.result) == ("bulk", "regular")
            assert breach.lowest == breach.highest == 1.0
            worst = breach.worst
            assert (worst.index, worst.x, worst.actual) == (2, 1.0, actual)
            assert worst.expected == want
            assert worst.error_ulp == abs(actual - want) / step
            assert (
                worst.x_bits
                == {"fp32": "0x3f800000", "fp16": "0x3c00", "bf16": "0x3f80"}[precision.name]
            )
            bits = int(precision.to_bits(numbers([actual], precision))[0])
            assert int(worst.actual_bits, 16) == bits
            assert len(worst.actual_bits) == 2 + precision.total_bits // 4


LARGEST, HUGE, TINY = "largest", "huge", "tiny"


def value(name: float | str, precision: Precision) -> float:
    """What a name in the table below stands for."""
    overflow = precision.max_finite * (1 + 2.0 ** -(precision.significand_bits + 2))
    named = {LARGEST: precision.max_finite, HUGE: 4 * precision.max_finite}
    named |= {"below overflow": overflow, TINY: precision.smallest_subnormal / 8}
    if isinstance(name, str) and name.startswith("-"):
        return -value(name[1:], precision)
    return named[name] if isinstance(name, str) else name


@pytest.mark.parametrize(
    ("want", "got", "kind"),
    [
        (1.0, math.nan, "nan"),
        (math.nan, 1.0, "nan"),
        (math.nan, math.inf, "nan"),
        (math.inf, math.nan, "nan"),
        (0.0, math.nan, "nan"),
        (-0.0, math.nan, "nan"),
        (1.0, math.inf, "inf"),
        (1.0, -math.inf, "inf"),
        (0.0, math.inf, "inf"),
        (math.inf, 1.0, "inf"),
        (math.inf, 0.0, "inf"),
        (math.inf, LARGEST, "inf"),
        (math.inf, -math.inf, "inf"),
        (LARGEST, math.inf, "inf"),
        ("below overflow", math.inf, "inf"),
        (HUGE, -math.inf, "inf"),
        (HUGE, LARGEST, "ulp"),
        (1.0, -1.0, "sign"),
        (-1.0, 1.0, "sign"),
        (0.0, -0.0, "sign"),
        (-0.0, 0.0, "sign"),
        ("-tiny", 0.0, "sign"),
        (TINY, -0.0, "sign"),
        (0.0, 1.0, "ulp"),
        (0.0, 2.0**-12, "ulp"),
        (1.0, 0.0, "ulp"),
        (1.0, 2.0, "ulp"),
    ],
)
@ALL
def test_one_wrong_element_is_found_and_named(
    want: float | str, got: float | str, kind: str, precision: Precision
) -> None:
    wide = limits(0.6)
    found = judge_one(value(want, precision), value(got, precision), precision, wide)
    (breach,) = found.breaches
    assert (breach.kind, breach.count, breach.worst.index) == (kind, 1, 2)
    assert sum(band.breaches for band in found.bands) == 1
    assert sum(band.samples for band in found.bands) == found.samples == 5
    assert not math.isnan(breach.worst.error_ulp)


@pytest.mark.parametrize(
    ("want", "got"),
    [
        (math.nan, math.nan),
        (math.nan, -math.nan),
        (math.inf, math.inf),
        (-math.inf, -math.inf),
        (HUGE, math.inf),
        ("-huge", -math.inf),
        ("below overflow", LARGEST),
        (0.0, 0.0),
        (-0.0, -0.0),
        ("-tiny", -0.0),
        (TINY, 0.0),
        (1.0, 1.0),
    ],
)
@ALL
def test_what_is_right_passes(want: float | str, got: float | str, precision: Precision) -> None:
    found = judge_one(value(want, precision), value(got, precision), precision, limits())
    assert found.breaches == ()
    assert all(math.isfinite(b.worst.error_ulp) for b in found.bands)


@ALL
def test_a_wrong_nan_breaks_even_a_boundless_limit(precision: Precision) -> None:
    for got in (math.nan, math.inf, -1.0):
        assert judge_one(1.0, got, precision, limits(1e300)).breaches


@ALL
def test_nan_at_minus_inf_is_accepted_only_where_it_is_allowed(precision: Precision) -> None:
    for got, x, allowed, broken in (
        (math.nan, -math.inf, True, False),
        (math.nan, -math.inf, False, True),
        (-0.0, -math.inf, True, False),
        (0.0, -math.inf, True, True),
        (-math.inf, -math.inf, True, True),
        (math.nan, math.inf, True, True),
        (math.nan, -100.0, True, True),
    ):
        found = judge_one(-0.0, got, precision, limits(nan_at_minus_inf=allowed), x=x)
        assert bool(found.breaches) == broken, (got, x, allowed)


@ALL
def test_the_sign_of_zero_is_owed_where_the_view_says_so(precision: Precision) -> None:
    x = numbers([0.0, -0.0, 1.0, -1.0], precision)
    views = expected("conv", x, precision)
    outputs = right(views, precision)
    flipped = outputs["y"].copy()
    flipped[:2] = -flipped[:2]
    assert judge(views, {"y": flipped}, x, precision, limits()).breaches == ()
    strict = [replace(view, zero_sign=True) for view in views]
    found = judge(strict, {"y": flipped}, x, precision, limits()).breaches
    assert [(b.kind, b.output, b.count) for b in found] == [
        ("sign", "y[:,0]", 2),
        ("sign", "y[:,1]", 2),
    ]
    flipped[2:] = -flipped[2:]
    found = judge(views, {"y": flipped}, x, precision, limits()).breaches
    assert sum(b.count for b in found) == 4


@ALL
def test_a_floor_excuses_small_absolute_errors_only(precision: Precision) -> None:
    step = 2.0 ** (1 - precision.significand_bits)
    got = 1 + 4 * step
    for floor, broken in ((4 * step, False), (math.nextafter(4 * step, 0), True)):
        found = judge_one(1.0, got, precision, limits(floor={"bulk": floor}))
        assert bool(found.breaches) == broken
        assert found.bands[-1].samples
    elsewhere = limits(floor=dict.fromkeys((b for b in BANDS if b != "bulk"), 1.0))
    assert judge_one(1.0, got, precision, elsewhere).breaches
    everywhere = limits(floor=dict.fromkeys(BANDS, 10.0))
    for want, wrong in ((1.0, math.nan), (1.0, -1.0), (0.0, 1.0), (1.0, math.inf)):
        assert judge_one(want, wrong, precision, everywhere).breaches


@ALL
def test_the_worst_error_is_kept_on_a_pass(precision: Precision) -> None:
    step = 2.0 ** (1 - precision.significand_bits)
    found = judge_one(1.0, 1 + 2 * step, precision, limits(2.0))
    assert found.breaches == ()
    bulk = next(band for band in found.bands if band.band == "bulk")
    assert (bulk.worst.index, bulk.worst.error_ulp, bulk.limit, bulk.samples) == (2, 2.0, 2.0, 3)
    assert found.worst == bulk


@ALL
def test_subnormal_results_have_their_own_limit(precision: Precision) -> None:
    small = precision.smallest_normal / 2
    own = limits()
    loose = replace(own, ulp={**own.ulp, ("bulk", "subnormal"): 3.0})
    got = small + 3 * precision.smallest_subnormal
    assert judge_one(small, got, precision, loose).breaches == ()
    (breach,) = judge_one(small, got, precision, own).breaches
    assert (breach.result, breach.worst.error_ulp) == ("subnormal", 3.0)
    normal = precision.smallest_normal
    (breach,) = judge_one(
        normal, normal + 3 * precision.smallest_subnormal, precision, loose
    ).breaches
    assert breach.result == "regular"


def test_a_limit_that_is_missing_is_an_input_error() -> None:
    partial = replace(limits(), ulp={("bulk", "regular"): 1.0})
    with pytest.raises(InputError, match=r"test\.toml: no limit for regular results in 'well'"):
        judge_one(1.0, 1.0, FP32, partial)


# --- deviations -----------------------------------------------------------------------------


def deviating(
    kinds: Sequence[str], precision: Precision, accepted: Sequence[Deviation], **options: Any
) -> Judgement:
    """Judge x = 1, 1.25, ... where each element is wrong as ``kinds`` says."""
    xs = numbers([1 + k / 4 for k in range(len(kinds))], precision)
    (view,) = expected("alone", xs, precision)
    view.expected[:] = 1.0
    wrong = {"nan": math.nan, "inf": math.inf, "sign": -1.0, "": 1.0}
    step = 2.0 ** (1 - precision.significand_bits)
    actual = numbers([wrong[k] if k in wrong else 1 + float(k) * step for k in kinds], precision)
    own = limits(deviations=accepted)
    return judge([view], {"y": actual}, xs, precision, own, **options)


@ALL
def test_a_deviation_accepts_what_it_names_and_nothing_else(precision: Precision) -> None:
    kinds = ["nan", "inf", "sign", "4", ""]
    for position, kind in enumerate(("nan", "inf", "sign", "ulp")):
        found = deviating(kinds, precision, [deviation(kind)])
        assert [b.kind for b in found.breaches] == sorted(
            {"nan", "inf", "sign", "ulp"} - {kind}, key=["ulp", "nan", "inf", "sign"].index
        )
        (accepted,) = found.accepted
        assert (accepted.count, accepted.worst.index) == (1, position)
        assert found.stale == ()
        assert sum(band.breaches for band in found.bands) == 4
    all_four = [deviation(k, key=k) for k in ("nan", "inf", "sign", "ulp")]
    found = deviating(kinds, precision, all_four)
    assert found.breaches == ()
    assert [(a.deviation.key, a.count) for a in found.accepted] == [
        ("nan", 1),
        ("inf", 1),
        ("sign", 1),
        ("ulp", 1),
    ]


@ALL
def test_a_deviation_ends_at_both_ends_of_its_range(precision: Precision) -> None:
    found = deviating(["nan"] * 5, precision, [deviation("nan", (1.25, 1.75))])
    assert found.accepted[0].count == 3
    (breach,) = found.breaches
    assert (breach.count, breach.lowest, breach.highest) == (2, 1.0, 2.0)


@ALL
def test_a_deviation_ends_at_its_largest_error(precision: Precision) -> None:
    found = deviating(["4", "5", "6", ""], precision, [deviation(error=5.0)])
    (accepted,) = found.accepted
    assert (accepted.count, accepted.worst.error_ulp, accepted.worst.index) == (2, 5.0, 1)
    (breach,) = found.breaches
    assert (breach.count, breach.worst.error_ulp, breach.worst.index) == (1, 6.0, 2)


@ALL
def test_a_deviation_ends_at_its_largest_count(precision: Precision) -> None:
    # What it accepts of all inputs is for a sweep to count.
    rule = deviation("nan", count=2, count_of_all=3)
    for wrong, broken in ((2, False), (3, True)):
        found = deviating(["nan"] * wrong + [""], precision, [rule])
        assert bool(found.breaches) == broken
        assert found.accepted[0].count == wrong
        if broken:
            (breach,) = found.breaches
            assert (breach.count, breach.kind, breach.samples) == (wrong, "nan", wrong + 1)
            assert breach.over_count == "deviation 1 accepts 2"
    part = deviating(["nan"] * 9, precision, [rule], whole_sample=False)
    assert part.breaches == ()


@ALL
def test_a_deviation_that_does_not_happen_is_stale_in_a_whole_sample(precision: Precision) -> None:
    rules = [deviation("nan", key="happens"), deviation("inf", key="does not")]
    found = deviating(["nan", ""], precision, rules)
    assert [d.key for d in found.stale] == ["does not"]
    assert found.breaches == ()
    assert deviating(["nan", ""], precision, rules, whole_sample=False).stale == ()
    # An error within its limit is no deviation.
    assert deviating(["", ""], precision, [deviation()]).stale == (deviation(),)
    assert deviating(["", ""], precision, [deviation(optional=True)]).stale == ()


@ALL
def test_the_first_deviation_that_accepts_takes_all_it_can(precision: Precision) -> None:
    rules = [deviation("nan", (1.0, 1.25), key="first"), deviation("nan", key="second")]
    found = deviating(["nan"] * 4, precision, rules)
    assert [(a.deviation.key, a.count) for a in found.accepted] == [("first", 2), ("second", 2)]


def test_a_deviation_counts_inputs_not_outputs() -> None:
    x = numbers([1.0, 2.0], FP32)
    views = expected("branch", x, FP32)
    rules = limits(deviations=[deviation("nan", count=2)])
    outputs = right(views, FP32)
    outputs["y"][0] = outputs["neg"][1] = outputs["abs"][1] = np.nan
    found = judge(views, outputs, x, FP32, rules)
    assert found.accepted[0].count == 2
    assert found.breaches == ()
    assert sum(band.breaches for band in found.bands) == 3


def test_a_deviation_is_held_to_what_mish_is_given() -> None:
    x = numbers([-4.0, 4.0], FP32)  # the second channel gives Mish 2 and -2
    views = expected("conv", x, FP32)
    outputs = right(views, FP32)
    outputs["y"][:, 1] = np.nan
    found = judge(views, outputs, x, FP32, limits(deviations=[deviation("nan", (1.5, 2.5))]))
    assert found.accepted[0].worst.x == -4.0
    (breach,) = found.breaches
    assert (breach.output, breach.count, breach.worst.x) == ("y[:,1]", 1, 4.0)


# --- nothing compared -----------------------------------------------------------------------


def test_nothing_compared_is_never_a_pass() -> None:
    x = numbers([1.0, 2.0, 3.0], FP16)
    views = expected("branch", x, FP16)
    good = right(views, FP16)
    assert judge(views, good, x, FP16, limits()).breaches == ()

    def refused(outputs: dict[str, Array], match: str, *, over: Any = views, xs: Any = x) -> None:
        with pytest.raises(VacuousError, match=match):
            judge(over, outputs, xs, FP16, limits())

    refused({}, r"expected outputs \['abs', 'neg', 'y'\], got \[\]")
    refused({k: v for k, v in good.items() if k != "neg"}, "expected outputs")
    refused({**good, "extra": good["y"]}, "expected outputs")
    refused({**good, "y": good["y"].astype(np.float32)}, "output y: expected float16, got float32")
    refused({**good, "y": FP16.to_bits(good["y"])}, "output y: expected float16, got uint16")
    refused({**good, "neg": good["neg"][:2]}, "output neg: expected 3 elements, got 2")
    refused({**good, "abs": np.tile(good["abs"], 2)}, "output abs: expected 3 elements, got 6")
    refused(good, "no inputs", over=())
    empty = numbers([], FP16)
    refused({k: v[:0] for k, v in good.items()}, "no inputs", xs=empty)


@pytest.mark.parametrize("shape", [(6,), (2, 3), (1, 6), (6, 1), (3, 1, 2), ()])
def test_channels_that_are_not_where_they_should_be_are_refused(shape: tuple[int, ...]) -> None:
    x = numbers([1.0, 2.0, 3.0], FP32)
    views = expected("conv", x, FP32)
    outputs = right(views, FP32)
    assert judge(views, {"y": outputs["y"].reshape(3, 2, 1, 1)}, x, FP32, limits()).breaches == ()
    wrong = outputs["y"].reshape(shape) if shape else np.array(1.0, dtype=np.float32)
    with pytest.raises(VacuousError, match="output y: expected"):
        judge(views, {"y": wrong}, x, FP32, limits())


# --- against a judge that takes one element after the other ---------------------------------


@dataclass
class Group:
    """What the slow judge says of one band and result of one output."""

    samples: int = 0
    worst: int = -1
    error: float = -1.0
    breaches: int = 0
    kinds: dict[str, list[tuple[int, float]]] = field(default_factory=dict)


def slow_judge(
    views: Sequence[View],
    outputs: dict[str, Array],
    precision: Precision,
    limits: Limits,
    ulp_of: Spacing,
) -> dict[tuple[str, str, str], Group]:
    groups: dict[tuple[str, str, str], Group] = {}
    for view in views:
        actual = precision.widen(view.select(outputs)).tolist()
        rounded = precision.widen(precision.round(view.expected)).tolist()
        triples = zip(view.argument.tolist(), view.expected.tolist(), actual, rounded, strict=True)
        for index, (x, want, got, near) in enumerate(triples):
            band = next(
                (b.name for b in bands(precision)[:NONFINITE] if b.low <= x < b.high)
                if math.isfinite(x)
                else iter(["nonfinite"])
            )
            size = abs(want)
            result = "regular" if size >= precision.smallest_normal else "subnormal"
            if size == 0 or not math.isfinite(want):
                result = "special"
            error, kind = 0.0, ""
            if math.isnan(got) and limits.nan_at_minus_inf and x == -math.inf:
                pass
            elif math.isnan(want) or math.isnan(got):
                if math.isnan(want) != math.isnan(got):
                    error, kind = math.inf, "nan"
            elif math.isinf(want) or math.isinf(got):
                if got != near:
                    error, kind = math.inf, "inf"
            else:
                error = abs(got - want) / ulp_of(want, precision)
                both_zero = got == want == 0 and not view.zero_sign
                limit = 0.0 if result == "special" else limits.ulp[band, result]
                floor = 0.0 if result == "special" else limits.floor.get(band, 0.0)
                if math.copysign(1, got) != math.copysign(1, want) and not both_zero:
                    kind = "sign"
                elif error > limit and (not floor or abs(got - want) > floor):
                    kind = "ulp"
            group = groups.setdefault((view.label, band, result), Group())
            group.samples += 1
            if error > group.error:
                group.worst, group.error = index, error
            if kind:
                group.breaches += 1
                group.kinds.setdefault(kind, []).append((index, error))
    return groups


CORRUPTIONS: tuple[Callable[[int, Precision], int], ...] = (
    lambda bits, p: bits ^ 1,
    lambda bits, p: bits ^ 2,
    lambda bits, p: bits ^ (1 << (p.total_bits - 1)),
    lambda bits, p: bits ^ (1 << (p.total_bits - 2)),
    lambda bits, p: 0,
    lambda bits, p: 1 << (p.total_bits - 1),
    lambda bits, p: (1 << (p.total_bits - 1)) - 1,  # NaN
    lambda bits, p: int(p.to_bits(p.round(np.array([math.inf])))[0]),
    lambda bits, p: int(p.to_bits(p.round(np.array([-math.inf])))[0]),
    lambda bits, p: int(p.to_bits(p.round(np.array([p.max_finite])))[0]),
)


def drawn_inputs(rng: np.random.Generator, count: int, precision: Precision) -> Array:
    """Unsorted inputs: uniform bits, uniform x, and specials."""
    bits = rng.integers(0, 1 << precision.total_bits, count)
    xs = precision.from_bits(bits)
    near = precision.round(rng.uniform(-120, 15, count))
    specials = precision.round(np.array([0.0, -0.0, math.inf, -math.inf, math.nan]))
    which = rng.integers(0, 8, count)
    xs = np.where(which < 5, near, xs)
    return np.asarray(np.where(which == 7, rng.choice(specials, count), xs))


@settings(max_examples=60, database=None, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32),
    count=st.integers(1, 120),
    precision=st.sampled_from(PRECISIONS),
    context=st.sampled_from(["alone", "chain", "residual", "branch", "conv"]),
    wrong=st.lists(
        st.tuples(st.integers(0, 10**6), st.integers(0, len(CORRUPTIONS) - 1)), max_size=40
    ),
    ulp=st.sampled_from([0.5, 0.0, 1.0, 100.0]),
    floor=st.sampled_from([0.0, 1e-3]),
    nan_at_minus_inf=st.booleans(),
    block=st.sampled_from([1, 7, 1 << 14]),
)
def test_it_agrees_with_a_judge_that_takes_one_element_after_the_other(
    ulp_of: Spacing,
    seed: int,
    count: int,
    precision: Precision,
    context: str,
    wrong: list[tuple[int, int]],
    ulp: float,
    floor: float,
    nan_at_minus_inf: bool,
    block: int,
) -> None:
    x = drawn_inputs(np.random.default_rng(seed), count, precision)
    views = expected(context, x, precision)
    outputs = right(views, precision)
    for place, how in wrong:
        name = list(outputs)[place % len(outputs)]
        bits = precision.to_bits(outputs[name]).reshape(-1).copy()
        at = place // 3 % len(bits)
        bits[at] = CORRUPTIONS[how](int(bits[at]), precision)
        outputs[name] = precision.from_bits(bits).reshape(outputs[name].shape)
    own = limits(ulp, floor={"well": floor, "bulk": floor}, nan_at_minus_inf=nan_at_minus_inf)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("verify.blocks.BLOCK", block)
        found = judge(views, outputs, x, precision, own)
    slow = slow_judge(views, outputs, precision, own, ulp_of)

    assert found.samples == count
    got = {(b.output, b.band, b.result): b for b in found.bands}
    assert len(got) == len(found.bands)
    assert {
        k: (b.samples, b.worst.index, b.worst.error_ulp, b.breaches) for k, b in got.items()
    } == {k: (g.samples, g.worst, g.error, g.breaches) for k, g in slow.items()}
    wide = precision.widen(x)
    breaches = {(b.output, b.band, b.result, b.kind): b for b in found.breaches}
    assert len(breaches) == len(found.breaches)
    assert breaches.keys() == {(*k, kind) for k, g in slow.items() for kind in g.kinds}
    for (output, band, result, kind), breach in breaches.items():
        group = slow[output, band, result]
        broken = group.kinds[kind]
        xs = wide[[index for index, _ in broken]]
        worst = max(broken, key=lambda pair: pair[1])
        assert breach.count == len(broken)
        assert breach.samples == group.samples
        assert (breach.worst.index, breach.worst.error_ulp) == worst
        if not np.isnan(xs).any():
            assert (breach.lowest, breach.highest) == (xs.min(), xs.max())


# --- blocks and order -----------------------------------------------------------------------


def corrupted(drawn: Sample) -> tuple[tuple[View, ...], Array]:
    """Outputs with an error in every 97th element."""
    precision = drawn.precision
    views = expected("alone", drawn.values, precision)
    bits = precision.to_bits(precision.round(views[0].expected)).copy()
    bits[::97] ^= 3
    bits[5::9973] |= (1 << (precision.total_bits - 1)) - 1
    return views, precision.from_bits(bits)


@ALL
def test_results_do_not_depend_on_block_boundaries(
    precision: Precision,
    full_sample: Callable[[Precision], Sample],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn = full_sample(precision)
    views, actual = corrupted(drawn)
    own = limits(deviations=[deviation("nan", (-50.0, 1.0), count=10**9)])
    found = []
    for block in (1 << 14, 4999, 1 << 22):
        monkeypatch.setattr("verify.blocks.BLOCK", block)
        found.append(repr(judge(views, {"y": actual}, drawn.values, precision, own)))
    assert found[0] == found[1] == found[2]
    assert "count=" in found[0]


@pytest.mark.parametrize("precision", [FP16, BF16], ids=lambda p: p.name)
def test_results_do_not_depend_on_the_order_of_the_inputs(
    precision: Precision, full_sample: Callable[[Precision], Sample]
) -> None:
    drawn = full_sample(precision)
    views, actual = corrupted(drawn)
    shuffle = np.random.default_rng(0).permutation(drawn.count)
    mixed = [replace(v, argument=v.argument[shuffle], expected=v.expected[shuffle]) for v in views]
    first = judge(views, {"y": actual}, drawn.values, precision, limits())
    second = judge(mixed, {"y": actual[shuffle]}, drawn.values[shuffle], precision, limits())
    for one, other in zip(first.bands, second.bands, strict=True):
        assert (one.band, one.result, one.samples, one.breaches) == (
            (other.band, other.result, other.samples, other.breaches)
        )
        assert one.worst.error_ulp == other.worst.error_ulp
    assert sorted((b.band, b.result, b.kind, b.count) for b in first.breaches) == sorted(
        (b.band, b.result, b.kind, b.count) for b in second.breaches
    )


@ALL
def test_a_correctly_rounded_sample_passes_at_half_a_ulp(
    precision: Precision, full_sample: Callable[[Precision], Sample]
) -> None:
    drawn = full_sample(precision)
    for context in ("alone", "conv"):
        views = expected(context, drawn.values, precision)
        found = judge(views, right(views, precision), drawn.values, precision, limits(0.5))
        assert found.breaches == ()
        assert found.samples == drawn.count
        assert sum(b.samples for b in found.bands) == drawn.count * len(views)


def test_of_equal_accepted_errors_the_first_input_counts() -> None:
    x = numbers([1.0, 2.0, 3.0], FP32)
    views = expected("branch", x, FP32)
    outputs = right(views, FP32)
    outputs["y"][2] = outputs["neg"][0] = np.nan  # the other output, and the input before
    found = judge(views, outputs, x, FP32, limits(deviations=[deviation("nan")]))
    (accepted,) = found.accepted
    assert (accepted.count, accepted.worst.index) == (2, 0)


@pytest.mark.parametrize(
    ("want", "got", "kind"),
    [
        (1.0, 1.5, "ulp"),
        (1.0, -1.0, "sign"),
        (0.0, -0.0, "sign"),
        (1.0, math.nan, "nan"),
        (math.nan, 1.0, "nan"),
        (math.nan, -math.nan, "ulp"),
        (1.0, math.inf, "inf"),
        (math.inf, 1.0, "inf"),
        (math.inf, -math.inf, "inf"),
        (math.inf, math.inf, "ulp"),
        (1e300, math.inf, "ulp"),  # which is what it rounds to
        (1e300, -math.inf, "inf"),
    ],
)
def test_the_kind_of_one_element_is_the_judges(want: float, got: float, kind: str) -> None:
    judged = judge_one(want, got, FP32, limits())
    found = [breach for breach in judged.breaches if breach.worst.index == 2]
    assert [breach.kind for breach in found] == [kind] * len(found)
    own = (band.worst.error_ulp for band in judged.bands if band.worst.index == 2)
    error = max(own, default=0.0)
    assert kind_of(want, got, error) == kind


@ALL
def test_what_an_expected_value_is(precision: Precision) -> None:
    small = precision.smallest_normal
    values = [1.0, -small, small / 2, -small / 1e6, 0.0, -0.0, math.inf, math.nan]
    found = [RESULTS[i] for i in results_of(np.array(values), precision)]
    assert found == [*["regular"] * 2, *["subnormal"] * 2, *["special"] * 4]
