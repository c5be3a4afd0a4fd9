"""Properties that compare two runs: other positions, again, another precision, another form."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from verify.findings import number
from verify.judge import Point
from verify.precision import FP32, Array, Float64
from verify.properties.base import Fault, Trial, point, trial
from verify.properties.slack import Slack, slack
from verify.properties.strategies import Draft, inner, row
from verify.properties.subject import Subject

__all__ = [
    "anchor",
    "anchored",
    "higher",
    "position",
    "precisions",
    "repeatable",
]

ANCHOR = "composed"
_COUNTER_ANCHOR = "op"


def _differ(first: Array, second: Array, subject: Subject) -> Array:
    """Where two results differ in bits; any NaN equals any NaN."""
    precision = subject.precision
    nan = np.isnan(precision.widen(first)) & np.isnan(precision.widen(second))
    return np.asarray((precision.to_bits(first) != precision.to_bits(second)) & ~nan)


def _beyond(first: Float64, second: Float64, allowed: Float64, excused: Array) -> Array:
    """Where two widened results differ by more than ``allowed``, an excused NaN or inf apart."""
    odd = ~np.isfinite(first) | ~np.isfinite(second)
    same = (np.isnan(first) & np.isnan(second)) | (first == second)
    far = ~(np.abs(first - second) <= allowed)
    return np.asarray(far & ~same & ~(odd & excused))


def repeatable(subject: Subject, x: Array, draft: Draft) -> Trial:
    """The same bits from two runs."""
    first = subject.run(x).copy()
    second = subject.run(x)
    held = slack(x, subject.precision, subject.limits)
    apart = _distance(subject, first, second, held)

    def say(at: Point) -> str:
        before = subject.precision.widen(first[at.index : at.index + 1])[0]
        return (
            f"mish({number(at.x)}) is {number(before)} in one run, {number(at.actual)} in the next"
        )

    examined = np.ones(len(x), dtype=bool)
    bad = _differ(first, second, subject)
    # Each element may differ by chance: more of them are the better witness.
    hint = np.flatnonzero(bad)
    return trial(subject, x, second, held, examined, bad, apart, say, hint=hint)


def position(subject: Subject, x: Array, draft: Draft) -> Trial:
    """The same result at another place, among others, in another shape."""
    precision = subject.precision
    base = subject.run(x).copy()
    held = slack(x, precision, subject.limits)
    allowed = 2 * held.allowed  # either of the two may be off
    excused = held.excused("nan", "inf", "sign")
    inputs, count = 0, len(x)
    for name, shape, index in _arrangements(count, draft):
        given = x[index].reshape(shape)
        moved = subject.run(given).reshape(-1)
        there = base[index]
        if subject.bitwise:
            bad = _differ(moved, there, subject)
        else:
            bad = _beyond(
                precision.widen(moved),
                precision.widen(there),
                allowed[index],
                excused[index],
            )
        inputs += len(index)
        if bad.any():
            return Trial(
                inputs, _moved(subject, x, base, given, moved, held, allowed, index, bad, name)
            )
    return Trial(inputs)


def _moved(
    subject: Subject,
    x: Array,
    base: Array,
    given: Array,
    moved: Array,
    held: Slack,
    allowed: Float64,
    index: Array,
    bad: Array,
    name: str,
) -> Fault:
    """The fault of an arrangement, told of whichever of the two results is the worse."""
    precision = subject.precision
    wrong = np.flatnonzero(bad)
    apart = _distance(subject, moved, base[index], held, index)
    at = int(wrong[np.argmax(apart[wrong])])
    here = point(int(index[at]), x, base, held, precision)
    there = point(at, given.reshape(-1), moved, _pick(held, index), precision)
    blamed_here = here.error_ulp > there.error_ulp
    slack_told = None if subject.bitwise else float(allowed[index[at]] / held.unit[index[at]])
    return Fault(
        message=(
            f"mish({number(here.x)}) is {number(here.actual)} as element {index[at]} of a flat "
            f"array of {len(x)}, {number(there.actual)} {name} (element {at} of {len(moved)})"
        ),
        x=x if blamed_here else given,
        point=here if blamed_here else there,
        limit=slack_told,
        count=len(wrong),
        samples=len(index),
        hint=np.unique(index[[at, max(0, at - 1)]]),
    )


def _arrangements(count: int, draft: Draft) -> list[tuple[str, tuple[int, ...], Array]]:
    """Names, shapes and the elements of x (by index) that stand in each arrangement."""
    forward = np.arange(count)
    out: list[tuple[str, tuple[int, ...], Array]] = []
    if count > 1:
        cut = 1 + draft.seed % (count - 1)
        out += [
            ("reversed", (count,), forward[::-1]),
            ("rotated by one", (count,), np.roll(forward, 1)),
            ("among the first only", (cut,), forward[:cut]),
            ("among the last only", (count - cut,), forward[cut:]),
        ]
    if draft.rank == 0:
        out.append(("as a scalar", (), forward[draft.seed % count :][:1]))
    elif draft.rank > 1:
        rows = -(-count // row(draft.rank))
        shape = (rows, *inner(draft.rank))
        out.append((f"in shape {shape}", shape, np.resize(forward, rows * row(draft.rank))))
    else:
        out.append(("repeated twice", (2 * count,), np.resize(forward, 2 * count)))
    return out


def higher(subject: Subject) -> Subject | None:
    """The same in fp32, for a subject in less."""
    return None if subject.precision is FP32 else subject.other(precision=FP32)


def precisions(subject: Subject, x: Array, draft: Draft) -> Trial:
    """The result of the same form and engine in fp32, to both limits."""
    above = higher(subject)
    assert above is not None  # or the property does not apply
    return _against(subject, above, x, FP32.round, "in fp32")


def anchor(subject: Subject) -> Subject | None:
    """The form that a subject's is compared with: ``composed``, or ``op`` for ``composed``."""
    return subject.other(form=_COUNTER_ANCHOR if subject.case.form == ANCHOR else ANCHOR)


