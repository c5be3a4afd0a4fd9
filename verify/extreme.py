"""The worst plugin that the contract of context ``alone`` allows, and what contexts make of it.

What a plugin owes alone, it may use up in every step of a chain, always in the same direction. So
that measures the limits of the other contexts: below it they would refuse a plugin for what alone
allows, and far above it they are slack.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np

from verify.bands import order, unorder
from verify.cases import Case
from verify.errors import InputError
from verify.judge import BandResult, judge
from verify.oracle import CHAIN_LENGTH, expected
from verify.precision import Array, Precision
from verify.properties.slack import slack
from verify.samples import sample
from verify.tolerances import Limits, Tolerances

__all__ = ["CONTEXTS", "worst_allowed"]

CONTEXTS = ("chain", "residual")  # those that do arithmetic on what a plugin returns

_THIN = 8  # of fp32's sample, every eighth: the worst of two million are no worse


def worst_allowed(tolerances: Tolerances, case: Case) -> tuple[BandResult, ...]:
    """The largest errors of a plugin that keeps to its limits alone, by band, in a context.

    Over all inputs of 16 bits, or every eighth one of fp32's sample. Each step is the number
    farthest from the oracle's value, in one direction or in both by turns, that is within the
    limit and next to it or as near; what stands around the plugin is rounded to nearest. Empty
    where the context does no arithmetic or there is no contract alone.
    """
    if case.form != "plugin" or case.context not in CONTEXTS:
        return ()
    try:
        alone = tolerances.limits(Case(case.form, "alone", case.precision, case.engine))
        own = tolerances.limits(case)
    except InputError:
        return ()
    return _worst(case.context, case.precision, _Numbers(alone), _Numbers(own))


class _Numbers:
    """Limits that are the same where their numbers are, so that what follows from them is kept."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._key = tuple(sorted(limits.ulp.items())), tuple(sorted(limits.floor.items()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Numbers) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)


@lru_cache(maxsize=32)
def _worst(
    context: str, precision: Precision, alone: _Numbers, own: _Numbers
) -> tuple[BandResult, ...]:
    x = _inputs(precision)
    views = expected(context, x, precision)
    worst: dict[tuple[str, str], BandResult] = {}
    for y in _outputs(context, precision, alone):
        found = judge(views, {"y": y}, x, precision, own.limits, whole_sample=False)
        for band in found.bands:
            held = worst.get((band.band, band.result))
            if held is None or band.worst.error_ulp > held.worst.error_ulp:
                worst[band.band, band.result] = band
    return tuple(worst.values())


def _inputs(precision: Precision) -> Array:
    values = sample(precision, 0).values
    return values if precision.total_bits == 16 else np.ascontiguousarray(values[::_THIN])


@lru_cache(maxsize=8)
def _outputs(context: str, precision: Precision, alone: _Numbers) -> tuple[Array, ...]:
    """What a context's model would return with each of the worst plugins."""
    x = _inputs(precision)
    outputs = []
    for number in range(len(_CHOICES)):
        y = x
        for _ in range(CHAIN_LENGTH if context == "chain" else 1):
            y = _plugin(y, precision, alone.limits, number)
        if context == "residual":
            with np.errstate(invalid="ignore", over="ignore"):
                y = precision.round(precision.widen(x) + precision.widen(y))
        outputs.append(y)
    return tuple(outputs)


_CHOICES = ("up", "down", "away from zero", "the farther one")


def _plugin(x: Array, precision: Precision, limits: Limits, choice: int) -> Array:
    """The worst Mish within the limits, flat: the farthest number up, down or either way."""
    held = slack(x, precision, limits)
    nearest = precision.round(held.expected)
    # A NaN stays one, and what must be exact is.
    with np.errstate(invalid="ignore"):
        free = np.isfinite(held.expected) & (held.allowed > 0)
    up, down = (
        _farthest(nearest, held.expected, held.allowed, held.unit, free, precision, step)
        for step in (1, -1)
    )
    if choice == 0:
        return up
    if choice == 1:
        return down
    if choice == 2:
        return np.asarray(np.where(held.expected < 0, down, up))
    with np.errstate(invalid="ignore"):
        above = np.abs(precision.widen(up) - held.expected)
        below = np.abs(precision.widen(down) - held.expected)
    return np.asarray(np.where(above > below, up, down))


def _farthest(
    nearest: Array,
    expected: Array,
    allowed: Array,
    unit: Array,
    free: Array,
    precision: Precision,
    step: int,
) -> Array:
    """The farthest number in one direction from the nearest one that is still allowed.

    Less than a limit off, not just as much: a limit of 1 ULP allows the two numbers next to a
    value, and where the value is a number itself, that one.
    """
    chosen = nearest.copy()
    keys = order(precision.to_bits(nearest), precision)
    for distance in _distances(allowed, unit, free):
        there = precision.from_bits(unorder(keys + step * distance, precision))
        wide = precision.widen(there)
        with np.errstate(invalid="ignore", over="ignore"):
            inside = free & np.isfinite(wide) & (np.abs(wide - expected) < allowed)
        inside &= np.signbit(wide) == np.signbit(expected)
        chosen[inside] = there[inside]
    return np.asarray(chosen)


def _distances(allowed: Array, unit: Array, free: Array) -> Iterator[int]:
    with np.errstate(invalid="ignore", divide="ignore"):
        ulps = (allowed / unit)[free]
    return iter(range(1, int(np.ceil(ulps.max(initial=0.0))) + 1))
