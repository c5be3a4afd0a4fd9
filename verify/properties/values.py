"""Properties that one array's results have: their values, their signs, their order."""

from __future__ import annotations

import numpy as np

from verify.bands import BANDS, classify
from verify.findings import number
from verify.judge import Point
from verify.oracle import MINIMUM, MINIMUM_AT
from verify.precision import Array
from verify.properties.base import Trial, trial
from verify.properties.slack import Slack, slack
from verify.properties.strategies import Draft
from verify.properties.subject import Subject

__all__ = [
    "finite",
    "identity",
    "minimum",
    "monotone",
    "nonfinite",
    "sign",
    "vanishing",
    "zero_sign",
]


def _run(subject: Subject, x: Array) -> tuple[Array, Slack, Array]:
    """Result, slack and widened result of a flat array."""
    y = subject.run(x)
    return y, slack(x, subject.precision, subject.limits), subject.precision.widen(y)


def _is(at: Point) -> str:
    return f"mish({number(at.x)}) is {number(at.actual)}"


def finite(subject: Subject, x: Array, draft: Draft) -> Trial:
    """Neither NaN nor an infinity for a finite input."""
    y, held, wide = _run(subject, x)
    examined = np.isfinite(held.x) & ~held.excused("nan", "inf")
    bad = ~np.isfinite(wide)
    return trial(
        subject,
        x,
        y,
        held,
        examined,
        bad,
        # The smallest such x tells where it begins.
        -np.abs(held.x),
        lambda at: f"{_is(at)}, where a finite input has a finite result",
    )


def minimum(subject: Subject, x: Array, draft: Draft) -> Trial:
    """Nothing below the minimum. NaN is left to ``finite``."""
    y, held, wide = _run(subject, x)
    examined = np.isfinite(held.x) & ~np.isnan(wide) & ~held.excused("inf", "sign")
    allowed = 2 * held.allowed
    below = MINIMUM - wide
    return trial(
        subject,
        x,
        y,
        held,
        examined,
        below > allowed,
        below,
        lambda at: f"{_is(at)}, which is below Mish's minimum {number(MINIMUM)}",
        allowed=allowed,
    )


def sign(subject: Subject, x: Array, draft: Draft) -> Trial:
    """No number of the other sign than x's. The sign of a zero is left to others."""
    y, held, wide = _run(subject, x)
    examined = np.isfinite(held.x) & ~np.isnan(wide) & ~held.excused("sign")
    return trial(
        subject,
        x,
        y,
        held,
        examined,
        np.sign(wide) * np.sign(held.x) < 0,
        np.abs(wide),
        lambda at: f"{_is(at)}, which has not the sign of x",
    )


def identity(subject: Subject, x: Array, draft: Draft) -> Trial:
    """X itself for every x of the identity band."""
    y, held, wide = _run(subject, x)
    inside = classify(held.x, subject.precision) == BANDS.index("identity")
    examined = inside & ~held.excused("nan", "inf", "sign")
    off = np.abs(wide - held.expected)
    return trial(
        subject,
        x,
        y,
        held,
        examined,
        ~(off <= held.allowed),
        off / held.unit,
        lambda at: f"{_is(at)}, where mish(x) is x itself",
        allowed=held.allowed,
    )


def vanishing(subject: Subject, x: Array, draft: Draft) -> Trial:
    """A zero with a sign, or as little below it as the limit says, for x far below zero."""
    y, held, wide = _run(subject, x)
    inside = classify(held.x, subject.precision) == BANDS.index("flush tail")
    examined = inside & ~held.excused("nan", "inf", "sign")
    off = np.abs(wide - held.expected)
    bad = ~np.signbit(wide) | ~(off <= held.allowed)
    return trial(
        subject,
        x,
        y,
        held,
        examined,
        bad,
        off,
        lambda at: f"{_is(at)}, where mish(x) is 0 from below: -0 or a tiny negative number",
        allowed=held.allowed,
    )


def nonfinite(subject: Subject, x: Array, draft: Draft) -> Trial:
    """NaN for NaN and +inf for +inf."""
    y, held, wide = _run(subject, x)
    nan, inf = np.isnan(held.x), held.x == np.inf
    examined = (nan | inf) & ~held.excused("nan", "inf", "sign")
    bad = (nan & ~np.isnan(wide)) | (inf & (wide != np.inf))
    return trial(
        subject,
        x,
        y,
        held,
        examined,
        bad,
        np.zeros(len(x)),
        lambda at: f"{_is(at)}, where NaN and +inf pass through",
    )


def zero_sign(subject: Subject, x: Array, draft: Draft) -> Trial:
    """A zero of the same sign for a zero."""
    y, held, wide = _run(subject, x)
    examined = (held.x == 0) & ~held.excused("sign")
    bad = (wide != 0) | (np.signbit(wide) != np.signbit(held.x))
    return trial(
        subject,
        x,
        y,
        held,
        examined,
        bad,
        np.abs(wide),
        lambda at: f"{_is(at)}, where a zero keeps its sign",
    )


def monotone(subject: Subject, x: Array, draft: Draft) -> Trial:
    """No result below that of a smaller x, right of the minimum. NaN is left to ``finite``."""
    y, held, wide = _run(subject, x)
    right = (held.x >= MINIMUM_AT) & np.isfinite(held.x)
    examined = right & np.isfinite(wide) & ~held.excused("inf", "sign")
    # Each pair at once: every result with the largest one on its left.
    sequence = np.argsort(held.x, kind="stable")
    sequence = sequence[examined[sequence]]
    lowest = wide[sequence] - held.allowed[sequence]
    highest = wide[sequence] + held.allowed[sequence]
    largest = np.maximum.accumulate(lowest)
    down = np.zeros(len(x))
    down[sequence] = largest - highest
    hint = None
    told = ""
    if (down > 0).any():
        place = int(np.argmax(down[sequence] / held.unit[sequence]))
        left, at = sequence[int(np.argmax(lowest[: place + 1]))], sequence[place]
        hint = np.array([left, at])
        told = f"mish({number(held.x[left])}) is {number(wide[left])}"
    return trial(
        subject,
        x,
        y,
        held,
        examined,
        down > 0,
        down / held.unit,
        lambda at: f"{_is(at)}, though {told}: Mish rises right of {number(MINIMUM_AT)}",
        allowed=2 * held.allowed,
        hint=hint,
    )