def anchored(subject: Subject, x: Array, draft: Draft) -> Trial:
    """The result of the other form on the same engine, to both limits."""
    beside = anchor(subject)
    assert beside is not None  # or the property does not apply
    return _against(subject, beside, x, None, f"in the form {beside.case.form!r}")


def _against(
    subject: Subject,
    other: Subject,
    x: Array,
    convert: Callable[[Float64], Array] | None,
    where: str,
) -> Trial:
    """Compare with another subject's results for the same finite numbers."""
    y = subject.run(x)
    held = slack(x, subject.precision, subject.limits)
    x_other = x if convert is None else convert(held.x)
    y_other = other.precision.widen(other.run(x_other))
    held_other = slack(x_other, other.precision, other.limits)
    allowed = held.allowed + held_other.allowed
    kinds = ("nan", "inf", "sign")
    excused = held.excused(*kinds) | held_other.excused(*kinds)
    wide = subject.precision.widen(y)
    # A NaN of both is a matter for `finite`.
    examined = np.isfinite(held.x) & ~(np.isnan(wide) & np.isnan(y_other))
    beyond = np.abs(wide - y_other) / np.maximum(allowed, held.unit)
    return trial(
        subject,
        x,
        y,
        held,
        examined,
        _beyond(wide, y_other, allowed, excused),
        beyond,
        lambda at: (
            f"mish({number(at.x)}) is {number(at.actual)}, but {number(float(y_other[at.index]))} "
            f"{where}"
        ),
        allowed=allowed,
    )


def _distance(
    subject: Subject, first: Array, second: Array, held: Slack, index: Array | None = None
) -> Float64:
    """The difference of two results in ULP, inf where only one is a number."""
    unit = held.unit if index is None else held.unit[index]
    apart = np.abs(subject.precision.widen(first) - subject.precision.widen(second)) / unit
    return np.asarray(np.nan_to_num(apart, nan=np.inf, posinf=np.inf))


def _pick(held: Slack, index: Array) -> Slack:
    return Slack(
        held.limits, held.x[index], held.expected[index], held.unit[index], held.allowed[index]
    )
